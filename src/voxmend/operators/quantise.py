"""Coarse quantisation."""

import math

import torch
from torch import Tensor

from .base import Operator, check_inside


class Quantise(Operator):
    """Uniform quantisation, A(x) = Δ·round(x/Δ).

    Args:
        step: Δ, in the units of the scaled signal; raises ValueError unless positive.

    >>> Quantise(0.5)(torch.tensor([[[0.3, -0.6]]]))
    tensor([[[ 0.5000, -0.5000]]])
    """

    projects = True

    def __init__(self, step: float):
        check_inside(0, math.inf, step=step)
        self.step = float(step)

    def forward(self, x: Tensor) -> Tensor:
        return torch.round(x / self.step) * self.step

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """x0 moved into the cell (y − Δ/2, y + Δ/2), off whose edges rounding would leave it."""
        rounding = 4 * torch.finfo(y.dtype).eps * (y.abs() + self.step)
        half = (self.step / 2 - rounding).clamp(min=0)
        return torch.maximum(torch.minimum(x0, y + half), y - half)

    def residual(self, x0: Tensor, y: Tensor) -> Tensor:
        """How far x0 lies outside y's cell; unlike y − A(x0) it has a gradient."""
        return self.project(x0, y) - x0
