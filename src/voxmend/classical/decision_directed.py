"""Noise reduction by gains in the bins of an STFT, with the decision-directed a-priori SNR."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..dsp.stft import STFT


def analyse(wave: np.ndarray, sample_rate: int, hop: float) -> tuple[STFT, np.ndarray, float]:
    """A transform, what it makes of a wave, and the seconds between its frames.

    Args:
        hop: seconds between frames, rounded to samples; a frame has four times that.

    Shape: `[T]` to `[frames, bins]`, complex.
    """
    samples = max(1, round(hop * sample_rate))
    stft = STFT(4 * samples, samples)
    return stft, stft.forward(torch.from_numpy(wave)[None])[0].numpy(), samples / sample_rate


def weigh(wave: ArrayLike, sample_rate: int, hop: float,
          gains: Callable[[np.ndarray, float], np.ndarray]) -> np.ndarray:
    """The signal whose bins are those of another, times gains.

    Args:
        hop: as in `analyse`.
        gains: of the powers of all bins, `[frames, bins]`, and the seconds between frames.

    Shape: `[T]` to `[T]`, float64. Raises ValueError for a signal that is not 1-D.
    """
    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"noise reduction takes a mono signal, not {list(wave.shape)}")
    stft, spectrum, seconds = analyse(wave, sample_rate, hop)
    weighed = spectrum * gains(np.abs(spectrum) ** 2, seconds)
    return stft.inverse(torch.from_numpy(weighed)[None], len(wave))[0].numpy()


def wiener_gain(prior: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """G = ξ/(1 + ξ)."""
    return prior / (1 + prior)


def decision_directed(posterior: np.ndarray, smoothing: float, floor_db: float,
                      gain: Callable[[np.ndarray, np.ndarray], np.ndarray] = wiener_gain,
                      first: float | None = None) -> np.ndarray:
    """Gains G(ξ, γ), ξ[n] = max(α G²[n−1] γ[n−1] + (1 − α) max(γ[n] − 1, 0), ξ_min).

    Args:
        posterior: γ, the a-posteriori SNR.
        smoothing: α.
        floor_db: ξ_min in dB.
        gain: G of the a-priori SNR ξ and γ.
        first: G²γ before the first frame, by default that frame's max(γ − 1, 0).

    Shape: `[frames, bins]` to the same.
    Source: Ephraim & Malah 1984, "Speech enhancement using a minimum mean-square error short-time
    spectral amplitude estimator", eq. 51.
    """
    gains, floor = np.empty_like(posterior), 10 ** (floor_db / 10)
    previous = first if first is not None else np.maximum(posterior[0] - 1, 0)
    for row, seen in zip(gains, posterior, strict=True):
        prior = np.maximum(smoothing * previous + (1 - smoothing) * np.maximum(seen - 1, 0), floor)
        row[:] = gain(prior, seen)
        previous = row**2 * seen
    return gains
