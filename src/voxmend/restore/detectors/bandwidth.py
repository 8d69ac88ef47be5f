"""Lost bandwidth: a cliff in the spectrum of the loudest frames."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector
from .spectra import Spectra, quantile

HIGHEST_CUTOFF = 6500.0  # Hz; a cut above it is what lossy codecs do, and hardly heard


LOWEST_FRAMES = 8  # that tell a spectrum
GENTLE_DB, STEEP_DB = 36, 50  # of filters that are told, and mended
LOW_DB, VOICE_DB = 20, 12  # that a telephone takes of the lows, in the mean and at their peak


class Bandwidth(Detector):
    """Finds `Damage.cutoff`, below 90 % of the Nyquist frequency and 6.5 kHz, and `low_cutoff`.

    A filter so gentle that what it leaves is nearer to the truth than a new band is `Damage.dull`.
    The lows count as lost only where the highs are, as by a telephone: a high voice has none.
    """

    def __init__(self, spectra: Spectra):
        self.spectra = spectra

    def find(self, found: Damage) -> Damage:
        counts, frequencies = self.spectra.counts, self.spectra.frequencies
        if counts[0].sum() < LOWEST_FRAMES:
            return found
        loud, every = loud_frames(counts), loud_frames(self.spectra.every)
        cutoffs = (notch_frequency(loud, frequencies), cutoff_frequency(counts, frequencies),
                   slope_frequency(every, frequencies, STEEP_DB))
        cutoff = min(filter(None, cutoffs), default=None)
        dull = None if cutoff else slope_frequency(every, frequencies, GENTLE_DB)
        low = low_frequency(loud, frequencies) if cutoff else None
        return replace(found, cutoff=cutoff, low_cutoff=low, dull=dull)


def loud_frames(counts: np.ndarray) -> np.ndarray:
    """The 99 % quantile of the power, over three bins, in dB. Shape: `[F, P]` to `[F]`."""
    return quantile(np.stack([np.convolve(column, np.ones(3), "same") for column in counts.T], 1),
                    0.99)


def notch_frequency(loud: np.ndarray, frequencies: np.ndarray) -> float | None:
    """The frequency above which there are images of what lies below, or None.

    A recording whose samples were held or joined by lines, to raise its rate, has the mirror image
    of its spectrum above half of its former rate, and nothing there: 30 dB less than within 400 Hz
    on either side.

    Shape: loud quantile of the power, in dB, and frequencies `[F]` in Hz.
    """
    reach = round(400 / frequencies[1])
    last = int(np.searchsorted(frequencies, HIGHEST_CUTOFF))
    for middle in range(round(1500 / frequencies[1]), min(last, len(loud) - reach)):
        below, above = loud[middle - reach:middle].max(), loud[middle + 1:middle + reach + 1].max()
        if loud[middle] < min(below, above) - 30:
            inner = np.flatnonzero(loud[:middle] > below - 10)
            return float(frequencies[inner[-1]])
    return None


def slope_frequency(loud: np.ndarray, frequencies: np.ndarray, least: float) -> float | None:
    """The frequency from which a gentle filter takes more than speech lacks by itself, or None.

    Around 7 kHz speech lies rarely 30 dB below its mean of 1 to 3 kHz: what lies `least` dB below
    is a filter's. It begins where that mean is left for good by 15 dB. All frames must count: those
    that do not clip may hold no consonant.

    Shape: as `notch_frequency`.
    """
    if frequencies[-1] < 7200:
        return None
    middle = loud[(frequencies >= 1000) & (frequencies <= 3000)].mean()
    if loud[(frequencies >= 6800) & (frequencies <= 7200)].mean() > middle - least:
        return None
    edge = frequencies[np.flatnonzero(loud[frequencies <= 7200] > middle - 15)[-1]]
    return float(edge) if 1200 < edge < HIGHEST_CUTOFF else None


def low_frequency(loud: np.ndarray, frequencies: np.ndarray) -> float | None:
    """The frequency below which the lows are lost, or None.

    They are where 60 to 130 Hz lie 20 dB below 250 to 400 Hz in the mean, as they may in a high
    voice, and the peak of 60 to 160 Hz lies 12 dB below that of 350 to 700 Hz. The
    frequency is the highest below 400 Hz that lies 8 dB below the peak of 250 to 700 Hz.

    Shape: as `notch_frequency`.
    """
    def between(low: float, high: float) -> np.ndarray:
        return loud[(frequencies >= low) & (frequencies <= high)]

    if between(60, 130).mean() > between(250, 400).mean() - LOW_DB:
        return None
    if between(60, 160).max() > between(350, 700).max() - VOICE_DB:
        return None
    under = np.flatnonzero(loud[frequencies < 400] < between(250, 700).max() - 8)
    return float(frequencies[under[-1]])


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
