"""Manifests: files of JSON lines that list recordings, in place of a folder.

A line names a file or a part of one:

    {"path": "a/1.flac", "speaker": "a", "seconds": 3.2, "text": "..."}

Names of NeMo (`audio_filepath`, `offset`, `duration`) and of lhotse's cuts and recordings are
accepted as well. A path is relative to the manifest's folder. Without a `start` the whole file is
meant. What nothing here trains on, such as `text`, is not read.
"""

import gzip
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import audio

SUFFIXES = (".jsonl", ".jsonl.gz", ".json")
PATHS, STARTS, LENGTHS = ("path", "audio_filepath"), ("start", "offset"), ("seconds", "duration")


@dataclass(frozen=True)
class Recording:
    """Speech of one speaker in a file.

    Args:
        path: the file.
        speaker: who speaks; "" where it is not told.
        start, seconds: the part that is meant; without `seconds` it goes to the file's end.
        channel: the one that is meant, from 0; without it the mean of all.
        sex: F, M or "".
    """

    path: Path
    speaker: str = ""
    start: float = 0.0
    seconds: float | None = None
    channel: int | None = None
    sex: str = ""


def _first(entry: dict, *names: str) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)


def _recording(entry: dict, folder: Path) -> Recording:
    """Raises a number of errors for an entry that names no recording."""
    cut = entry.get("recording") or {}  # of lhotse, as is what it holds
    said = (entry.get("supervisions") or [{}])[0]
    sources = (cut or entry).get("sources")
    path = sources[0]["source"] if sources else _first(entry, *PATHS)
    start, seconds = _first(entry, *STARTS), _first(entry, *LENGTHS)
    channel = entry.get("channel") if cut else None
    if not isinstance(path, str) or "\0" in path:
        raise KeyError("path")
    if start is not None and not (0 <= float(start) < math.inf and 0 < float(seconds) < math.inf):
        raise ValueError("start")  # not a number is neither
    if isinstance(channel, int) and channel < 0:
        raise ValueError("channel")
    speaker = next((str(who["speaker"]) for who in (entry, said)
                    if who.get("speaker") is not None), "")
    return Recording(folder / path, speaker,
                     float(start or 0), None if start is None else float(seconds),
                     int(channel) if isinstance(channel, int) else None,
                     str(_first(entry, "sex", "gender") or said.get("gender") or "")[:1].upper())


def read_manifest(path: Path) -> list[Recording]:
    """The recordings that a manifest lists, in its order.

    Raises AudioError for one that cannot be read, lists none, or has a line that names no
    recording.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise audio.AudioError(f"{path}: cannot be read ({error})") from None
    found = []
    for number, line in lines:
        try:
            found.append(_recording(json.loads(line), path.parent))
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            raise audio.AudioError(f"{path}, line {number}: names no recording; give one JSON "
                                   "object a line, with path, and seconds where it has start"
                                   ) from None
    if not found:
        raise audio.AudioError(f"{path}: lists no recordings")
    return found


def find_part(folder: Path, name: str) -> Path | None:
    """A part of a corpus such as train: a folder or a manifest of that name, or None.

    Raises AudioError for several.
    """
    listed = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
    there = [p for p in (folder / name, *listed) if (p.is_dir() if p.suffix == "" else p.is_file())]
    if len(there) > 1:
        raise audio.AudioError(f"{folder}: has {there[0].name} and {there[1].name}; keep one")
    return there[0] if there else None
