"""Noise reduction for stationary noise of any spectrum, whose floor is read off the pauses."""

import itertools

import numpy as np
from numpy.typing import ArrayLike

from .decision_directed import analyse, decision_directed, weigh

HOP = 0.016  # s; frames of 64 ms tell noise below a voice from the voice
LOWEST = 20  # percent of the frames of a bin, which hold noise alone
LASTING, STEP_DB = 1.2, 8.0  # s that noise lasts, and how far it is above what was before
NEAR_DB, OFTEN = 3.0, 0.25  # such a share of frames of noise and speech is so near to noise
SOME = 128  # bins, spread over all, that tell whether there is noise
NOISE_DB = 5.3, 7.4  # `likeness` of noise
SCATTER_DB = 1.1  # of one bin; noise that fills few, as rumble, may be so much more unlike


def noise_floor(power: np.ndarray) -> np.ndarray:
    """Mean power of the noise in every bin: what 20 % of the frames do not exceed, over −ln 0.8.

    Powers of noise are exponentially distributed; of frames that hold speech, too, hardly one is
    among the lowest.

    Shape: `[frames, bins]` to `[bins]`.
    """
    return np.percentile(power, LOWEST, axis=0) / -np.log(1 - LOWEST / 100) + 1e-20


def onset(power: np.ndarray, lasting: int) -> int:
    """The first frame of noise that sets in and stays, or 0.

    From there on a quarter of the frames lie within 3 dB of the lowest, bins spread as noise does,
    and their floor, in the median, is 8 dB above that of the frames before.

    Args:
        lasting: frames that there must be on either side.

    Shape: `[frames, bins]`.
    """
    apart = max(1, power.shape[1] // SOME)
    decibels = 10 * np.log10(np.maximum(power, 1e-14))
    level, some, best, found = decibels.mean(1), decibels[:, ::apart], STEP_DB, 0
    for start in range(lasting, len(power) - lasting, max(1, lasting // 8)):
        after = level[start:]
        if np.mean(after < np.percentile(after, 2) + NEAR_DB) < OFTEN:
            continue
        low = np.percentile(some[start:], LOWEST, axis=0)
        step = np.median(low - np.percentile(some[:start], LOWEST, axis=0))
        if step > best and is_noise(power[start:, ::apart]):
            before = level[:start + lasting // 4]
            softer = np.flatnonzero(before < np.percentile(after, LOWEST) - NEAR_DB)
            best, found = step, int(softer[-1]) + 1 if len(softer) else 0
    return found


def stretches(power: np.ndarray, frame_seconds: float = HOP) -> list[slice]:
    """The frames between which noise sets in or ends, in order; one slice if it does not.

    Shape: `[frames, bins]`.
    """
    lasting, size = round(LASTING / frame_seconds), len(power)
    begin, end = onset(power, lasting), onset(power[::-1], lasting)
    cuts = sorted({0, size, begin, size - end})
    return [slice(*pair) for pair in itertools.pairwise(cuts)]


def tracked_floor(power: np.ndarray, frame_seconds: float = HOP) -> np.ndarray:
    """The `noise_floor` of every one of the `stretches`. Shape: `[frames, bins]` to the same."""
    floors = np.empty_like(power)
    for part in stretches(power, frame_seconds):
        floors[part] = noise_floor(power[part])
    return floors


def likeness(power: np.ndarray) -> float:
    """How the low frames of bins spread, 10 log₁₀ of their 20 % over their 5 % quantile, in dB.

    6.4 in noise, whose powers are exponentially distributed, ln 0.8/ln 0.95. Words and the tail of
    a room fade away and spread more, hum hardly spreads. The mean over the bins, weighted by their
    floor.

    Shape: `[frames, bins]`.
    """
    least, low = np.percentile(power, [5, LOWEST], axis=0) + 1e-20
    return float(np.sum(low * 10 * np.log10(low / least)) / np.sum(low))


def is_noise(power: np.ndarray) -> bool:
    """Whether low frames spread as those of noise, for as many bins as hold it.

    Shape: `[frames, bins]`.
    """
    low = np.percentile(power, LOWEST, axis=0) + 1e-20
    bins = np.sum(low) ** 2 / np.sum(low**2)
    return NOISE_DB[0] < likeness(power) < NOISE_DB[1] + SCATTER_DB / np.sqrt(bins)


def floor_power(wave: np.ndarray, sample_rate: int) -> float:
    """Power of the noise in the stretch that has most of it, without what is constant.

    A floor that is not spread as noise is, is none.

    Shape: `[T]`, float64.
    """
    _, spectrum, seconds = analyse(wave, sample_rate, HOP)
    power, most = np.abs(spectrum[:, 1:]) ** 2, 0.0
    for part in stretches(power, seconds):
        if is_noise(power[part]):
            most = max(most, float(noise_floor(power[part]).mean()))
    return most


def floor_denoise(wave: ArrayLike, sample_rate: int, smoothing: float = 0.92,
                  floor_db: float = -20.0) -> np.ndarray:
    """Wiener filter for noise of any stationary spectrum, or several in turn.

    As `wiener_denoise`, with the noise's power of every bin from `tracked_floor`.

    Args:
        smoothing: α.
        floor_db: ξ_min in dB; higher leaves more noise and fewer musical tones.

    Shape: `[T]` to `[T]`, float64. Raises ValueError for a signal that is not 1-D.
    """
    def gains(power: np.ndarray, frame_seconds: float) -> np.ndarray:
        posterior = np.minimum(power / tracked_floor(power, frame_seconds), 1e6)
        return decision_directed(posterior, smoothing, floor_db)

    return weigh(wave, sample_rate, HOP, gains)
