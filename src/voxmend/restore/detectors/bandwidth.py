"""Lost bandwidth: a cliff in the spectrum of the loudest frames."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector
from .spectra import Spectra, quantile

HIGHEST_CUTOFF = 6500.0  # Hz; a cut above it is what lossy codecs do, and hardly heard


class Bandwidth(Detector):
    """Finds `Damage.cutoff`, below 90 % of the Nyquist frequency and 6.5 kHz."""

    def __init__(self, spectra: Spectra):
        self.spectra = spectra

    def find(self, found: Damage) -> Damage:
        cutoff = cutoff_frequency(self.spectra.counts, self.spectra.frequencies)
        return replace(found, cutoff=cutoff)


def cutoff_frequency(counts: np.ndarray, frequencies: np.ndarray) -> float | None:
    """The frequency above which only the floor is left, or None.

    Judged on the 99 % quantile of the power, over three bins, that is on the loudest frames:
    either it falls by 28 dB within 400 Hz and never rises again, or (in noise) it falls by 5 dB
    within 200 Hz and from there on exceeds the median by no more than noise does.

    Shape: counts `[F, P]`, frequencies `[F]` in Hz.
    """
    spread = np.stack([np.convolve(column, np.ones(3), "same") for column in counts.T], 1)
    if spread.sum(-1).max(initial=0) < 24:
        return None
    width = frequencies[1]
    near, far = round(150 / width), round(500 / width)
    loud, usual = quantile(spread, 0.99), quantile(spread, 0.5)
    usable = round(0.985 * len(loud))
    last = np.searchsorted(frequencies, min(HIGHEST_CUTOFF, 0.9 * frequencies[-1]))
    above = np.maximum.accumulate(loud[:usable][::-1])[::-1]
    below = np.convolve(loud, np.ones(far - near) / (far - near), "valid")
    drop = below[:last - far] - above[far + near:last + near]
    steepest = int(np.argmax(drop))
    if drop[steepest] >= 28:
        edge = steepest + np.flatnonzero(loud[steepest:last + near] > below[steepest] - 10)[-1]
        return float(frequencies[edge])
    noise_spread = 10 * np.log10(np.log(100) / np.log(2))
    modulated = np.flatnonzero((loud - usual)[:usable] > noise_spread + 2)
    edge = modulated[-1] if len(modulated) else 0
    if not 1200 < frequencies[edge] < frequencies[last]:
        return None
    inner = slice(edge - near - 1, edge)
    step = loud[inner].mean() - loud[edge + near - 1:edge + 2 * near].mean()
    speech = (loud - usual)[inner].mean() - noise_spread
    return float(frequencies[edge]) if step > 5 and speech > 4 else None
