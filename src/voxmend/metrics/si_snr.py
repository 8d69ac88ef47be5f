"""Scale-invariant signal-to-noise ratio."""

from numpy.typing import ArrayLike

from ._common import paired
from .si_sdr import si_sdr


def si_snr(estimate: ArrayLike, reference: ArrayLike, sample_rate: int | None = None) -> float:
    """Energy of the estimate along the reference over the energy of the rest; higher is better.

    SI-SNR = 10 log10(‖αs‖² / ‖ŝ − αs‖²), α = ⟨ŝ, s⟩/‖s‖², both signals without their means.
    (Le Roux et al. 2019, "SDR – half-baked or well done?")

    Args:
        estimate, reference: ŝ and s, on any scale.
        sample_rate: not used; every metric takes it.

    Shape: `[T]`, `[T]` to a float in dB: inf for a perfect estimate, nan where either is silent,
    as all that is constant is here.

    Raises ValueError for signals that are not 1-D or differ in length.

    >>> round(si_snr([3.0, 1.0, -3.0, -1.0], [1.0, 0.0, -1.0, 0.0]), 2)  # 10 log10(18 / 2)
    9.54
    """
    found, wanted = paired(estimate, reference)
    found, wanted = (x - x[0] for x in (found, wanted))  # of a constant nothing is left, not 1e-17
    return si_sdr(found - found.mean(), wanted - wanted.mean())
