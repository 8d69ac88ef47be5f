"""What networks are told beside the signal: Fourier features and the noise level of a DDPM."""

import math

import torch
from torch import Tensor, nn


class RandomFourierFeatures(nn.Module):
    """cos(2πgv), then sin(2πgv), of scalars v at frequencies g drawn once from N(0, 1).

    Shape: `[N]` to `[N, 2 · frequencies]`.
    """

    gaussian: Tensor

    def __init__(self, frequencies: int):
        super().__init__()
        self.register_buffer("gaussian", torch.randn(1, frequencies))

    def forward(self, v: Tensor) -> Tensor:
        angle = 2 * math.pi * v[:, None] * self.gaussian
        return torch.cat([angle.cos(), angle.sin()], dim=-1)


class FourierFeatures(nn.Module):
    """cos(2πfv), then sin(2πfv), of scalars v; 32 frequencies f, 10^−1.5 … 10 in equal ratios.

    Shape: `[N]` to `[N, 64]`.
    """

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * math.pi * torch.logspace(-1.5, 1, 32),
                             persistent=False)

    def forward(self, v: Tensor) -> Tensor:
        angle = v[:, None] * self.frequencies
        return torch.cat([angle.cos(), angle.sin()], dim=-1)


class NoiseEmbedding(nn.Module):
    """UnDiff's noise level: Fourier features of log10 β, then two linear layers with SiLU.

    Shape: `[B]`, β of the diffusion step, to `[B, 512]`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rff = RandomFourierFeatures(64)
        self.proj1, self.proj2 = nn.Linear(128, 512), nn.Linear(512, 512)

    def forward(self, beta: Tensor) -> Tensor:
        h = nn.functional.silu(self.proj1(self.rff(beta.log10())))
        return nn.functional.silu(self.proj2(h))
