"""How often every frequency had every power: what detectors of spectra read."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .base import Detector, View

LOWEST_POWER, POWERS = -130, 240  # dB of the first column of `Spectra.counts`, and how many
LEAST = 0.25  # s of frames that tell something: the floor of a syllable is its own
HIGHEST = 8250.0  # Hz of the last bin: all that a prior of 16 kHz hears


class Spectra(Detector):
    """Counts of the powers of frames of 32 ms, every 16 ms, up to 8.25 kHz.

    Frames in which something is missing (`View.silent`), or far louder than the speech
    (`View.events`), are left out.

    Attributes:
        fewest: frames that tell something.
        frequencies: of the bins, in Hz, `[F]`.
        every, unclipped: frames by bin and power (1 dB from −130 dB; white noise of variance 1 has
            0 dB), of all frames and of those without a clipped sample, `[F, P]`.
    """

    def __init__(self, sample_rate: int):
        size = 2 ** round(np.log2(0.032 * sample_rate))
        self.hop = size // 2
        self.fewest = round(LEAST * sample_rate / self.hop)
        window = np.hanning(size + 1)[:-1]
        self.window = (window / np.sqrt(np.sum(window**2))).astype(np.float32)
        frequencies = np.fft.rfftfreq(size, 1 / sample_rate)
        self.frequencies = frequencies[frequencies <= HIGHEST]
        self.every = np.zeros((len(self.frequencies), POWERS), np.int64)
        self.unclipped = np.zeros_like(self.every)

    def update(self, view: View) -> None:
        size = len(self.window)
        first, last = view.inner.start, view.inner.stop
        last = min(last + size - self.hop, len(view.wave))
        if last - first < size:
            return
        piece = slice(first, last)
        frames, unheard, clipped = (sliding_window_view(array[piece], size)[::self.hop] for array in
                                   (view.wave, view.silent | view.events, view.clipped))
        intact = ~np.any(unheard, -1)
        clean = ~np.any(clipped, -1)[intact]
        power = np.abs(np.fft.rfft(frames[intact].astype(np.float32) * self.window)) ** 2
        power = power[:, :len(self.frequencies)]
        column = (10 * np.log10(power + 1e-20) - LOWEST_POWER).clip(0, POWERS - 1).astype(np.int64)
        column += POWERS * np.arange(column.shape[1])
        self.every += self._counted(column)
        self.unclipped += self._counted(column[clean])

    def _counted(self, column: np.ndarray) -> np.ndarray:
        return np.bincount(column.ravel(), minlength=self.every.size).reshape(self.every.shape)

    @property
    def counts(self) -> np.ndarray:
        """Of the frames without a clipped sample or, if those are too few, of all. `[F, P]`."""
        return self.unclipped if self.unclipped[0].sum() >= self.fewest else self.every


def quantile(counts: np.ndarray, q: float) -> np.ndarray:
    """The power, in dB, that a share q of the frames does not exceed. Shape: `[F, P]` to `[F]`."""
    total = counts.cumsum(-1)
    wanted = q * total[:, -1]
    column = np.argmax(total >= wanted[:, None], -1)[:, None]
    inside = np.take_along_axis(counts, column, -1)[:, 0]
    before = np.take_along_axis(total, column, -1)[:, 0] - inside
    return column[:, 0] + LOWEST_POWER + (wanted - before) / np.maximum(inside, 1)
