"""The three-layer network of SpeakEMB, which denoises embeddings of speakers.

    x ─ linear ─ · γ₁ ─ softplus ─ linear ─ · γ₂ ─ softplus ─ linear ── ε
                   ↑                         ↑
                   └────── noise level ──────┘
"""

from typing import ClassVar

from torch import Tensor, nn

from . import Presets, register
from .embedding import RandomFourierFeatures

FREQUENCIES = 32


class ConditionedLinear(nn.Module):
    """softplus(γ · (W x + b)), γ = 1 + V r of the noise level's Fourier features r.

    Shape: x `[B, width_in]` and r `[B, 2 · FREQUENCIES]` to `[B, width]`.
    """

    def __init__(self, width_in: int, width: int):
        super().__init__()
        self.linear = nn.Linear(width_in, width)
        self.gain = nn.Linear(2 * FREQUENCIES, width)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        return nn.functional.softplus((1 + self.gain(features)) * self.linear(x))


@register
class SpeakEMB(nn.Module):
    """Three fully connected layers, the first two conditioned on the noise level.

    Args:
        dim: of an embedding.
        width: of the two hidden layers.

    Attributes:
        embedding_size: `dim`, the only length of signals that it takes.

    Shape: x `[B, 1, dim]` and a noise level `[B]` to `[B, 1, dim]`.
    Source: SpeakEMB, "Denoising diffusion on speaker embeddings" (Gupta 2023), with an embedding of
    the noise level in the place of one of the step's number.
    """

    PRESETS: ClassVar[Presets] = {"paper": {}}

    def __init__(self, dim: int = 704, width: int = 128):
        super().__init__()
        self.embedding_size = dim
        self.features = RandomFourierFeatures(FREQUENCIES)
        self.first = ConditionedLinear(dim, width)
        self.second = ConditionedLinear(width, width)
        self.last = nn.Linear(width, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        features = self.features(level)
        h = self.second(self.first(x[:, 0], features), features)
        return self.last(h)[:, None]
