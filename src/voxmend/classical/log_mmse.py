"""Noise reduction by the log-spectral amplitude estimator, which tracks the noise itself."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import exp1

from .decision_directed import decision_directed, weigh


def track_noise(power: np.ndarray, presence_db: float = 15.0, smoothing: float = 0.8) -> np.ndarray:
    """Noise power in every bin, from the probability that there is speech in it.

    P = 1/(1 + (1 + ξ) e^{−γ ξ/(1 + ξ)}), γ = |Y|²/σ² with the σ² of the frame before, and then
    σ² ← α σ² + (1 − α)((1 − P)|Y|² + P σ²). Where P stays near 1 for long it is kept below 0.99, so
    that the track cannot stick. The first frames are taken for noise.

    Args:
        power: |Y|² of frames every 8 ms.
        presence_db: ξ of speech where there is some, dB.
        smoothing: α.

    Shape: `[frames, bins]` to the same.
    Source: Gerkmann & Hendriks 2012, "Unbiased MMSE-based noise power estimation with low
    complexity and low tracking delay", algorithm 1.
    """
    ratio = 10 ** (presence_db / 10)
    noise = power[:10].mean(0) + 1e-12
    tracked, usual = np.empty_like(power), np.full(power.shape[1], 0.5)
    for row, frame in zip(tracked, power, strict=True):
        exponent = np.minimum(frame / noise * ratio / (1 + ratio), 200)
        speech = 1 / (1 + (1 + ratio) * np.exp(-exponent))
        usual = 0.9 * usual + 0.1 * speech
        speech = np.where(usual > 0.99, np.minimum(speech, 0.99), speech)
        noise = smoothing * noise + (1 - smoothing) * ((1 - speech) * frame + speech * noise)
        row[:] = noise
    return tracked


def log_mmse_gain(prior: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """G = ξ/(1 + ξ) exp(½ E₁(v)), v = γ ξ/(1 + ξ), which minimises E (log A − log Â)².

    Source: Ephraim & Malah 1985, "Speech enhancement using a minimum mean-square error log-spectral
    amplitude estimator", eq. 20.

    >>> round(float(log_mmse_gain(np.array(1e6), np.array(1e6))), 4)  # hardly any noise
    1.0
    """
    wiener = prior / (1 + prior)
    return wiener * np.exp(0.5 * exp1(np.maximum(posterior * wiener, 1e-10)))


def log_mmse_denoise(wave: ArrayLike, sample_rate: int, smoothing: float = 0.98,
                     floor_db: float = -15.0) -> np.ndarray:
    """Log-MMSE enhancement with decision-directed a-priori SNR and a noise track of its own.

    ξ[n] = max(α G²[n−1] γ[n−1] + (1 − α) max(γ[n] − 1, 0), ξ_min), in frames of 32 ms every 8 ms.
    (Ephraim & Malah 1984 and 1985)

    Args:
        wave: noisy speech.
        sample_rate: in Hz.
        smoothing: α.
        floor_db: ξ_min in dB; higher leaves more noise and fewer musical tones.

    Shape: `[T]` to `[T]`, float64. Raises ValueError for a signal that is not 1-D.
    """
    def at_most_one(prior: np.ndarray, posterior: np.ndarray) -> np.ndarray:
        return np.minimum(log_mmse_gain(prior, posterior), 1)

    def gains(power: np.ndarray, _: float) -> np.ndarray:
        posterior = np.minimum(power / track_noise(power), 1e4)
        return decision_directed(posterior, smoothing, floor_db, at_most_one, first=1.0)

    return weigh(wave, sample_rate, 0.008, gains)
