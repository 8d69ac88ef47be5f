"""Noise reduction for stationary noise of any spectrum, whose floor is read off the pauses."""

import itertools

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..dsp.stft import STFT

HOP = 0.016  # s; frames of 64 ms tell noise below a voice from the voice
LOWEST = 20  # percent of the frames of a bin, which hold noise alone
LASTING, STEP_DB = 1.2, 10.0  # s that noise lasts, and how far it is above what was before
NEAR_DB, OFTEN = 3.0, 0.15  # such a share of frames of noise and speech is so near to noise

NOISE_DB = 5.3, 7.4  # `likeness` of noise


def noise_floor(power: np.ndarray) -> np.ndarray:
    """Mean power of the noise in every bin: what 20 % of the frames do not exceed, over −ln 0.8.

    Powers of noise are exponentially distributed; of frames that hold speech, too, hardly one is
    among the lowest.

    Shape: `[frames, bins]` to `[bins]`.
    """
    return np.percentile(power, LOWEST, axis=0) / -np.log(1 - LOWEST / 100) + 1e-20


def onset(level: np.ndarray, lasting: int) -> int | None:
    """The first frame of noise that sets in and stays, or None.

    Before it the level often falls by 10 dB below the lowest that it reaches from there on, which
    it reaches often: between words speech falls to the noise, and without noise further.

    Args:
        level: of frames, dB.
        lasting: frames that there must be on either side.

    Shape: `[frames]`.
    """
    lowest = np.minimum.accumulate(level[::-1])[::-1]
    for start in range(lasting, len(level) - lasting, max(1, lasting // 12)):
        if np.mean(level[:start] < lowest[start] - STEP_DB) > OFTEN:
            after = level[start:]
            if np.mean(after < lowest[start] + NEAR_DB) > OFTEN:
                return start - int(np.argmax(level[:start][::-1] < lowest[start] - STEP_DB / 2))
    return None


def stretches(power: np.ndarray, frame_seconds: float = HOP) -> list[slice]:
    """The frames between which noise sets in or ends, in order; one slice if it does not.

    Shape: `[frames, bins]`.
    """
    level = 10 * np.log10(np.maximum(power, 1e-14)).mean(1)
    lasting, size = round(LASTING / frame_seconds), len(level)
    begin, end = onset(level, lasting), onset(level[::-1], lasting)
    cuts = sorted({0, size, begin or 0, size - (end or 0)})
    return [slice(*pair) for pair in itertools.pairwise(cuts)]


def tracked_floor(power: np.ndarray, frame_seconds: float = HOP) -> np.ndarray:
    """The `noise_floor` of every one of the `stretches`. Shape: `[frames, bins]` to the same."""
    floors = np.empty_like(power)
    for part in stretches(power, frame_seconds):
        floors[part] = noise_floor(power[part])
    return floors


def _spectrum(wave: np.ndarray, sample_rate: int) -> tuple[STFT, np.ndarray, float]:
    """The transform, what it makes of a wave, `[frames, bins]`, and seconds between frames."""
    hop = max(1, round(HOP * sample_rate))
    stft = STFT(4 * hop, hop)
    return stft, stft.forward(torch.from_numpy(wave)[None])[0].numpy(), hop / sample_rate


def likeness(power: np.ndarray) -> float:
    """How the low frames of bins spread, 10 log₁₀ of their 20 % over their 5 % quantile, in dB.

    6.4 in noise, whose powers are exponentially distributed, ln 0.8/ln 0.95. Words and the tail of
    a room fade away and spread more, hum hardly spreads. The mean over the bins, weighted by their
    floor.

    Shape: `[frames, bins]`.
    """
    least, low = np.percentile(power, [5, LOWEST], axis=0) + 1e-20
    return float(np.sum(low * 10 * np.log10(low / least)) / np.sum(low))


def floor_power(wave: np.ndarray, sample_rate: int) -> float:
    """Power of the noise in the stretch that has most of it, without what is constant.

    A floor that is not spread as noise is, is none.

    Shape: `[T]`, float64.
    """
    _, spectrum, seconds = _spectrum(wave, sample_rate)
    power, most = np.abs(spectrum[:, 1:]) ** 2, 0.0
    for part in stretches(power, seconds):
        if NOISE_DB[0] < likeness(power[part]) < NOISE_DB[1]:
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
    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"the Wiener filter takes a mono signal, not {list(wave.shape)}")
    stft, spectrum, seconds = _spectrum(wave, sample_rate)
    power = np.abs(spectrum) ** 2
    posterior = np.minimum(power / tracked_floor(power, seconds), 1e6)
    gains, previous, floor = np.empty_like(power), np.maximum(posterior[0] - 1, 0), 10 ** (
        floor_db / 10)
    for gain, seen in zip(gains, posterior, strict=True):
        prior = np.maximum(smoothing * previous + (1 - smoothing) * np.maximum(seen - 1, 0), floor)
        gain[:] = prior / (1 + prior)
        previous = gain**2 * seen
    return stft.inverse(torch.from_numpy(spectrum * gains)[None], len(wave))[0].numpy()
