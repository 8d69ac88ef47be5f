"""Interpolation of missing samples: autoregressive (Janssen) and cubic spline."""

from functools import cache

import numpy as np
import scipy  # whose signal is loaded where it is used
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline
from scipy.linalg import solve_toeplitz, solveh_banded
from threadpoolctl import ThreadpoolController

from ..dsp.runs import runs

_libraries = cache(ThreadpoolController)


def _prediction_filter(wave: np.ndarray, order: int) -> np.ndarray:
    """Prediction-error filter, a[0] = 1, from the Hann-windowed autocorrelation (Yule–Walker)."""
    windowed = wave * np.hanning(len(wave) + 2)[1:-1]
    correlation = scipy.signal.fftconvolve(windowed, windowed[::-1])[len(wave) - 1:]
    correlation = correlation[:order + 1]
    correlation[0] = correlation[0] * (1 + 1e-9) + 1e-12  # white noise at −90 dB
    return np.append(1.0, -solve_toeplitz(correlation[:-1], correlation[1:]))


def _precision_times(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """R⁻¹x for the covariance R of an AR process of unit innovation (Gohberg–Semencul)."""
    def product(column: np.ndarray) -> np.ndarray:  # L Lᵀ x, L the lower-triangular Toeplitz matrix
        transposed = scipy.signal.fftconvolve(column, x[::-1])[:len(x)][::-1]
        return scipy.signal.fftconvolve(column, transposed)[:len(x)]

    mirrored = np.zeros(len(x))
    mirrored[len(x) - len(a) + 1:] = a[:0:-1]
    return product(a) - product(mirrored)


def _precision_band(a: np.ndarray, where: np.ndarray, length: int) -> np.ndarray:
    """R⁻¹ at the rows and columns `where`, as the lower band that `solveh_banded` takes.

    R⁻¹[i, j] = Σₖ a[k] a[k + |i − j|], k up to min(i, j, length − 1 − i, length − 1 − j).
    """
    order = len(a) - 1
    lagged = sliding_window_view(np.append(a, np.zeros(order)), order + 1)
    sums = np.cumsum(a * lagged, axis=1)  # [lag, last k]
    width = min(order, len(where) - 1) + 1
    rows = np.append(where, np.full(width - 1, where[-1] + order + 1))
    rows = sliding_window_view(rows, len(where))  # [width, len(where)]
    lag = rows - where
    last = np.clip(np.minimum(where, length - 1 - rows), 0, order)
    return np.where(lag <= order, sums[np.minimum(lag, order), last], 0)


def _solve(a: np.ndarray, where: np.ndarray, length: int, right: np.ndarray) -> np.ndarray:
    """The x of R⁻¹x = `right`, with the rows and columns `where` of R⁻¹.

    Those of one gap that is far from the ends are a Toeplitz matrix.
    """
    order = len(a) - 1
    if np.ptp(where) < len(where) and min(where[0], length - 1 - where[-1]) >= order:
        column = np.zeros(max(len(where), order + 1))
        column[:order + 1] = np.correlate(np.append(a, np.zeros(order)), a, "valid")
        column[0] *= 1 + 1e-12
        return solve_toeplitz(column[:len(where)], right)
    band = _precision_band(a, where, length)
    band[0] += 1e-12 * band[0].max()
    with _libraries().limit(limits=1, user_api="blas"):  # threads would wait at every column
        return solveh_banded(band, right, lower=True)


def janssen(wave: np.ndarray, missing: np.ndarray, order: int = 256,
            iterations: int = 3) -> np.ndarray:
    """Missing samples of one short segment as the most likely ones of an autoregressive process.

    Alternates between a prediction filter a for the filled segment and the samples that minimise
    xᵀR(a)⁻¹x, the energy of the prediction error with stationary ends.
    (Janssen, Veldhuis & Vries 1986, "Adaptive interpolation of discrete-time signals that can be
    modeled as autoregressive processes", whose sum of squares leaves the ends out)

    Args:
        wave: the segment; the missing samples hold the first guess.
        missing: True at the samples to fill.
        order: of the process; at most half the segment's length is used.
        iterations: alternations.

    Shape: `[T]`, `[T]` bool to `[T]`, float64.
    """
    wave, where = np.array(wave, np.float64), np.flatnonzero(missing)
    order = min(order, (len(wave) - 1) // 2)
    known = np.where(missing, 0, wave)
    for _ in range(iterations if len(where) else 0):
        a = _prediction_filter(wave, order)
        wave[where] = -_solve(a, where, len(wave), _precision_times(a, known)[where])
    return wave


def _checked(wave: ArrayLike, missing: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    wave, missing = np.array(wave, np.float64), np.array(missing, bool)
    if wave.ndim != 1 or wave.shape != missing.shape:
        raise ValueError("interpolation takes a mono signal and a mask of the same length, "
                         f"not {list(wave.shape)} and {list(missing.shape)}")
    if np.count_nonzero(~missing) < 2:
        raise ValueError("interpolation needs at least two reliable samples")
    return wave, missing


def ar_interpolate(wave: ArrayLike, missing: ArrayLike, order: int = 256, context: int = 1000,
                   iterations: int = 3) -> np.ndarray:
    """Fill every gap by `janssen` from the samples around it.

    Other gaps within the context are unknown too, so neighbouring gaps are solved together. Of a
    gap of more than ten times the context, of whose inside the samples around it say nothing, five
    times the context is filled at either end, and silence remains between.

    Args:
        wave: the signal; what it holds at missing samples is not used.
        missing: True at the samples to fill.
        order: of the autoregressive process.
        context: samples used on either side of a gap (1000 are 62.5 ms at 16 kHz).
        iterations: alternations between filter and samples.

    Shape: `[T]`, `[T]` bool to `[T]`, float64.

    Raises ValueError when the lengths differ or fewer than two samples are reliable.
    """
    wave, missing = _checked(wave, missing)
    wave[missing] = 0
    filled = wave.copy()
    for start, stop in runs(missing):
        missing[start + 5 * context:max(0, stop - 5 * context)] = False
    for start, stop in runs(missing):
        segment = slice(max(0, start - context), stop + context)
        gap = slice(start - segment.start, stop - segment.start)
        filled[start:stop] = janssen(wave[segment], missing[segment], order, iterations)[gap]
    return filled


def cubic_interpolate(wave: ArrayLike, missing: ArrayLike) -> np.ndarray:
    """Fill gaps with the cubic spline through the reliable samples (not-a-knot ends).

    Before the first and after the last reliable sample that sample's value is held.

    Shape: `[T]`, `[T]` bool to `[T]`, float64.

    Raises ValueError when the lengths differ or fewer than two samples are reliable.

    >>> cubic_interpolate([0., 1., 8., 0., 64., 125.], [False, False, False, True, False, False])[3]
    np.float64(27.0)
    """
    wave, missing = _checked(wave, missing)
    reliable, where = np.flatnonzero(~missing), np.flatnonzero(missing)
    spline = CubicSpline(reliable, wave[reliable])
    wave[where] = spline(where.clip(reliable[0], reliable[-1]))
    return wave
