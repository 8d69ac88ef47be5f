"""Stationary background noise: the floor of the spectrum."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector
from .spectra import LOWEST_POWER, Spectra, quantile

NEGLIGIBLE_DB = 25  # below the speech
SPREAD_DB = 8.0  # from the 5 % to the 20 % quantile, of what is no noise
FAINTEST = 1e-6  # RMS: 120 dB under full scale, and near to the lowest power that is counted


class Noise(Detector):
    """Finds `Damage.noise`, unless it lies 25 dB below the speech; looks below `found.cutoff`."""

    def __init__(self, spectra: Spectra):
        self.spectra = spectra

    def find(self, found: Damage) -> Damage:
        counts, frequencies = self.spectra.counts, self.spectra.frequencies
        if counts[0].sum() < self.spectra.fewest:
            return found
        rms = noise_rms(counts, frequencies, found.cutoff)
        if rms is None or rms < FAINTEST:
            return found
        loud = found.rms**2 > (1 + 10 ** (NEGLIGIBLE_DB / 10)) * rms**2
        return found if loud else replace(found, noise=rms)


def noise_rms(counts: np.ndarray, frequencies: np.ndarray, cutoff: float | None) -> float | None:
    """RMS of the white noise as dense as the band's noise floor in its 40 % quietest bins, or None.

    In each bin the powers p of stationary noise are exponentially distributed, and speech is
    louder. So the noise's mean power m solves E[p | p < t] = m (1 − c/(eᶜ − 1)) with c = t/m ≈ 2:
    iterated from the lowest tenth of the frames upwards, until speech is cut off. Of noise the 20 %
    quantile lies 6.4 dB over the 5 % one; where it lies 8 dB or more, speech without a pause does.

    Shape: counts `[F, P]`, frequencies `[F]` in Hz.
    """
    band = (frequencies > 150) & (frequencies < 0.95 * (cutoff or frequencies[-1]))
    counts = counts[band]
    if not counts.any():
        return None
    power = 10 ** ((np.arange(counts.shape[1]) + LOWEST_POWER + 0.5) / 10)
    number, energy = counts.cumsum(-1), (counts * power).cumsum(-1)
    mean = 10 ** (quantile(counts, 0.1) / 10) / -np.log(0.9) / 2
    for _ in range(30):
        column = np.round(10 * np.log10(2 * mean) - LOWEST_POWER).clip(1, len(power))
        column = column.astype(int)[:, None] - 1
        ratio = 10 ** ((column[:, 0] + 1 + LOWEST_POWER) / 10) / mean
        kept = np.take_along_axis(energy, column, -1) / np.maximum(
            np.take_along_axis(number, column, -1), 1)
        mean = np.maximum(kept[:, 0] / (1 - ratio / np.expm1(ratio)), 1e-13)
    quiet = counts[mean <= np.quantile(mean, 0.4)]
    if np.median(quantile(quiet, 0.2) - quantile(quiet, 0.05)) > SPREAD_DB:
        return None
    return float(np.sqrt(np.quantile(mean, 0.4)))
