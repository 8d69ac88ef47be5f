"""Scale-invariant signal-to-distortion ratio, as most papers print it."""

import numpy as np
from numpy.typing import ArrayLike

from ._common import paired


def si_sdr(estimate: ArrayLike, reference: ArrayLike, sample_rate: int | None = None) -> float:
    """SI-SNR of signals as they are: their means count, and a constant offset is an error.

    SI-SDR = 10 log10(‖αs‖² / ‖ŝ − αs‖²), α = ⟨ŝ, s⟩/‖s‖².
    (Le Roux et al. 2019, "SDR – half-baked or well done?", eq. 5)

    Shape: `[T]`, `[T]` to a float in dB: inf for a perfect estimate, nan where either is silent.

    Raises ValueError for signals that are not 1-D or differ in length.

    >>> round(si_sdr([3.0, 1.0, -3.0, -1.0], [1.0, 0.0, -1.0, 0.0]), 2)  # 10 log10(18 / 2)
    9.54
    """
    found, wanted = paired(estimate, reference)
    with np.errstate(divide="ignore", invalid="ignore"):
        target = wanted * (found @ wanted / (wanted @ wanted))
        residual = found - target
        return float(10 * np.log10((target @ target) / (residual @ residual)))
