"""DiffWave on waveforms: dilated convolutions with gates, residuals and skips.

                    ┌──────────────────────── residual ────────────────────────┐
    x ─ 1×1 ─ ReLU ─┴─ + ─ dilated conv ─ sigmoid · tanh ─ 1×1 ─┬─ + ── next layer
                       ↑ β                                      └ squeeze-excitation ── Σ skips

    Σ skips / √layers ─ 1×1 ─ ReLU ─ 1×1 ── ε
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from . import Presets, register
from .embedding import NoiseEmbedding
from .recompute import recomputed


class SqueezeExcitation(nn.Module):
    """Weights every channel by sigmoid(W₂ ReLU(W₁ mean over time)) (Hu et al. 2018).

    Shape: `[B, channels, T]` to the same.
    """

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.excitation = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False), nn.ReLU(),
            nn.Linear(channels // reduction, channels, bias=False), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.excitation(x.mean(-1)).unsqueeze(-1)


class ResidualLayer(nn.Module):
    """One gated dilated convolution.

    Shape: x `[B, channels, T]` and the noise embedding `[B, 512]` to the next x and a skip, both of
    x's shape.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, reduction: int | None):
        super().__init__()
        self.dilated_conv = nn.Conv1d(channels, 2 * channels, kernel, dilation=dilation,
                                      padding=dilation * (kernel - 1) // 2)
        self.diffusion_projection = nn.Linear(512, channels)
        self.output_projection = nn.Conv1d(channels, 2 * channels, 1)
        self.se_skip = SqueezeExcitation(channels, reduction) if reduction else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        h = x + self.diffusion_projection(embedding).unsqueeze(-1)
        gate, content = self.dilated_conv(h).chunk(2, dim=1)
        h = self.output_projection(gate.sigmoid() * content.tanh())
        residual, skip = h.chunk(2, dim=1)
        return (x + residual) / math.sqrt(2), self.se_skip(skip)


@register
class DiffWave(nn.Module):
    """Unconditional DiffWave as in UnDiff, or the original one without squeeze-excitation.

    The original told the network the step through sinusoids; here both are told β, by an embedding
    of the same size (`NoiseEmbedding`).

    Args:
        layers, channels, kernel: of the stack of residual layers.
        dilation_cycle: layer i has dilation 2^(i mod dilation_cycle).
        reduction: of the squeeze-excitation on the skips; None leaves it out.

    Attributes:
        receptive_field: samples on either side; None with squeeze-excitation, which averages over
            the whole signal.

    Shape: x `[B, 1, T]` and β `[B]` to ε `[B, 1, T]`.
    Source: Kong et al. 2021, "DiffWave"; UnDiff (Iashchenko et al. 2023), section 3.1.
    """

    PRESETS: ClassVar[Presets] = {
        "paper": {},
        "original": {"layers": 36, "reduction": None},
        "small": {"layers": 20, "channels": 32, "dilation_cycle": 10},
    }

    def __init__(self, layers: int = 48, channels: int = 256, kernel: int = 3,
                 dilation_cycle: int = 12, reduction: int | None = 16):
        super().__init__()
        dilations = [2 ** (i % dilation_cycle) for i in range(layers)]
        self.input_projection = nn.Conv1d(1, channels, 1)
        self.embedding = NoiseEmbedding()
        self.residual_layers = nn.ModuleList(
            ResidualLayer(channels, kernel, dilation, reduction) for dilation in dilations)
        self.skip_projection = nn.Conv1d(channels, channels, 1)
        self.output_projection = nn.Conv1d(channels, 1, 1)
        self.receptive_field = None if reduction else (kernel - 1) // 2 * sum(dilations)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)
        for parameter in self.output_projection.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, beta: Tensor) -> Tensor:
        h = self.input_projection(x).relu()
        embedding = self.embedding(beta)
        skips = torch.zeros_like(h)
        for layer in self.residual_layers:
            h, skip = recomputed(layer, h, embedding)
            skips = skips + skip
        h = skips / math.sqrt(len(self.residual_layers))
        return self.output_projection(self.skip_projection(h).relu())
