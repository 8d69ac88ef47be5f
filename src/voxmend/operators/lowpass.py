"""Lost bandwidth."""

import math

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..dsp.degrade import lowpass_taps
from .base import Operator, check_inside
from .evidence import Evidence


class Lowpass(Operator):
    """Linear-phase low-pass filter, A(x) = h ∗ x, with the taps of `degrade.lowpass_taps`.

    Args:
        cutoff: −6 dB point, Hz.
        sample_rate: Hz.
        width: transition band, Hz.

    The filter is symmetric, so Aᵀ = A; stop band under −60 dB.

    Raises ValueError unless cutoff ± width/2 lies within 0…sample_rate/2.
    """

    linear = projects = True

    def __init__(self, cutoff: float, sample_rate: int = 16000, width: float = 200.0):
        check_inside(0, math.inf, sample_rate=sample_rate, width=width)
        check_inside(0, sample_rate / 2, cutoff=cutoff)
        self.cutoff, self.sample_rate, self.width = float(cutoff), sample_rate, float(width)
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

    def forward(self, x: Tensor) -> Tensor:
        response, size = self._response(x.shape[-1], x)
        return torch.fft.irfft(torch.fft.rfft(x, size) * response, size)[..., :x.shape[-1]]

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """x0 + Aᵀ(y − A x0): UnDiff's eq. 7 with the adjoint, exact but for the transition band.

        Unlike the pseudo-inverse it amplifies nothing where 0 < H < 1, and unlike the printed
        equation it lets nothing of an estimated y into the stop band.
        """
        return x0 + self.forward(y - self.forward(x0))

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence:
        """What is left of the band; a band has no samples to be marked."""
        return Evidence.of(y if guess is None else guess)

    def blank(self, noise: Tensor) -> Tensor:
        """That in the lost band."""
        return noise - self.forward(self.forward(noise))
