"""Clicks and pops: samples that an autoregressive model of the signal does not explain."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import binary_dilation, maximum_filter1d, percentile_filter

from .interpolation import ar_interpolate

FRAME, ORDER = 0.05, 0.002  # s, of the stretches with a prediction filter each, and of the filter
BIN = 0.001  # s, in which the largest prediction error counts
NEAR, FAR = 3, 15  # bins on either side between which a click is compared with its surroundings


def prediction_filters(frames: np.ndarray, order: int) -> np.ndarray:
    """Filters of linear prediction, a[0] = 1, of Hann-windowed frames (Levinson–Durbin).

    Shape: `[N, T]` to `[N, order + 1]`.
    """
    windowed = frames * np.hanning(frames.shape[1] + 2)[1:-1]
    size = 2 * next_fast_len(-(-(frames.shape[1] + order) // 2))  # so long that no lag wraps round
    power = np.abs(np.fft.rfft(windowed, size)) ** 2
    correlation = np.fft.irfft(power)[:, :order + 1]
    correlation[:, 0] = correlation[:, 0] * (1 + 1e-9) + 1e-12  # white noise at −90 dB
    a, error = np.eye(1, order + 1).repeat(len(frames), 0), correlation[:, 0].copy()
    for m in range(1, order + 1):
        reflection = -(a[:, :m] * correlation[:, m:0:-1]).sum(1) / error
        a[:, 1:m + 1] += reflection[:, None] * a[:, m - 1::-1][:, :m]
        error *= 1 - reflection**2
    return a


def prediction_error(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """The smaller of the errors of linear prediction forwards and backwards in time.

    One alone would ring on for the filter's length. Of frames of 50 ms, cross-faded, each with the
    filter of the 100 ms around it; the first and last samples, of which nothing is predicted, are
    0.

    Shape: `[T]` to the same, not negative.
    """
    frame, order = 2 * round(FRAME * sample_rate / 2), round(ORDER * sample_rate)
    window, hop = np.hanning(frame + 1)[:-1], frame // 2
    padded = np.pad(wave, (frame, 2 * frame))
    frames = sliding_window_view(padded, 2 * frame)[:len(wave) + hop:hop]
    spectrum = rfft(frames.astype(np.float32))
    response = rfft(prediction_filters(frames, order).astype(np.float32), 2 * frame)
    errors = np.zeros((2, len(padded)))
    for row, filtered in zip(errors, (response, response.conj()), strict=True):
        inner = irfft(spectrum * filtered)[:, hop:hop + frame] * window
        halves = inner.reshape(len(inner), 2, hop)  # of frames that overlap by half
        added = np.pad(halves[:, 0], ((0, 1), (0, 0))) + np.pad(halves[:, 1], ((1, 0), (0, 0)))
        row[hop:hop + added.size] = added.ravel()
    error = np.abs(errors).min(0)[frame:frame + len(wave)]
    error[:order] = error[-order:] = 0
    return error


def _aside(bins: np.ndarray, share: float) -> np.ndarray:
    """Of the bins `NEAR` to `FAR` before and those after, the larger percentile. `[n]` to same."""
    size = FAR - NEAR + 1
    far = np.pad(bins, FAR)
    centred = percentile_filter(far, share, size=size)
    middle = (FAR + NEAR) // 2
    return np.maximum(np.roll(centred, middle), np.roll(centred, -middle))[FAR:-FAR]


def _bins(error: np.ndarray, size: int) -> np.ndarray:
    return np.pad(error, (0, -len(error) % size)).reshape(-1, size).max(1)


def certain_clicks(wave: ArrayLike, sample_rate: int,
                   ratio: float = 8.0) -> tuple[np.ndarray, np.ndarray]:
    """Where, in samples, a millisecond stands out of all around it, and its prediction error.

    It exceeds all errors of the 15 ms before and the 15 ms after (but for the nearest 2 ms), as
    neither a voice's pulses nor the burst of a plosive does.

    Args:
        ratio: how often.

    Shape: `[T]` to `[N]`, int, and `[N]`.
    """
    wave = np.asarray(wave, np.float64)
    size = max(1, round(BIN * sample_rate))
    if len(wave) < 2 * FAR * size:
        return np.zeros(0, int), np.zeros(0)
    peaks = _bins(prediction_error(wave, sample_rate), size)
    alone = peaks >= maximum_filter1d(peaks, 2 * NEAR - 1)
    found = np.flatnonzero(alone & (peaks > np.maximum(ratio * _aside(peaks, 100), 1e-6)))
    return found * size, peaks[found]


def find_clicks(wave: np.ndarray, sample_rate: int, ratio: float, least: float) -> np.ndarray:
    """The samples that clicks have spoiled, of a signal known to have some. `[T]` to `[T]`, bool.

    Args:
        ratio: of the prediction error to the 80th percentile around.
        least: the error that a click must reach.
    """
    size = max(1, round(BIN * sample_rate))
    error = prediction_error(wave, sample_rate)
    peaks = _bins(error, size)
    usual = _aside(peaks, 80)
    hits = peaks > np.maximum(ratio * usual, least)
    hits = maximum_filter1d(hits, 5)
    spoiled = error > np.repeat(np.where(hits, 0.5 * ratio * usual, np.inf), size)[:len(error)]
    return binary_dilation(spoiled, iterations=max(1, size // 4))


def declick(wave: ArrayLike, sample_rate: int, ratio: float = 6.0, least: float = 0.3,
            passes: int = 3) -> np.ndarray:
    """Clicks found by linear prediction and bridged by `ar_interpolate`.

    In several passes, since a click hides those beside it and bends the filter that finds it.
    (Godsill & Rayner 1998, "Digital Audio Restoration", chapter 5)

    Args:
        ratio: of a click's prediction error to what is usual around it.
        least: the error that a click must reach, as a share of the signal's RMS.
        passes: of finding.

    Shape: `[T]` to the same, float64. Raises ValueError for a signal that is not 1-D.
    """
    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"click removal takes a mono signal, not {list(wave.shape)}")
    if len(wave) < 2 * FAR * max(1, round(BIN * sample_rate)):
        return wave
    spoiled, mended = np.zeros(len(wave), bool), wave
    for _ in range(passes):
        spoiled |= find_clicks(mended, sample_rate, ratio, least * float(np.std(mended)))
        if np.count_nonzero(~spoiled) < 2:
            return wave
        mended = ar_interpolate(wave, spoiled, round(ORDER * sample_rate),
                                round(FRAME * sample_rate))
    return mended
