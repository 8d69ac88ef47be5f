"""The noise level as UnDiff's networks are told it: random Fourier features of log10 β."""

import math

import torch
from torch import Tensor, nn


class NoiseEmbedding(nn.Module):
    """φ = [cos 2πg·log10 β, sin 2πg·log10 β], then two linear layers with SiLU.

    The frequencies g ~ N(0, 1) are drawn once and never trained, but saved with the weights.

    Shape: β `[B]` to `[B, width]`.
    Source: UnDiff (Iashchenko et al. 2023), section 3.1; Tancik et al. 2020 for the features.
    """

    def __init__(self, features: int = 64, width: int = 512):
        super().__init__()
        self.register_buffer("gaussian", torch.randn(1, features))
        self.proj1 = nn.Linear(2 * features, width)
        self.proj2 = nn.Linear(width, width)

    def forward(self, beta: Tensor) -> Tensor:
        angle = 2 * math.pi * beta.log10()[:, None] * self.gaussian
        h = torch.cat([angle.cos(), angle.sin()], dim=-1)
        return nn.functional.silu(self.proj2(nn.functional.silu(self.proj1(h))))
