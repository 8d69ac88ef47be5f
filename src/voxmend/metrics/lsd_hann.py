"""Log-spectral distance with the frames of most papers on bandwidth extension."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from scipy.signal import get_window

from ._common import paired

SIZE, HOP = 2048, 512
FLOOR = 1e-8


def lsd_hann(estimate: ArrayLike, reference: ArrayLike, sample_rate: int | None = None) -> float:
    """RMS difference of two log spectra, averaged over frames, in dB; lower is better.

    LSD = meanₙ √(meanₖ (10 log10(|S|² + 10⁻⁸) − 10 log10(|Ŝ|² + 10⁻⁸))²) over frames of 2048
    samples every 512, whatever the rate, with a periodic Hann window, centred, reflected at the
    ends. Some papers print a tenth of it, the distance of log10 powers.
    (Lu et al. 2024, AP-BWE, section IV; Liu et al. 2022, NVSR)

    Shape: `[T]`, `[T]` to a float in dB.

    Raises ValueError for signals that are not 1-D, differ in length or have 1024 samples or less.
    """
    estimate, reference = paired(estimate, reference)
    if len(reference) <= SIZE // 2:
        raise ValueError(f"this LSD needs more than {SIZE // 2} samples, not {len(reference)}")

    def decibels(wave: np.ndarray) -> np.ndarray:
        frames = sliding_window_view(np.pad(wave, SIZE // 2, mode="reflect"), SIZE)[::HOP]
        power = np.abs(np.fft.rfft(frames * get_window("hann", SIZE))) ** 2
        return 10 * np.log10(power + FLOOR)

    difference = decibels(reference) - decibels(estimate)
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())
