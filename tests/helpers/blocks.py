"""Fenced blocks of Markdown pages, run as a reader would.

Blocks of `python` and of `sh` are run, one after another in one folder; of `sh` the command
voxmend, in this process, and what changes files or folder. Blocks of `bash` and `py` are shown
only: they fetch, install or train, or need what is not at hand. Those that take in a file
(`--8<--`) show an example, run by itself.
"""

import os
import re
import shlex
import shutil
import textwrap
from pathlib import Path

from voxmend.cli import main as cli
from voxmend.cli.pages import paths_first
from voxmend.cli.parsing import parse

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def blocks(path, *languages):
    """Language, text and first line of every fenced block of these languages, "" for none."""
    page = path.read_text(encoding="utf-8")
    return [(found[2], textwrap.dedent(found[3]), page.count("\n", 0, found.start()) + 2)
            for found in FENCE.finditer(page) if found[2] in languages]


def commands(text):
    """The words of every simple command of a shell script."""
    whole = text.replace("\\\n", " ")
    for line in re.split(r"&&|;|\n", whole):
        if words := shlex.split(line, comments=True):
            yield words


def run_shell(text):
    """Runs a block of `sh` in the current folder."""
    variables = {}
    for words in commands(text):
        match [re.sub(r"\$(\w+)", lambda found: variables[found[1]], word) for word in words]:
            case ["voxmend", *rest]:
                assert cli.main(rest) == 0, words
            case ["cd", folder]:
                os.chdir(folder)
            case ["cp", source, target]:
                shutil.copy(source, target)
            case [".", ".venv/bin/activate"]:
                pass
            case [assigned] if re.fullmatch(r"\w+=\S+", assigned):
                name, _, value = assigned.partition("=")
                variables[name] = value
            case _:
                raise AssertionError(f"not run: {words}; call the block bash to show it only")


def run_python(text, names, place):
    """Runs a block of `python` with the names that the blocks before it have left."""
    if not text.startswith("--8<--"):
        exec(compile(text, place, "exec"), names)


def run_page(path):
    """Runs all blocks of a page in the current folder."""
    names = {"__name__": "page"}
    for language, text, line in blocks(path, "python", "sh"):
        if language == "sh":
            run_shell(text)
        else:
            run_python(text, names, f"{path}, block at line {line}")


def understood(words):
    """Whether the command takes these words; raises what it says to a user otherwise."""
    page, rest = cli.HOME.choose(words[1:])
    if rest[0] in ("--version", "-h", "--help"):
        return True
    verb = page.verbs[rest[0]]
    return callable(parse(verb, f"{page.prog} {rest[0]}", paths_first(verb, rest[1:])))
