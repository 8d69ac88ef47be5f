"""Hum of the mains: sinusoids at multiples of 50 or 60 Hz, estimated where speech pauses.

A comb of notches takes what speech has at those frequencies too. Here each harmonic is a slowly
varying phasor, whose estimate leans on the moments in which nothing else is in its band, and is
subtracted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import gaussian_filter1d

MAINS = (50.0, 60.0)  # Hz
STRAY = 0.8  # Hz that the mains, or the recorder's clock, may be off at the fundamental
HIGHEST = 4000.0  # Hz of the highest harmonic looked for
HOP, FRAME = 0.02, 0.08  # s; Hann frames of 4 periods of 50 Hz are blind to its other harmonics
LAGS = (0.2, 0.6, 2.0)  # s
SMOOTH = 1.0  # s, standard deviation of the window over which a phasor is averaged


@dataclass(frozen=True)
class Phasors:
    """Harmonics of the mains in a signal.

    Attributes:
        mains: the fundamental, Hz.
        values: A_k of A_k exp(2πi k f t) at every frame's centre, `[frames, K]`, complex; the
            signal holds their real part.
        deviations: their standard errors, `[frames, K]`.
    """

    mains: float
    values: np.ndarray
    deviations: np.ndarray

    @property
    def certainty(self) -> np.ndarray:
        """|A_k| over its standard error, the mean of its square over time, rooted. `[K]`."""
        power = (np.abs(self.values) ** 2).mean(0) / ((self.deviations**2).mean(0) + 1e-30)
        return np.sqrt(power)

    @property
    def powers(self) -> np.ndarray:
        """Mean power of every harmonic, ½|A_k|² less what the error adds. Shape: `[K]`."""
        power = np.abs(self.values) ** 2 - self.deviations**2
        return np.maximum(power.mean(0), 0) / 2


def demodulate(wave: np.ndarray, sample_rate: int, mains: float,
               highest: float = HIGHEST) -> np.ndarray:
    """A_k of every frame, Σ w x exp(−2πi k f t) · 2/Σ w, of all harmonics up to `highest` Hz.

    Shape: `[T]` to `[frames, K]`, complex; frame n is centred at n · `HOP` seconds.
    """
    size, hop = (round(seconds * sample_rate) for seconds in (FRAME, HOP))
    harmonics = np.arange(1, int(min(highest, 0.45 * sample_rate) / mains) + 1)
    frames = len(wave) // hop + 1
    padded = np.pad(wave, (size // 2, size))
    seen = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:frames]
    window = np.hanning(size + 1)[:-1]
    turn = 2j * np.pi * mains / sample_rate
    local = np.exp(-turn * np.outer(np.arange(size) - size // 2, harmonics)) * window[:, None]
    phase = np.exp(-turn * np.outer(np.arange(frames) * hop, harmonics))
    ends = np.pad(np.ones(len(wave)), (size // 2, size))
    weight = np.lib.stride_tricks.sliding_window_view(ends, size)[::hop][:frames] @ window
    real, imaginary = np.split(seen @ np.hstack([local.real, local.imag]), 2, axis=1)
    return (real + 1j * imaginary) * phase * (2 / np.maximum(weight, 0.2 * window.sum()))[:, None]


def averaged(phasors: np.ndarray, iterations: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Slow part of phasors and its standard error: means weighted by what else is there.

    A = Σ w z/Σ w in a Gaussian window of `SMOOTH`, w = 1/(|z − A|² + floor), iterated: the most
    likely A in noise of unknown power, which is Student's t (iteratively reweighted least squares).

    Shape: `[frames, K]` to the same twice.
    """
    width = min(SMOOTH / HOP, len(phasors) / 2)
    overlap = FRAME / HOP / 2  # neighbouring frames share most of what they see
    error = np.abs(phasors) ** 2
    for _ in range(iterations):
        around = gaussian_filter1d(error, overlap, 0)
        weight = 1 / (around + np.quantile(around, 0.2, axis=0) + 1e-20)
        total = gaussian_filter1d(weight, width, 0)
        mean = (gaussian_filter1d(weight * phasors.real, width, 0)
                + 1j * gaussian_filter1d(weight * phasors.imag, width, 0)) / total
        error = np.abs(phasors - mean) ** 2
    number = min(np.sqrt(4 * np.pi) * width, len(phasors)) / (2 * overlap)
    spread = gaussian_filter1d(weight**2 * error, width / np.sqrt(2), 0) / number
    return mean, np.sqrt(spread) / total


def find_phasors(wave: ArrayLike, sample_rate: int, mains: float,
                 highest: float = HIGHEST) -> Phasors:
    """Harmonics, up to `highest` Hz, of mains that are off their nominal frequency by `stray`.

    Shape: `[T]`.
    """
    wave = np.asarray(wave, np.float64)
    phasors = demodulate(wave, sample_rate, mains, highest)
    found = mains + stray(phasors)
    return Phasors(found, *averaged(demodulate(wave, sample_rate, found, highest)))


def stray(phasors: np.ndarray) -> float:
    """How far, in Hz, the mains are off the frequency at which phasors were demodulated.

    The f that makes Σ_k g_k Re c_k(τ) exp(−2πi k f τ) largest, where c_k is the correlation of A_k
    with itself τ later, in which loud moments count no more than soft ones, and g_k² the |A_k| of
    the soft ones, so that what leaks from a harmonic to its neighbours counts little.

    Shape: `[frames, K]`.
    """
    size = np.sqrt(gaussian_filter1d(np.abs(phasors) ** 2, FRAME / HOP / 2, 0)) + 1e-10
    strength = np.sqrt(np.quantile(size, 0.2, axis=0))
    phasors = phasors / size
    harmonics = np.arange(1, phasors.shape[1] + 1)
    grid = np.arange(-STRAY, STRAY, 0.001)
    score = np.zeros(len(grid))
    for seconds in LAGS:
        lag = min(round(seconds / HOP), len(phasors) // 2)
        alike = (phasors[lag:] * phasors[:len(phasors) - lag].conj()).mean(0) * strength
        score += (np.exp(-2j * np.pi * lag * HOP * np.outer(grid, harmonics)) @ alike).real
    return float(grid[np.argmax(score)])


def synthesise(phasors: Phasors, length: int, sample_rate: int,
               certain: float = 4.0) -> np.ndarray:
    """Σ_k Re g_k A_k(t) exp(2πi k f t), with A_k interpolated between the frames.

    g = 1 − σ²/|A|², the Wiener gain of what is known of a harmonic with a standard error of σ.

    Args:
        certain: how many standard errors a harmonic must exceed, else it is left out.

    Shape: `[length]`.
    """
    gain = np.maximum(1 - phasors.deviations**2 / (np.abs(phasors.values) ** 2 + 1e-30), 0)
    values = phasors.values * gain * (phasors.certainty >= certain)
    time, frames = np.arange(length) / sample_rate, np.arange(len(values)) * HOP
    wave, turn = np.zeros(length), np.exp(2j * np.pi * phasors.mains * time)
    carrier = np.ones_like(turn)
    for value in values.T:
        carrier = carrier * turn
        if value.any():
            wave += (np.interp(time, frames, value) * carrier).real
    return wave


def dehum(wave: ArrayLike, sample_rate: int, mains: float) -> np.ndarray:
    """A signal less the harmonics of the mains, of which the nominal frequency is known, Hz.

    Shape: `[T]` to the same, float64. Raises ValueError for a signal that is not 1-D.
    """
    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"hum removal takes a mono signal, not {list(wave.shape)}")
    return wave - synthesise(find_phasors(wave, sample_rate, mains), len(wave), sample_rate)
