"""Interpolation of missing samples: autoregressive (Janssen) and cubic spline."""

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.linalg import solveh_banded
from scipy.signal import fftconvolve


def burg(wave: np.ndarray, order: int) -> np.ndarray:
    """Prediction-error filter of an autoregressive process, by Burg's method (1975).

    e[n] = Σₖ a[k] x[n − k] with a[0] = 1; each reflection coefficient minimises the forward and
    backward prediction error together, so the filter is stable.

    Shape: `[T]` to `[order + 1]`; `order` below T.
    """
    filter_ = np.ones(1)
    forward, backward = wave[1:], wave[:-1]
    for _ in range(order):
        energy = forward @ forward + backward @ backward
        reflection = -2 * (forward @ backward) / energy if energy > 0 else 0.0
        filter_ = np.append(filter_, 0) + reflection * np.append(filter_, 0)[::-1]
        forward, backward = ((forward + reflection * backward)[1:],
                             (backward + reflection * forward)[:-1])
    return filter_


def _precision_times(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """R⁻¹x for the covariance R of an AR process of unit innovation (Gohberg–Semencul)."""
    def product(column):  # L Lᵀ x for the lower-triangular Toeplitz matrix L
        transposed = fftconvolve(column, x[::-1])[:len(x)][::-1]
        return fftconvolve(column, transposed)[:len(x)]

    mirrored = np.zeros(len(x))
    mirrored[len(x) - len(a) + 1:] = a[:0:-1]
    return product(a) - product(mirrored)


def _precision_band(a: np.ndarray, where: np.ndarray, length: int) -> np.ndarray:
    """R⁻¹ at the rows and columns `where`, as the lower band that `solveh_banded` takes.

    R⁻¹[i, j] = Σₖ a[k] a[k + |i − j|], k up to min(i, j, length − 1 − i, length − 1 − j).
    """
    order = len(a) - 1
    lagged = np.lib.stride_tricks.sliding_window_view(np.append(a, np.zeros(order)), order + 1)
    sums = np.cumsum(a * lagged, axis=1)  # [lag, last k]
    width = min(order, len(where) - 1) + 1
    rows = np.append(where, np.full(width - 1, where[-1] + order + 1))
    rows = np.lib.stride_tricks.sliding_window_view(rows, width).T  # [width, len(where)]
    lag = rows - where
    last = np.clip(np.minimum(where, length - 1 - rows), 0, order)
    return np.where(lag <= order, sums[np.minimum(lag, order), last], 0)


def janssen(wave: np.ndarray, missing: np.ndarray, order: int, iterations: int = 3) -> np.ndarray:
    """Missing samples of one short segment as the most likely ones of an autoregressive process.

    Alternates between a filter a for the filled segment (Burg) and the samples that minimise
    xᵀR(a)⁻¹x, which is the energy of the prediction error with stationary ends.
    (Janssen, Veldhuis & Vries 1986)

    Args:
        wave: the segment; the missing samples hold the first guess.
        missing: True at the samples to fill.
        order: of the process; lowered to half the length of a shorter segment.
        iterations: alternations.

    Shape: `[T]`, `[T]` to `[T]`, float64.
    """
    wave, where = wave.astype(np.float64), np.flatnonzero(missing)
    order = min(order, (len(wave) - 1) // 2)
    for _ in range(iterations if len(where) else 0):
        a = burg(wave, order)
        band = _precision_band(a, where, len(wave))
        band[0] += 1e-9 * band[0].max()
        known = np.where(missing, 0, wave)
        wave[where] = -solveh_banded(band, _precision_times(a, known)[where], lower=True)
    return wave
