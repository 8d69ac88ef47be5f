"""Whether a channel sounds like speech at all: its spectrum changes, and its level does."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector, View
from .short_time import FRAME, bands, frame_powers

EDGES = (200.0, 600.0, 1200.0, 2400.0, 4800.0)  # Hz
LAG = 3  # frames, 48 ms: neighbours that share no sample
ACTIVE_DB = 30  # below the loudest frames; what is softer tells nothing
ALIKE, PURE, STEADY_DB = 0.975, 0.99, 6.0  # of music, of a tone, of noise
MASKED_DB = 21.0  # speech rises by more over what is heard in its pauses: in a room of 0.8 s, by 31
SHAPE, FLOOR_DB = 0.88, 40  # of notes that decay, and how far below their peak they are looked at
REST = 0.005  # of the energy that hum leaves to speech
FEWEST = 20  # pairs of frames that tell something
LONG = 90  # frames in which speech pauses: 1.4 s
LOWEST, LEVELS, SHARES = -140, 200, 400  # dB of the first of the levels, 1 dB each


class Speech(Detector):
    """Clears `Damage.speech` of what is a tone, a chord, steady music, or noise or hum alone.

    Notes keep their spectrum: the cosine of the magnitudes of two frames 48 ms apart has a median
    above 0.975, while speech, in a room or in noise of its own level, too, stays below 0.96. Notes
    that decay keep at least its shape: the correlation of the logarithms has a lower quartile above
    0.93, that of speech is below 0.81.
    A gliding or trembling tone has all its power, 0.99 in the median, in one peak of the spectrum.
    Noise keeps its level: in no band of an octave do the 10th and the 95th percentile of the power
    differ by 6 dB. Hum is nothing but `View.hum`.

    Sets `Damage.masked` where these differ by less than 21 dB in speech of which nothing before
    says why.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.pairs = np.zeros((LEVELS, SHARES), np.int64)
        self.peaks = np.zeros_like(self.pairs)
        self.shapes = np.zeros_like(self.pairs)
        self.levels = np.zeros((len(EDGES) - 1, LEVELS), np.int64)
        self.energy, self.rest = 0.0, 0.0

    def update(self, view: View) -> None:
        rest = view.own - view.hum
        self.energy += float(np.sum(view.own.astype(np.float64) ** 2))
        self.rest += float(np.sum(rest**2))
        power = frame_powers(rest, self.sample_rate)
        if len(power) <= LAG:
            return
        paired = power[1:] + power[:-1]
        for band, level in enumerate(bands(paired, EDGES).T):
            self.levels[band] += np.bincount(column(level), minlength=LEVELS)
        total = power.sum(1) + 1e-20
        level = column(10 * np.log10(total))
        np.add.at(self.peaks, (level, share(peak(power) / total)), 1)
        power = power[:, 2:round(8000 * FRAME)]
        shape = np.log(power + power.max(1, keepdims=True) * 10 ** (-FLOOR_DB / 10) + 1e-20)
        shape -= shape.mean(1, keepdims=True)
        both = np.minimum(level[LAG:], level[:-LAG])
        np.add.at(self.pairs, (both, share(likeness(np.sqrt(power)))), 1)
        np.add.at(self.shapes, (both, share(likeness(shape))), 1)

    def find(self, found: Damage) -> Damage:
        if 0 < self.energy * REST >= self.rest:
            return replace(found, speech=False)
        loudest = quantile(self.pairs.sum(1), 0.95)
        active = slice(max(loudest - ACTIVE_DB, 1), None)
        pairs, peaks = self.pairs[active].sum(0), self.peaks[active].sum(0)
        if pairs.sum() < FEWEST:
            return found
        changes = (quantile(pairs, 0.5) < ALIKE * SHARES and quantile(peaks, 0.5) < PURE * SHARES
                   and quantile(self.shapes[active].sum(0), 0.25) < SHAPE * SHARES)
        span = max(quantile(counts, 0.95) - quantile(counts, 0.1) for counts in self.levels)
        speech = changes and span >= STEADY_DB
        told = found.noise or found.coloured or found.reverberation
        return replace(found, speech=speech, masked=bool(
            speech and span < MASKED_DB and not told and self.levels[0].sum() >= LONG))


def likeness(frames: np.ndarray) -> np.ndarray:
    """The cosine of every frame and the one `LAG` later. `[frames, bins]` to `[frames − LAG]`."""
    frames = frames / (np.linalg.norm(frames, axis=1, keepdims=True) + 1e-20)
    return (frames[LAG:] * frames[:-LAG]).sum(1)


def peak(power: np.ndarray) -> np.ndarray:
    """Power of the largest bin and two on either side. Shape: `[frames, bins]` to `[frames]`."""
    centre = power.argmax(1)[:, None] + np.arange(5)
    return np.take_along_axis(np.pad(power, ((0, 0), (2, 2))), centre, 1).sum(1)


def share(value: np.ndarray) -> np.ndarray:
    """Columns of a histogram of numbers from 0 to 1."""
    return (value * SHARES).clip(0, SHARES - 1).astype(int)


def column(decibels: np.ndarray) -> np.ndarray:
    """Columns of a histogram of levels."""
    return (decibels - LOWEST).clip(0, LEVELS - 1).astype(int)


def quantile(counts: np.ndarray, q: float) -> int:
    """The first column up to which there is a share q of the counts."""
    total = counts.cumsum()
    return int(np.searchsorted(total, q * total[-1]))
