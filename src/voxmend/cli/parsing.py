"""Arguments made a call of a verb, or refused in one line."""

import io
import re
from contextlib import redirect_stderr
from difflib import get_close_matches
from functools import partial, wraps
from pathlib import Path

import tyro

from .pages import HELP, Verb

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # and the like, where stdout is a terminal


def parse(verb: Verb, prog: str, args: list[str]) -> Verb:
    """The verb with its arguments, ready to be called.

    Raises ValueError for arguments that it does not take, and SystemExit once help is shown.
    """
    @wraps(verb)
    def prepared(*values: object, **options: object) -> Verb:
        return partial(verb, *values, **options)

    if any(arg == "" or re.fullmatch("--[a-z-]+=", arg) for arg in args):
        raise ValueError(f"'': an empty name or value; see {prog} {HELP[1]}")
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return tyro.cli(prepared, prog=prog, args=args, config=(
                tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff))
    except SystemExit as end:
        if not end.code:
            raise
    raise ValueError(f"{one_line(said.getvalue())}; see {prog} {HELP[1]}")


def one_line(box: str) -> str:
    """What a box of tyro's says is wrong, without the help that it quotes."""
    rows = [row[2:].rstrip(" │") for row in COLOUR.sub("", box).splitlines()[1:]]
    rows = [row for row in rows if row.strip("─╯-")]
    said = " ".join(row for row in rows if not row.startswith(" "))
    said = re.split(r" (?:For full|Argument help|Got errors|Perhaps|Arguments? similar)", said)[0]
    named = [row.strip() for row in rows if re.match(r" {4}[^ \[]", row)]
    if value := re.match(r"Error parsing (\S+):.*?'([^']*)'\]?\.?$", said):
        return f"{value[1]} {value[2]}: give {named[0].rpartition(' ')[2]}"
    if value := re.match(r"invalid choice '(.*)' for argument '(\S+)'\. .* \((.*?),?\)\.$", said):
        choices = [choice.strip("'") for choice in value[3].split(", ")]
        given = ", ".join(choice for choice in choices if choice != "None")  # by default
        return f"{value[2]} {value[1]}: give one of {given}"
    if value := re.match(r"Missing value for argument '(\S+)'", said):
        return f"{value[1]}: give it a value"
    if said.startswith("Missing from"):
        return f"give {', '.join(row.rpartition(', ')[2] for row in named[:-1])}"
    if said.startswith("Unrecognized"):
        meant = f" (did you mean {' or '.join(named)}?)" if named else ""
        unknown = said.partition(": ")[2]
        first = unknown.split(", ")[0]
        if any(path.name == first for path in Path().glob("-*")):
            meant = f" (of the file say ./{first})"
        return f"unknown: {unknown}{meant}"
    return said.rstrip(".")


def unknown_verb(name: str, verbs: dict[str, Verb], prog: str) -> ValueError:
    """For a word where a verb belongs that is none."""
    near = get_close_matches(name, verbs, 1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return ValueError(f"{f'{name}: no such verb' if name else 'name a verb'}{meant}; "
                      f"see {prog} {HELP[1]}")
