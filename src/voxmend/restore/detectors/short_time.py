"""Short-time spectra of a view, for detectors that follow a sound through time."""

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

FRAME, HOP = 0.032, 0.016  # s


def frame_powers(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """|X|² of Hann frames of 32 ms every 16 ms; none of less than a frame.

    White noise of variance 1 has 1 in every bin.

    Shape: `[n]` to `[frames, bins]`.
    """
    size, hop = round(FRAME * sample_rate), round(HOP * sample_rate)
    if len(wave) < size:
        return np.zeros((0, size // 2 + 1))
    window = np.hanning(size + 1)[:-1]
    frames = sliding_window_view(wave.astype(np.float64), size)[::hop]
    return np.abs(np.fft.rfft(frames * window)) ** 2 / np.sum(window**2)


def bands(power: np.ndarray, edges: tuple[float, ...]) -> np.ndarray:
    """Powers summed between neighbouring edges, in Hz, in dB; bands above the bins are left out.

    Shape: `[frames, bins]` to `[frames, ≤ len(edges) − 1]`.
    """
    places = [round(edge * FRAME) for edge in edges]
    pairs = [pair for pair in pairwise(places) if pair[1] <= power.shape[1]]
    sums = [power[:, first:last].sum(1) for first, last in pairs]
    return 10 * np.log10(np.stack(sums, 1) + 1e-20) if sums else np.zeros((len(power), 0))
