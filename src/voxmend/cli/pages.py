"""Help that fits a screen: pages that list verbs, and pages of verbs no wider than the terminal."""

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, is_dataclass
from inspect import getdoc, signature
from itertools import islice, zip_longest
from typing import TextIO, get_type_hints

Verb = Callable[..., int]
HELP = ("-h", "--help")
SCREEN = 24  # lines of the smallest terminal


def summary(verb: "Verb | Page") -> str:
    """What a verb does, in one line: the first of its docstring."""
    text = verb.about if isinstance(verb, Page) else getdoc(verb) or ""
    return text.partition("\n")[0].rstrip(".")


@dataclass(frozen=True)
class Page:
    """A command that has verbs, and its `--help`, which gives every verb one line."""

    prog: str
    """As it is typed."""
    usage: str
    """What stands behind that."""
    about: str
    """A sentence that says what it is for."""
    start: str
    """A first command to try."""
    families: Mapping[str, Mapping[str, "Verb | Page"]]
    """Verbs by their names, by what they are about; a family may go without a name."""
    more: str = ""
    """Where to read on."""
    other: Verb | None = None
    """The verb of arguments that name none; without it they are refused."""

    @property
    def entries(self) -> dict[str, "Verb | Page"]:
        """Verbs, and commands that have verbs of their own, by their names."""
        return {name: entry for family in self.families.values() for name, entry in family.items()}

    @property
    def verbs(self) -> dict[str, Verb]:
        """What to run, by its name."""
        return {name: entry.other or entry.show if isinstance(entry, Page) else entry
                for name, entry in self.entries.items()}

    @property
    def show(self) -> Verb:
        """The verb that prints this page."""
        def show() -> int:
            print(self)
            return 0

        return show

    def choose(self, args: list[str]) -> "tuple[Page, list[str]]":
        """The page whose verbs the first argument is of, and the arguments from there."""
        entry = self.entries.get(args[0]) if args[1:] else None
        if isinstance(entry, Page) and (not entry.other or args[1] in (*HELP, *entry.verbs)):
            return entry, args[1:]
        return self, args

    def __str__(self) -> str:
        """The page, at most 80 columns wide."""
        indent = 11 if any(self.families) else 2
        width = max(map(len, self.entries)) + 2
        rows = []
        for title, family in self.families.items():
            # a title of two words takes two rows, beside its verbs
            for word, name in zip_longest(title.split(), family, fillvalue=""):
                line = summary(family[name]) if name else ""
                rows.append(f"{word:{indent}}{name:{width}}{line}".rstrip())
        head = [self.about, f"Start with: {self.start}"]
        if len(" ".join(head)) <= 80:
            head = [" ".join(head)]
        head.insert(0, f"usage: {self.prog} {self.usage}")
        foot = [self.more] if self.more else []
        gap = [""] if len(head) + len(rows) + len(foot) < SCREEN else []
        return "\n".join([*head, *gap, *rows, *foot])


def join_lines(verb: Verb) -> None:
    """Makes one line of every paragraph and argument of a docstring, where tyro may break them.

    It keeps a break before all but a letter, as before an indented line or a number.
    """
    verb.__doc__ = re.sub(r"(?<!\n)\n(?: {8}|(?=\S))", " ", getdoc(verb) or "")


def _switches(verb: Verb) -> set[str]:
    """The options of a verb that take no value, as they are typed."""
    found = set(HELP)
    for name, kind in get_type_hints(verb).items():
        fields = get_type_hints(kind).items() if is_dataclass(kind) else [(name, kind)]
        found |= {f"--{field.replace('_', '-')}" for field, of in fields if of is bool}
    return found


def paths_first(verb: Verb, args: list[str]) -> list[str]:
    """Arguments with those that belong to no option first: `a --seed 1 b` as `a b --seed 1`.

    tyro takes a verb's paths, of any number, only where they stand together. After `--` all are
    paths, `./-a` what is called -a.
    """
    if "paths" not in signature(verb).parameters:
        return args
    switches, paths, options, rest = _switches(verb), [], [], iter(args)
    for arg in rest:
        if arg == "--":
            paths += [path if path == "-" or path[:1] != "-" else f"./{path}" for path in rest]
            break
        if arg == "-" or not arg.startswith("-"):
            paths.append(arg)
            continue
        options.append(arg)
        if arg not in switches and "=" not in arg:
            options += [*islice(rest, 1)]
    return [*paths, *options]


class _Paper(io.StringIO):
    """Takes what is meant for a terminal, whose letters and colours it says to have."""

    def __init__(self, terminal: TextIO):
        super().__init__()
        self.terminal = terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]  # an attribute in typeshed alone
        return self.terminal.encoding

    def isatty(self) -> bool:
        return self.terminal.isatty()


@contextmanager
def wrapped() -> Iterator[None]:
    """Breaks long lines of what is printed: tyro prints a paragraph as a single one."""
    paper = _Paper(sys.stdout)
    try:
        with redirect_stdout(paper):
            yield
    finally:
        width = shutil.get_terminal_size().columns
        for line in paper.getvalue().splitlines():
            coloured = "\x1b" in line  # of a box, which fits, though it has more characters
            print(line if coloured else textwrap.fill(line, width, break_on_hyphens=False))
