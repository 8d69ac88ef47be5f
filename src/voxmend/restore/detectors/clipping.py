"""Clipping: samples that pile up at a level."""

from dataclasses import replace

import numpy as np

from ..damage import Clipping as Stretch
from ..damage import Damage, decibel
from .base import Detector, View

LOWEST, COLUMNS = -160, 32000  # dB of the first column of a histogram, and how many, 0.01 dB each


class Clipping(Detector):
    """Finds `Damage.clipping` and marks `View.clipped`."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.amplitudes = np.zeros((2, COLUMNS), np.int64)

    def update(self, view: View) -> None:
        counts = histogram(view.own)
        self.amplitudes += counts
        level = clip_level(counts)
        if level is not None:
            view.clipped[:] = np.abs(view.wave) >= Stretch(level).floor

    def find(self, found: Damage) -> Damage:
        level = clip_level(self.amplitudes)
        if level is None:
            return found
        first = int((decibel(level) - LOWEST - 0.1) * 100)
        share = self.amplitudes[:, first:].sum() / max(self.amplitudes.sum(), 1)
        return replace(found, clipping=(Stretch(level),), clipped=float(share))


def histogram(wave: np.ndarray) -> np.ndarray:
    """Samples by sign and level; zeros are left out. Shape: `[n]` to `[2, COLUMNS]`."""
    wave = wave[wave != 0]
    column = np.clip((decibel(wave) - LOWEST) * 100, 0, COLUMNS - 1).astype(np.int64)
    column += COLUMNS * (wave < 0)
    return np.bincount(column, minlength=2 * COLUMNS).reshape(2, -1)


def clip_level(amplitudes: np.ndarray) -> float | None:
    """The level at which samples pile up, or None.

    In either sign, the fullest 0.02 dB of the top 0.1 dB hold at least 10 samples and 5 times
    what the next 1 dB holds per non-empty 0.01 dB; of two levels, the lower.

    Shape: `[2, A]` as of `histogram`.
    """
    columns = [column for row in amplitudes if (column := clip_column(row))]
    return 10 ** ((min(columns) / 100 + LOWEST) / 20) if columns else None


def clip_column(row: np.ndarray) -> int | None:
    """Column of an amplitude histogram where the signal is cut off sharply. Shape: `[A]`."""
    top = int(np.flatnonzero(row)[-1]) if row.any() else 0
    if top < 200:
        return None
    near, below = row[top - 10:top + 1], row[top - 110:top - 10]
    pairs = near[:-1] + near[1:]
    usual = max(below.sum() / max(np.count_nonzero(below), 1), 1)
    if pairs.max() < max(10, 5 * usual):
        return None
    return top - 10 + int(np.argmax(pairs)) + 1
