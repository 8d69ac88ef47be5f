"""DDPM's U-Net on complex spectra: the prior of Diffiner and its compact variant.

    bins ─ 3×3 ─ blocks ─ ½ ─ blocks ─ … ─ block, attention, block ─ … ─ blocks ─ ×2 ─ blocks ─ ε
                   │            └───────────────── skips ─────────────────┘              │
                   └─────────────────────────────────────────────────────────────────────┘

Real and imaginary part are two channels, rows are frequencies and columns frames. The modules stand
in the order and lists of the release, a guided-diffusion U-Net (`importers` has the names).

Source: Ho et al. 2020, "Denoising diffusion probabilistic models", appendix B; Dhariwal & Nichol
2021, "Diffusion models beat GANs on image synthesis"; Sawata et al. 2023, "Diffiner".
"""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from . import Presets, register

ACTIVATIONS = {"silu": nn.SiLU, "relu": nn.ReLU, "gelu": nn.GELU}


def _zero(layer: nn.Module) -> nn.Module:
    """A layer, or the last of several, that starts from zeros."""
    last = layer[-1] if isinstance(layer, nn.Sequential) else layer
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return layer


class Parts:
    """What the blocks of a U-Net have in common.

    Args:
        activation: a key of `ACTIVATIONS`.
        separable: 3×3 convolutions are depthwise ones, W·H·d_in weights, and 1×1 ones, d_in·d_out.
        groups: of the norms.
        heads: of attention.
        scale_shift: the time scales and shifts the second norm, instead of being added before it.
    """

    def __init__(self, activation: str, separable: bool, groups: int, heads: int,
                 scale_shift: bool):
        if activation not in ACTIVATIONS:
            raise ValueError(f"unknown activation {activation!r}; known: {', '.join(ACTIVATIONS)}")
        self.separable, self.groups, self.heads = separable, groups, heads
        self.activation, self.scale_shift = ACTIVATIONS[activation], scale_shift

    def norm(self, channels: int) -> nn.GroupNorm:
        return nn.GroupNorm(self.groups, channels)

    def conv(self, entering: int, leaving: int) -> nn.Module:
        if not self.separable:
            return nn.Conv2d(entering, leaving, 3, padding=1)
        return nn.Sequential(nn.Conv2d(entering, entering, 3, padding=1, groups=entering),
                             nn.Conv2d(entering, leaving, 1))


