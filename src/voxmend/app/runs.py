"""A run: lines of the command, and a page of what they made."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import audio
from ..report import facts, page_of_files
from ..restore.damage import Damage
from .commands import Line, as_typed

Command = Callable[[list[str]], int]  # `voxmend.cli.main.main`


@dataclass(frozen=True)
class Made:
    """What a run has left in its folder: the files made, the main one first, and their sidecar."""

    outputs: tuple[str, ...]
    sidecar: str


def obey(main: Command, lines: Sequence[Line]) -> None:
    """Runs lines of the command, until one fails, in the working folder.

    Raises: SystemExit where one fails, which has said why on stderr.
    """
    for line in lines:
        if main(line):
            raise SystemExit(2)


def run(main: Command, lines: Sequence[Line], name: str, found: Sequence[Damage],
        titles: Sequence[str]) -> Made:
    """Runs lines of the command on a recording and writes `../N.html` of a working folder N.

    Args:
        name: of the recording, in the working folder.
        found: what is wrong with each of its channels.
        titles: what the outputs are called on the page, in their order.
    """
    before = {*Path().rglob("*")}
    obey(main, lines)
    (sidecar,) = (path for path in Path().rglob("*.json") if path not in before)  # no others
    told = json.loads(sidecar.read_text(encoding="utf-8"))
    outputs = [sidecar.parent / entry["name"] for entry in told["outputs"]]
    band = next((path for path in outputs if path.stem.endswith(".uncertainty")), None)
    heard = [path for path in outputs if path != band]
    files = [(title, audio.Reader(path)) for title, path in
             [("Recording", Path(name)), *zip(titles, heard, strict=False)]]
    text = page_of_files(name, files, found,
                         {**facts(told), "Command": "\n".join(as_typed(lines))},
                         audio.Reader(band) if band else None)
    Path("..", f"{Path.cwd().name}.html").write_text(text, encoding="utf-8")
    return Made(tuple(map(str, outputs)), str(sidecar))
