"""Recordings and what became of them as a page to look at and listen to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .. import audio
from ..report import Excerpt, Track, page
from ..report.marks import worst
from ..report.pages import LONGEST
from ..restore.damage import Damage


def show(target: Path, title: str, files: Sequence[tuple[str, Path]], found: Sequence[Damage],
         facts: Mapping[str, str] | None = None, uncertainty: Path | None = None) -> None:
    """Writes a page of a recording and what was made of it, of a minute at most.

    Args:
        files: their names on the page; the first is the recording.
        found: the damage of each of its channels.
        facts: names and values that the page lists.
        uncertainty: of the last file, where several draws were made.
    """
    first = audio.Reader(files[0][1])
    total = first.frames / first.sample_rate
    start = worst(found, total, LONGEST) if total > LONGEST else 0.0
    tracks = [track(name, path, start) for name, path in files]
    band = track("", uncertainty, start).wave if uncertainty else None
    target.write_text(page(title, tracks, found, facts, band, Excerpt(start, total)),
                      encoding="utf-8")


def track(name: str, path: Path, start: float) -> Track:
    """The minute of a file that begins at so many seconds."""
    reader = audio.Reader(path)
    first, left = round(start * reader.sample_rate), round(LONGEST * reader.sample_rate)
    pieces, done = [], 0
    for block in reader.blocks():
        piece = block[:, max(0, first - done):first + left - done]
        done += block.shape[1]
        if piece.shape[1]:
            pieces.append(piece)
        if done >= first + left:
            break
    wave = np.concatenate(pieces, axis=1) if pieces else np.zeros((reader.channels, 1), np.float32)
    return Track(name, wave, reader.sample_rate)