class Block(nn.Module):
    """Two 3×3 convolutions, told the time between them, added to their input.

    Shape: x `[B, entering, rows, columns]` and the time `[B, embedding]` to `[B, leaving, ·, ·]`.
    """

    def __init__(self, entering: int, leaving: int, embedding: int, parts: Parts):
        super().__init__()
        self.scale_shift, self.activation = parts.scale_shift, parts.activation()
        self.norm1, self.conv1 = parts.norm(entering), parts.conv(entering, leaving)
        self.time = nn.Linear(embedding, (1 + parts.scale_shift) * leaving)
        self.norm2, self.conv2 = parts.norm(leaving), _zero(parts.conv(leaving, leaving))
        self.shortcut = (nn.Identity() if entering == leaving
                         else nn.Conv2d(entering, leaving, 1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(self.activation(self.norm1(x)))
        time = self.time(embedding)[..., None, None]
        if self.scale_shift:
            scale, shift = time.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + time)
        return self.shortcut(x) + self.conv2(self.activation(h))


class Attention(nn.Module):
    """Self-attention over all positions, added to its input.

    Shape: `[B, channels, rows, columns]` to the same.
    """

    def __init__(self, channels: int, parts: Parts):
        super().__init__()
        self.heads, self.norm = parts.heads, parts.norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.leave = _zero(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.qkv(self.norm(x).flatten(2)).unflatten(1, (self.heads, 3, -1)).mT
        h = scaled_dot_product_attention(*h.unbind(2))  # [B, heads, positions, channels / heads]
        return x + self.leave(h.mT.flatten(1, 2)).view_as(x)


class Resample(nn.Module):
    """Half the size by a convolution of stride 2, or twice the size by repetition and convolution.

    Shape: `[B, channels, rows, columns]` to `[B, channels, ·, ·]`.
    """

    def __init__(self, channels: int, up: bool):
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(interpolate(x, scale_factor=2, mode="nearest") if self.up else x)


class Stage(nn.ModuleList):
    """Layers in turn, of which blocks are told the time."""

    def __init__(self, *layers: nn.Module):
        super().__init__(layers)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, Block) else layer(x)
        return x


def sinusoids(step: Tensor, channels: int) -> Tensor:
    """cos(t·f), then sin(t·f), of steps t at frequencies f from 1 down to nearly 1e-4.

    Shape: `[B]` to `[B, channels]`.
    """
    ramp = torch.arange(channels // 2, device=step.device) / (channels // 2)
    angle = step[:, None] * torch.exp(-math.log(10000) * ramp)
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


@register
class DDPMUNet(nn.Module):
    """The noise in complex spectra, of which each part is a channel.

    Args:
        channels, multiples: level i has `channels · multiples[i]`.
        blocks: of a level on the way down; one more on the way up.
        attention: by how much a level must be down-sampled to have attention, one or more numbers;
            the middle always has it.
        heads, activation, separable, groups, scale_shift: as in `Parts`.
        compression: exponent p of the bins |X|^p e^{j∠X} that the network sees; 1 in the release.
        n_fft, hop, tilt: of the bins that it is made for, as in `bins.Bins`.

    Attributes:
        multiple: what the numbers of rows and columns must be a multiple of.

    Shape: x `[B, 2, rows, columns]` and the step of the schedule `[B]`, from 0, to `[B, 2, ·, ·]`.
    """

    PRESETS: ClassVar[Presets] = {
        "paper": {},
        "compact": {"channels": 8, "multiples": (1, 2, 4, 8, 12), "blocks": 1, "attention": (16,),
                    "heads": 2, "separable": True, "groups": 4, "scale_shift": False,
                    "compression": 0.5, "hop": 64, "tilt": 500.0},
    }

    def __init__(self, channels: int = 128, multiples: tuple[int, ...] = (1, 1, 2, 2, 4, 4),
                 blocks: int = 3, attention: tuple[int, ...] = (16, 32), heads: int = 4,
                 activation: str = "silu", separable: bool = False, groups: int = 32,
                 scale_shift: bool = True, compression: float = 1.0, n_fft: int = 512,
                 hop: int = 256, tilt: float | None = None):
        super().__init__()
        parts = Parts(activation, separable, groups, heads, scale_shift)
        embedding, widths = 4 * channels, [channels * m for m in multiples]
        self.channels, self.multiple = channels, 2 ** (len(multiples) - 1)
        self.compression, self.n_fft, self.hop, self.tilt = compression, n_fft, hop, tilt
        self.embed = nn.Sequential(nn.Linear(channels, embedding), parts.activation(),
                                   nn.Linear(embedding, embedding), parts.activation())
        self.down = nn.ModuleList([Stage(nn.Conv2d(2, channels, 3, padding=1))])
        skips, width, bottom = [channels], channels, len(widths) - 1

        def stage(entering: int, leaving: int, level: int) -> list[nn.Module]:
            layers: list[nn.Module] = [Block(entering, leaving, embedding, parts)]
            return layers + [Attention(leaving, parts)] * (2**level in attention)

        for level, leaving in enumerate(widths):
            for _ in range(blocks):
                self.down.append(Stage(*stage(width, leaving, level)))
                width = leaving
                skips.append(width)
            if level < bottom:
                self.down.append(Stage(Resample(width, up=False)))
                skips.append(width)
        self.middle = Stage(Block(width, width, embedding, parts), Attention(width, parts),
                            Block(width, width, embedding, parts))
        self.up = nn.ModuleList()
        for level, leaving in reversed(list(enumerate(widths))):
            for i in range(blocks + 1):
                layers = stage(width + skips.pop(), leaving, level)
                width = leaving
                grows = [Resample(width, up=True)] * (level > 0 and i == blocks)
                self.up.append(Stage(*layers, *grows))
        self.leave = nn.Sequential(parts.norm(width), parts.activation(),
                                   _zero(nn.Conv2d(width, 2, 3, padding=1)))

    def shape(self, samples: int) -> tuple[int, ...]:
        """Of the bins of so many samples, as far as whole frames of the network hold them."""
        frames = samples // self.hop
        return 2, self.n_fft // 2, frames - frames % self.multiple

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        embedding, skips = self.embed(sinusoids(step, self.channels)), []
        if self.compression != 1:
            power = x.square().sum(1, keepdim=True)
            exponent = (self.compression - 1) / 2
            x = x * (power / 1e-8 + 1) ** exponent * 1e-8**exponent  # as in `convnext`
        for stage in self.down:
            x = stage(x, embedding)
            skips.append(x)
        x = self.middle(x, embedding)
        for stage in self.up:
            x = stage(torch.cat([x, skips.pop()], dim=1), embedding)
        return self.leave(x)
