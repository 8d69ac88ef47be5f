"""Missing samples."""

import math

import torch
from torch import Tensor

from ..baselines.interpolation import ar_interpolate
from .base import Operator, by_channel


class Gap(Operator):
    """Gaps, A(x) = m · x with m = 1 where the recording is present.

    Args:
        present: the mask m, `[T]` or anything that broadcasts over `[B, C, T]`.
        sample_rate: Hz.

    >>> Gap(torch.tensor([1.0, 0.0]))(torch.ones(1, 1, 2))
    tensor([[[1., 0.]]])
    """

    linear = True

    def __init__(self, present: Tensor, sample_rate: int = 16000):
        self.present, self.sample_rate = present.bool(), sample_rate

    @classmethod
    def between(cls, gaps, length: int, sample_rate: int) -> "Gap":
        """From gaps in seconds, `[(start, end), …]`, for a signal of `length` samples."""
        present = torch.ones(length, dtype=torch.bool)
        for start, end in gaps:
            present[max(0, round(start * sample_rate)):max(0, round(end * sample_rate))] = False
        return cls(present, sample_rate)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.present.to(x)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        return torch.where(self.present.to(x0.device), y, x0)

    def start(self, y: Tensor) -> Tensor:
        """Autoregressive interpolation (`baselines.interpolation`).

        Its order and context grow with the root of the sample rate: in proportion they would be
        slower and no better.
        """
        if self.present.sum() < 2:
            return y
        growth = math.sqrt(self.sample_rate / 16000)
        order, context = round(128 * growth), round(1600 * growth)
        return by_channel(lambda wave, missing: ar_interpolate(wave, missing, order, context),
                          y, ~self.present.to(y.device))

    def blank(self, noise: Tensor) -> Tensor:
        return noise if self.present.sum() < 2 else torch.zeros_like(noise)
