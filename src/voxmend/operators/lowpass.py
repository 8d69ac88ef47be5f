"""Lost bandwidth."""

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..degrade import lowpass_taps
from .base import Operator


class Lowpass(Operator):
    """Linear-phase low-pass filter, A(x) = h ∗ x, with the taps of `degrade.lowpass_taps`.

    Args:
        cutoff: −6 dB point, Hz.
        sample_rate: Hz.
        width: transition band, Hz.
        regularisation: ε of the pseudo-inverse used by `project`.

    The filter is symmetric, so Aᵀ = A; stop band under −60 dB.
    """

    linear = True

    def __init__(self, cutoff: float, sample_rate: int = 16000, width: float = 200.0,
                 regularisation: float = 0.01):
        if not 0 < cutoff < sample_rate / 2:
            raise ValueError(f"cut-off {cutoff} Hz must lie between 0 and {sample_rate / 2:g} Hz")
        self.cutoff, self.sample_rate, self.width = float(cutoff), sample_rate, float(width)
        self.regularisation = regularisation
        self._taps = torch.from_numpy(lowpass_taps(cutoff, sample_rate, width).copy())
        self._responses: dict = {}

    def _response(self, length: int, like: Tensor) -> tuple[Tensor, int]:
        """Real frequency response (zero phase) on a grid long enough not to wrap around."""
        size = next_fast_len(length + len(self._taps) - 1, real=True)
        key = (size, like.device, like.dtype)
        if key not in self._responses:
            taps = torch.zeros(size, dtype=torch.float64)
            half = len(self._taps) // 2
            taps[:len(self._taps)] = self._taps
            response = torch.fft.rfft(taps.roll(-half)).real
            self._responses = {key: response.to(like)}
        return self._responses[key], size

    def _filter(self, x: Tensor, inverse: bool) -> Tensor:
        response, size = self._response(x.shape[-1], x)
        if inverse:
            response = response / (response.square() + self.regularisation)
        return torch.fft.irfft(torch.fft.rfft(x, size) * response, size)[..., :x.shape[-1]]

    def forward(self, x: Tensor) -> Tensor:
        return self._filter(x, inverse=False)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """x0 + A⁺(y − A x0) with A⁺ = H/(H² + ε): UnDiff's eq. 7, exact also where 0 < H < 1."""
        return x0 + self._filter(y - self.forward(x0), inverse=True)
