"""Signals in memory: as recordings, at another rate, of another length."""

from collections.abc import Iterator

import numpy as np
import soxr
from numpy.typing import ArrayLike

from .errors import AudioError, check_finite, check_layout, check_type

BLOCK = 1 << 16  # samples per channel, where the caller has no preference


def as_wave(wave: ArrayLike) -> np.ndarray:
    """The array; raises AudioError unless it is one of floats, `[C, T]`."""
    wave = np.asarray(wave)
    if wave.ndim != 2:
        raise AudioError(f"array of shape {wave.shape}: give it as [channels, samples]")
    check_type(wave)
    return wave


class ArrayReader:
    """An array with the interface of `Reader`.

    Shape: float `[C, T]`, −1…1. Raises AudioError for what `Reader` refuses in a file.
    """

    def __init__(self, wave: np.ndarray, sample_rate: int):
        wave = as_wave(wave)
        self.path, self.subtype = "array", "FLOAT"
        self.channels, self.frames = wave.shape
        check_layout(self.path, sample_rate, self.channels)
        self.sample_rate = int(sample_rate)  # which may be a whole float
        if self.frames == 0:
            raise AudioError(f"{self.path}: holds no samples: give it at least one")
        self._wave = wave

    def blocks(self, size: int = BLOCK) -> Iterator[np.ndarray]:
        """As `Reader.blocks`.

        Shape: float32 `[C, n]`. Raises AudioError for non-finite samples.
        """
        for start in range(0, self.frames, size):
            block = self._wave[:, start:start + size].astype(np.float32, order="C")
            check_finite(self.path, block, start, self.sample_rate)
            yield block


def resample(wave: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """The signal at another sample rate (Hz), by soxr's HQ filter; its length is ⌊T·to/from + ½⌋.

    Shape: `[C, T]` to float32 `[C, ⌊T·to/from + ½⌋]`. Raises ValueError for rates below 1 Hz.
    """
    wave = np.ascontiguousarray(wave, np.float32)
    if from_rate == to_rate:
        return wave
    length = (2 * wave.shape[1] * to_rate + from_rate) // (2 * from_rate)
    out = soxr.resample(np.ascontiguousarray(wave.T), from_rate, to_rate, "HQ")[:length]
    return np.ascontiguousarray(np.pad(out, ((0, length - len(out)), (0, 0))).T)


def fit(wave: np.ndarray, length: int) -> np.ndarray:
    """A signal cut, or padded with zeros at its end, to a length.

    Shape: `[C, T]` to `[C, length]`.
    """
    return np.pad(wave[:, :length], ((0, 0), (0, max(0, length - wave.shape[1]))))
