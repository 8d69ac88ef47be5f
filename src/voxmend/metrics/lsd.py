"""Log-spectral distance."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from ._common import paired, whole


def _power(wave: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    padded = np.pad(wave, n_fft // 2, mode="reflect")
    frames = sliding_window_view(padded, n_fft)[::hop]
    return np.abs(np.fft.rfft(frames)) ** 2


def lsd(estimate: ArrayLike, reference: ArrayLike, sample_rate: int) -> float:
    """RMS difference of two log10 power spectra, averaged over frames; lower is better.

    LSD = meanₙ √(meanₖ log10(|S|²/(|Ŝ|² + 10⁻⁹) + 10⁻⁹)²) over rectangular frames of 46.4 ms
    (743 samples at 16 kHz) every 10 ms, centred, reflected at the ends. The constants are for
    signals in −1…1: the distance is *not* invariant to scale. (Iashchenko et al. 2023, UnDiff)

    Shape: `[T]`, `[T]` to a float in log10 units (1 is 10 dB).

    Raises ValueError for signals that are not 1-D, differ in length or are shorter than 23.2 ms,
    and for a rate that is no whole number of Hz from 4000 on.
    """
    (estimate, reference), sample_rate = paired(estimate, reference), whole(sample_rate)
    n_fft, hop = round(2048 / 44100 * sample_rate), round(sample_rate / 100)
    if len(reference) <= n_fft // 2:
        raise ValueError(f"LSD needs more than {n_fft // 2} samples, not {len(reference)}")
    ratio = _power(reference, n_fft, hop) / (_power(estimate, n_fft, hop) + 1e-9)
    return float(np.sqrt(np.mean(np.log10(ratio + 1e-9) ** 2, axis=1)).mean())
