"""Whether a channel sounds like speech at all: its spectrum changes, and its level does."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector, View
from .short_time import bands, frame_powers

EDGES = (200.0, 600.0, 1200.0, 2400.0, 4800.0)  # Hz
LAG = 3  # frames, 48 ms: neighbours that share no sample
ACTIVE_DB = 30  # below the loudest frames; what is softer tells nothing
ALIKE, STEADY_DB = 0.975, 6.0  # of music and of noise
FEWEST = 20  # pairs of frames that tell something
LOWEST, LEVELS, LIKENESSES = -140, 200, 400  # dB of the first of the levels, 1 dB each


class Speech(Detector):
    """Clears `Damage.speech` of what is a tone, a chord, steady music, or noise alone.

    Notes keep their spectrum: the cosine of the magnitudes of two frames 48 ms apart has a median
    above 0.975, while speech, in a room or in noise of its own level, too, stays below 0.96.
    Noise keeps its level: in no band of an octave do the 10th and the 95th percentile of the power
    differ by 6 dB.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.pairs = np.zeros((LEVELS, LIKENESSES), np.int64)
        self.levels = np.zeros((len(EDGES) - 1, LEVELS), np.int64)

    def update(self, view: View) -> None:
        power = frame_powers(view.own - view.hum, self.sample_rate)
        if len(power) <= LAG:
            return
        paired = power[1:] + power[:-1]
        for band, level in enumerate(bands(paired, EDGES).T):
            self.levels[band] += np.bincount(column(level), minlength=LEVELS)
        spectrum = np.sqrt(power[:, 2:round(8000 * 0.032)])
        spectrum /= np.linalg.norm(spectrum, axis=1, keepdims=True) + 1e-20
        alike = (spectrum[LAG:] * spectrum[:-LAG]).sum(1)
        total = 10 * np.log10(power.sum(1) + 1e-20)
        softer = column(np.minimum(total[LAG:], total[:-LAG]))
        place = (alike * LIKENESSES).clip(0, LIKENESSES - 1).astype(int)
        np.add.at(self.pairs, (softer, place), 1)

    def find(self, found: Damage) -> Damage:
        loudest = quantile(self.pairs.sum(1), 0.95)
        active = self.pairs[max(loudest - ACTIVE_DB, 1):].sum(0)
        if active.sum() < FEWEST:
            return found
        alike = quantile(active, 0.5) / LIKENESSES
        span = max(quantile(counts, 0.95) - quantile(counts, 0.1) for counts in self.levels)
        return replace(found, speech=alike < ALIKE and span >= STEADY_DB)


def column(decibels: np.ndarray) -> np.ndarray:
    """Columns of a histogram of levels."""
    return (decibels - LOWEST).clip(0, LEVELS - 1).astype(int)


def quantile(counts: np.ndarray, q: float) -> int:
    """The first column up to which there is a share q of the counts."""
    total = counts.cumsum()
    return int(np.searchsorted(total, q * total[-1]))
