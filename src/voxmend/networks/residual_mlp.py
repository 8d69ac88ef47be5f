"""A residual network of fully connected layers, which denoises vectors.

    x ─ linear ─┬─ layer norm ─ linear ─ · γ ─ SiLU ─ linear ─ + ── next block … ─ linear ── out
                │                         ↑                    │
                │                    noise level               │
                └──────────────────────────────────────────────┘
"""

from typing import ClassVar

from torch import Tensor, nn

from . import Presets, register
from .embedding import RandomFourierFeatures
from .speakemb import FREQUENCIES


class ResidualBlock(nn.Module):
    """h + W₂ silu(γ · W₁ norm(h)), γ = 1 + V r of the noise level's Fourier features r.

    Shape: h `[B, width]` and r `[B, 2 · FREQUENCIES]` to `[B, width]`.
    """

    def __init__(self, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand, self.contract = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        self.gain = nn.Linear(2 * FREQUENCIES, 2 * width)

    def forward(self, h: Tensor, features: Tensor) -> Tensor:
        wide = (1 + self.gain(features)) * self.expand(self.norm(h))
        return h + self.contract(nn.functional.silu(wide))


@register
class ResidualMLP(nn.Module):
    """Fully connected layers with residual connections, conditioned on the noise level.

    Args:
        dim: of a vector.
        width, blocks: of the residual blocks.

    Attributes:
        embedding_size: `dim`, the only length of signals that it takes.

    Shape: x `[B, 1, dim]` and a noise level `[B]` to `[B, 1, dim]`.
    Source: the denoiser of Li et al. 2024, "Autoregressive image generation without vector
    quantization", section 4.1, which shifts in addition; Gorishniy et al. 2021, "Revisiting deep
    learning models for tabular data", for the blocks.
    """

    PRESETS: ClassVar[Presets] = {"voices": {}}

    def __init__(self, dim: int = 704, width: int = 256, blocks: int = 2):
        super().__init__()
        self.embedding_size = dim
        self.features = RandomFourierFeatures(FREQUENCIES)
        self.first = nn.Linear(dim, width)
        self.blocks = nn.ModuleList(ResidualBlock(width) for _ in range(blocks))
        self.last = nn.Linear(width, dim)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        features, h = self.features(level), self.first(x[:, 0])
        for block in self.blocks:
            h = block(h, features)
        return self.last(h)[:, None]
