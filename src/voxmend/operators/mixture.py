"""Mixtures of sources."""

from torch import Tensor

from ..audio.errors import check_whole
from .base import Operator


class Mixture(Operator):
    """The sum of K sources, A(x) = Σ_k x_k.

    Shape: x `[B, K, T]` to y `[B, 1, T]`. Raises ValueError unless K is a whole number from 1 on.
    """

    linear = projects = sums_sources = True

    def __init__(self, sources: int = 2):
        check_whole(1, sources=sources)
        self.sources = sources

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """Shares the missing part of the mixture equally: x0_k + (y − Σ x0)/K."""
        return x0 + (y - self.forward(x0)) / x0.shape[1]

    def start(self, y: Tensor) -> Tensor:
        return (y / self.sources).expand(-1, self.sources, -1)
