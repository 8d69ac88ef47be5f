"""Recordings as the commands open them."""

import sys
from pathlib import Path

from .. import audio
from .folders import as_told


def opened(path: Path, salvage: bool) -> audio.Reader:
    """A recording; of one that is salvaged stderr is told what is wrong with it, if anything is."""
    reader = audio.Reader(path, salvage)
    if salvage and (fault := _fault(path)):
        print(as_told(f"voxmend: {path}: {fault}: {reader.frames / reader.sample_rate:.2f} s are "
                      "salvaged"), file=sys.stderr)
    return reader


def _fault(path: Path) -> str:
    """What is wrong with a file, without the advice; nothing of one that can be read whole."""
    try:
        for _ in audio.Reader(path).blocks():
            pass
    except audio.AudioError as error:
        return str(error).removeprefix(f"{path}: ").rpartition(": ")[0]
    return ""
