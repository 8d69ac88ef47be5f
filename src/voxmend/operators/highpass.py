"""Lost lows."""

from torch import Tensor

from .lowpass import Lowpass


class Highpass(Lowpass):
    """Linear-phase high-pass filter, A(x) = x − h ∗ x, with h that of a `Lowpass`.

    Args:
        cutoff: −6 dB point, Hz.
        sample_rate: Hz.
        width: transition band, Hz.

    Raises ValueError as a `Lowpass`.
    """

    def __init__(self, cutoff: float, sample_rate: int = 16000, width: float = 100.0):
        super().__init__(cutoff, sample_rate, width)

    def _response(self, length: int, like: Tensor) -> tuple[Tensor, int]:
        response, size = super()._response(length, like)
        return 1 - response, size
