"""Recordings in files: read in blocks, checked on the way, and written atomically.

Everything that can go wrong with a file raises `AudioError`, whose message is one line: which
file, what is wrong with it, and what to do about it.
"""

from pathlib import Path

import numpy as np

from .arrays import as_wave, resample
from .reading import Reader
from .writing import Writer


def load(path: str | Path, sample_rate: int) -> np.ndarray:
    """A whole file at `sample_rate` (Hz).

    Shape: float32 `[C, T]`, −1…1. Raises AudioError as `Reader` does.
    """
    reader = Reader(path)
    wave = np.concatenate(list(reader.blocks()), axis=1)
    return resample(wave, reader.sample_rate, sample_rate)


def save(path: str | Path, wave: np.ndarray, sample_rate: int, subtype: str | None = None,
         overwrite: bool = False) -> int:
    """Write a whole signal at `sample_rate` (Hz) and return the number of samples clamped to ±1.

    Shape: float `[C, T]`. Raises AudioError as `Writer` does, and for another array.
    """
    wave = as_wave(wave)
    with Writer(path, sample_rate, len(wave), subtype, overwrite) as writer:
        writer.write(wave)
    return writer.clamped
