"""CQT-UNet: a two-dimensional U-Net over the constant-Q transform, UnDiff's third network.

    x ─ CQT ─┬─ conv ─ block ─┬── ↓ ─ + ─ block ─┬── …  ─┐
             │                │       1×1        │      block
             └────────────────┼─ ↓ ───┴──────────┼─ …    │
    ε ─ iCQT ─ + ─ 1×1 ─ block ┴ ↑ ─┬─── block ──┴─ ↑ ─ …┘
               └────── ↑ ─ + ─ 1×1 ─┘

Blocks are stacks of convolutions dilated over frequency, where a harmonic series keeps its shape
when the pitch moves; ↓ and ↑ halve and double the number of frames only.
Sources: Iashchenko et al. 2023, "UnDiff", §4.4; Moliner et al. 2022, "Solving audio inverse
problems with a diffusion model", §3.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, gelu, group_norm, interpolate, pad

from ..dsp.cqt import CQT
from . import Presets, register
from .embedding import NoiseEmbedding, RandomFourierFeatures


def conv(inputs: int, outputs: int, kernel: tuple[int, int], dilation: int = 1) -> nn.Conv2d:
    """Convolution over [bands, frames] without bias, dilated over bands, that keeps the shape."""
    layer = nn.Conv2d(inputs, outputs, kernel, dilation=(dilation, 1), padding="same", bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return layer


def halve(x: Tensor) -> Tensor:
    """Every other frame after the filter [1, 3, 3, 1] / 8, a mean over four plus one over two."""
    wide = avg_pool2d(x, (1, 4), (1, 2), (0, 1), count_include_pad=False)
    return (wide + avg_pool2d(x, (1, 2))) / 2


def double(x: Tensor) -> Tensor:
    """Twice the frames, by linear interpolation: zeros between them, then [1, 3, 3, 1] / 4."""
    return interpolate(x, scale_factor=(1, 2), mode="bilinear")


class Block(nn.Module):
    """A gain set by the noise level on what is normalised, then convolutions of dilations 2ᵏ.

    Shape: `[B, inputs, bands, frames]` and the embedding `[B, 512]` to `[B, outputs, …]`.
    """

    def __init__(self, inputs: int, outputs: int, layers: int):
        super().__init__()
        self.gain = nn.Linear(512, inputs)
        self.enter = conv(inputs, outputs, (1, 1))
        self.layers = nn.ModuleList(conv(outputs, outputs, (5, 3), 2**i) for i in range(layers))
        self.bypass = conv(inputs, outputs, (1, 1)) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = group_norm(x, 8) * (1 + self.gain(embedding)[..., None, None])
        h = self.enter(gelu(x))
        for layer in self.layers:
            h = (h + layer(gelu(h))) / 2**0.5
        return (h + self.bypass(x)) / 2**0.5


@register
class CQTUNet(nn.Module):
    """UnDiff's CQT-UNet, 27.9 M parameters at the defaults.

    The CQT enters as real and imaginary part, with 64 random Fourier features of the band's place.
    The transform itself goes down beside the levels and is added to each through a 1×1 convolution;
    on the way up every level adds its share of the output through one. These start at zero.

    UnDiff fixes depth, widths, halving and the number of parameters. From CQTdiff's release: only
    time is halved, and only between levels; 8 layers per block of 5 bands × 3 frames; convolutions
    without bias. Chosen here: group norm in every block (optional there); gains 1 + Linear; zero
    padding, so that bands may be few; [1, 3, 3, 1] for resampling; features of 16 k/bands for
    band k, as those of the integer k at such frequencies alias; a CQT that is white for noise.

    Args:
        widths: channels of each level, multiples of 8; frames halve between levels.
        layers: dilated convolutions per block, the last with dilation 2^(layers − 1) bands.
        octaves, bins_per_octave: bands of the `CQT`.

    Shape:
        - x: `[B, 1, T]`, any T
        - beta: `[B]`, β of the diffusion step
        - output: ε, `[B, 1, T]`
    """

    PRESETS: ClassVar[Presets] = {
        "paper": {},
        "small": {"widths": (8, 16, 16, 32, 32), "layers": 3, "octaves": 6, "bins_per_octave": 16},
    }

    def __init__(self, widths: tuple[int, ...] = (64, 64, 128, 128, 256), layers: int = 8,
                 octaves: int = 7, bins_per_octave: int = 64):
        super().__init__()
        self.cqt = CQT(octaves, bins_per_octave)
        self.embed, self.place = NoiseEmbedding(), RandomFourierFeatures(32)
        self.enter = conv(2 + 64, widths[0], (5, 3))
        outer = (widths[0], *widths[:-1])  # of the level above
        self.down = nn.ModuleList(Block(a, b, layers) for a, b in zip(outer, widths, strict=True))
        self.inject = nn.ModuleList(conv(2, a, (1, 1)) for a in widths[:-1])
        self.middle = Block(widths[-1], widths[-1], layers)
        self.up = nn.ModuleList(Block(2 * b, a, layers) for a, b in zip(outer, widths, strict=True))
        leave = [conv(a, 2, (1, 1)) for a in outer]
        for layer in leave:
            nn.init.zeros_(layer.weight)
        self.leave = nn.ModuleList(leave)

    def forward(self, x: Tensor, beta: Tensor) -> Tensor:
        c = self.cqt.forward(x.squeeze(1))
        parts = torch.view_as_real(c).permute(0, 3, 1, 2)
        parts = pad(parts, (0, -c.shape[-1] % 2 ** (len(self.down) - 1)))
        out = self.unet(parts, self.embed(beta))[..., :c.shape[-1]].permute(0, 2, 3, 1)
        out = torch.view_as_complex(out.contiguous().to(x.dtype))
        return self.cqt.inverse(out, x.shape[-1]).unsqueeze(1)

    def unet(self, parts: Tensor, embedding: Tensor) -> Tensor:
        """Real and imaginary parts to those of ε, `[B, 2, bands, frames]`."""
        bands = torch.arange(self.cqt.bands, device=parts.device, dtype=parts.dtype)
        place = self.place(16 * bands / self.cqt.bands).T[None, :, :, None]
        place = place.expand(len(parts), -1, -1, parts.shape[-1])
        h, skips = self.enter(torch.cat([parts, place], 1)), []
        for level, block in enumerate(self.down):
            if level:
                parts, h = halve(parts), halve(h)
                h = (h + self.inject[level - 1](parts)) / 2**0.5
            h = block(h, embedding)
            skips.append(h)
        h = self.middle(h, embedding)
        out: Any = 0  # then a tensor
        for level in reversed(range(len(self.up))):
            h = self.up[level](torch.cat([h, skips.pop()], 1), embedding)
            out = out + self.leave[level](h)
            if level:
                h, out = double(h), double(out)
        return out
