"""Additive noise."""

import math

from torch import Tensor

from .base import Operator, check_inside


class WhiteNoise(Operator):
    """White Gaussian noise of known level, y = x + n with n ~ N(0, σ_y²).

    Args:
        std: σ_y, in the units of the scaled signal; raises ValueError unless positive.

    `forward` is the mean, the identity: the noise itself belongs to the observation.
    """

    linear = keeps_white = projects = identity = True

    def __init__(self, std: float):
        check_inside(0, math.inf, std=std)
        self.noise_std = float(std)

    def forward(self, x: Tensor) -> Tensor:
        return x

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        return y
