"""NCSN++ on compressed spectra: the score network of DiffSep.

    x_t, mixture ─ STFT ─ factor·|X|^α e^{j∠X} ─ real, imaginary ─ U-Net ─ inverse ─ iSTFT ── score

    U-Net: 3×3 ─┬ blocks ─ ½ ─ … ─ blocks ─┬─ blocks ─ ×2 ─ … ─ blocks ┐
      input ─ ½ ┴ 1×1 into every level     └ 3×3 of every level, ×2, Σ ┴ 1/t ─ 1×1 ── output

The paper prints c(X) = β⁻¹|X|^α e^{j∠X} with β = 0.15 and an inverse that is not one; its release
multiplies by 0.15 and inverts that exactly, as here. Submodules stand in the order in which the
release has them, so a checkpoint's tensors can be taken in turn (`importers`).

Source: Song et al. 2021, "Score-based generative modeling through stochastic differential
equations", appendix H (NCSN++); Scheibler et al. 2023 (DiffSep), section 4.
"""

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, pad, scaled_dot_product_attention, silu

from . import Presets, register


def _taps(x: Tensor) -> Tensor:
    """The binomial filter [1, 3, 3, 1] ⊗ [1, 3, 3, 1] of unit sum, for every channel of x."""
    line = torch.tensor([1.0, 3.0, 3.0, 1.0]).to(x) / 8
    return torch.outer(line, line).expand(x.shape[1], 1, 4, 4)


def halve(x: Tensor) -> Tensor:
    """Every second row and column of x after the binomial filter."""
    return conv2d(x, _taps(x), stride=2, padding=1, groups=x.shape[1])


def double(x: Tensor) -> Tensor:
    """x with a zero after every row and column, filtered to keep its level."""
    return conv_transpose2d(x, 4 * _taps(x), stride=2, padding=1, groups=x.shape[1])


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(channels // 4, 32), channels, eps=1e-6)


def _initialised(layer: nn.Conv2d | nn.Linear, gain: float = 1.0) -> nn.Module:
    nn.init.xavier_uniform_(layer.weight, gain)
    nn.init.zeros_(cast("Tensor", layer.bias))
    return layer


def _conv(entering: int, leaving: int, kernel: int, gain: float = 1.0) -> nn.Module:
    return _initialised(nn.Conv2d(entering, leaving, kernel, padding=kernel // 2), gain)


class Attention(nn.Module):
    """Self-attention over all positions, with one head, averaged with its input.

    Shape: `[B, channels, rows, columns]` to the same.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.norm = _norm(channels)
        self.query, self.key, self.value = (
            _initialised(nn.Linear(channels, channels), math.sqrt(0.1)) for _ in range(3))
        self.leave = _initialised(nn.Linear(channels, channels), 0.0)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x).flatten(2).transpose(1, 2)
        h = self.leave(scaled_dot_product_attention(self.query(h), self.key(h), self.value(h)))
        return (x + h.transpose(1, 2).view_as(x)) / math.sqrt(2)


class Block(nn.Module):
    """Two 3×3 convolutions, told the time between them, averaged with a shortcut (BigGAN's).

    Args:
        resample: `halve` or `double`, of input and shortcut.
        attends: attention follows.

    Shape: x `[B, entering, rows, columns]` and the time `[B, embedding]` to `[B, leaving, ·, ·]`.
    """

    def __init__(self, entering: int, leaving: int, embedding: int, attends: bool = False,
                 resample: Callable[[Tensor], Tensor] | None = None):
        super().__init__()
        self.norm1, self.conv1 = _norm(entering), _conv(entering, leaving, 3)
        self.time = _initialised(nn.Linear(embedding, leaving))
        self.norm2, self.conv2 = _norm(leaving), _conv(leaving, leaving, 3, gain=0.0)
        plain = entering == leaving and resample is None
        self.shortcut = nn.Identity() if plain else _conv(entering, leaving, 1)
        self.attention = Attention(leaving) if attends else nn.Identity()
        self.resample = resample or nn.Identity()

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        h = self.conv1(self.resample(silu(self.norm1(x)))) + self.time(embedding)[..., None, None]
        h = self.conv2(silu(self.norm2(h)))
        return self.attention((self.shortcut(self.resample(x)) + h) / math.sqrt(2))


class Down(nn.Module):
    """A level on the way down: blocks, and, but for the last, half the size and the input there."""

    def __init__(self, entering: int, leaving: int, embedding: int, signals: int, blocks: int,
                 attends: bool, last: bool):
        super().__init__()
        widths = [entering] + [leaving] * blocks
        self.blocks = nn.ModuleList(Block(a, b, embedding, attends) for a, b in pairwise(widths))
        if not last:
            self.shrink = Block(leaving, leaving, embedding, resample=halve)
            self.combine = _conv(signals, leaving, 1)
        self.last = last


class Up(nn.Module):
    """A level on the way up: blocks on skips, its share of the output, and twice the size."""

    def __init__(self, entering: int, skips: list[int], leaving: int, embedding: int, signals: int,
                 attends: bool, last: bool):
        super().__init__()
        widths = [entering] + [leaving] * len(skips)
        self.blocks = nn.ModuleList(
            Block(a + skip, b, embedding, attends and i == len(skips) - 1)
            for i, (skip, (a, b)) in enumerate(zip(skips, pairwise(widths), strict=True)))
        self.norm, self.signal = _norm(leaving), _conv(leaving, signals, 3, gain=0.0)
        if not last:
            self.grow = Block(leaving, leaving, embedding, resample=double)
        self.last = last


class Fourier(nn.Module):
    """sin(2πfv), then cos(2πfv), of scalars v at frequencies f drawn once from N(0, 16²).

    Shape: `[B]` to `[B, 2 · frequencies]`.
    """

    frequencies: Tensor

    def __init__(self, frequencies: int):
        super().__init__()
        self.register_buffer("frequencies", 16 * torch.randn(frequencies))

    def forward(self, v: Tensor) -> Tensor:
        angle = 2 * math.pi * v[:, None] * self.frequencies
        return torch.cat([angle.sin(), angle.cos()], dim=-1)


class UNet(nn.Module):
    """NCSN++ with the input at every level and the output from every level.

    Args:
        signals: input channels; `outputs`: output channels.
        channels: of the first level; level i has `channels · multiples[i]`.
        blocks: of a level on the way down; one more on the way up.
        attends: levels with attention.

    Shape: x `[B, signals, rows, columns]`, both divisible by 2^(levels − 1), and t `[B]` to
    `[B, outputs, rows, columns]`.
    """

    def __init__(self, signals: int, outputs: int, channels: int, multiples: tuple[int, ...],
                 blocks: int, attends: list[bool]):
        super().__init__()
        embedding, widths = 4 * channels, [channels * m for m in multiples]
        self.leave = nn.Conv2d(signals, outputs, 1)
        self.embed = nn.Sequential(
            Fourier(channels), _initialised(nn.Linear(2 * channels, embedding)), nn.SiLU(),
            _initialised(nn.Linear(embedding, embedding)), nn.SiLU())
        self.enter = _conv(signals, channels, 3)
        self.down, up = nn.ModuleList(), []
        skips, bottom, width = [channels], len(widths) - 1, channels
        for i, leaving in enumerate(widths):
            self.down.append(Down(width, leaving, embedding, signals, blocks, attends[i],
                                  i == bottom))
            skips += [leaving] * (blocks + (i < bottom))
            width = leaving
        self.middle = nn.ModuleList([Block(width, width, embedding, attends=True),
                                     Block(width, width, embedding)])
        for i, leaving in reversed(list(enumerate(widths))):
            taken = [skips.pop() for _ in range(blocks + 1)]
            up.append(Up(width, taken, leaving, embedding, signals, attends[i], i == 0))
            width = leaving
        self.up = nn.ModuleList(up)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        embedding = self.embed(t.log())
        x = 2 * x - 1  # the release takes its input to lie in 0…1
        h = self.enter(x)
        skips = [h]
        for level in cast("Iterable[Down]", self.down):
            for block in level.blocks:
                h = block(h, embedding)
                skips.append(h)
            if not level.last:
                x = halve(x)
                h = level.shrink(h, embedding) + level.combine(x)
                skips.append(h)
        for block in self.middle:
            h = block(h, embedding)
        out: Any = 0  # then a tensor
        for rise in cast("Iterable[Up]", self.up):
            for block in rise.blocks:
                h = block(torch.cat([h, skips.pop()], dim=1), embedding)
            out = out + rise.signal(silu(rise.norm(h)))
            if not rise.last:
                out, h = double(out), rise.grow(h, embedding)
        return self.leave(out / t[:, None, None, None])


@register
class NCSNpp(nn.Module):
    """NCSN++ between an STFT with compressed magnitudes and its exact inverse.

    Args:
        sources: K.
        channels, multiples, blocks: of the U-Net.
        attention: number of frequency rows at which the U-Net attends.
        n_fft, hop: STFT, in samples.
        exponent, factor: α and factor of the compression factor·|X|^α e^{j∠X}.

    Attributes:
        inputs: channels of the input, K + 1.
        receptive_field: None, since attention and norms see the whole signal.

    Shape: x_t and the mixture, stacked, `[B, K + 1, T]`, and t `[B]` to the score `[B, K, T]`.
    """

    window: Tensor

    PRESETS: ClassVar[Presets] = {
        "paper": {}, "half": {"channels": 64}, "small": {"channels": 16, "blocks": 1}}

    def __init__(self, sources: int = 2, channels: int = 128,
                 multiples: tuple[int, ...] = (1, 1, 2, 2, 2, 2, 2), blocks: int = 2,
                 attention: int = 16, n_fft: int = 510, hop: int = 128, exponent: float = 0.5,
                 factor: float = 0.15):
        super().__init__()
        bins, self.multiple = n_fft // 2 + 1, 2 ** (len(multiples) - 1)
        if bins % self.multiple:
            raise ValueError(f"{len(multiples)} levels need bins in multiples of {self.multiple}, "
                             f"not the {bins} of n_fft {n_fft}")
        self.inputs, self.receptive_field = sources + 1, None
        self.n_fft, self.hop, self.exponent, self.factor = n_fft, hop, exponent, factor
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.unet = UNet(2 * self.inputs, 2 * sources, channels, multiples, blocks,
                         [bins >> i == attention for i in range(len(multiples))])

    def compress(self, x: Tensor) -> Tensor:
        """Compressed spectra, real parts first. Shape: `[B, C, T]` to `[B, 2C, bins, frames]`."""
        padded = pad(x.flatten(0, 1), (0, self.n_fft - self.hop))
        spectrum = torch.stft(padded, self.n_fft, self.hop, window=self.window, center=True,
                              pad_mode="constant", return_complex=True)
        magnitude = spectrum.abs().clamp_min(1e-12)
        spectrum = self.factor * spectrum * magnitude ** (self.exponent - 1)
        spectrum = spectrum.unflatten(0, x.shape[:2])
        return torch.cat([spectrum.real, spectrum.imag], dim=1)

    def expand(self, h: Tensor, length: int) -> Tensor:
        """Inverse of `compress`. Shape: `[B, 2C, bins, frames]` to `[B, C, length]`."""
        spectrum = torch.complex(*h.chunk(2, dim=1)) / self.factor
        spectrum = spectrum * spectrum.abs() ** (1 / self.exponent - 1)
        x = torch.istft(spectrum.flatten(0, 1), self.n_fft, self.hop, window=self.window,
                        center=True, length=length)
        return x.unflatten(0, spectrum.shape[:2])

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        h = self.compress(x)
        frames = h.shape[-1]
        h = self.unet(pad(h, (0, -frames % self.multiple)), t)[..., :frames]
        return self.expand(h.to(x.dtype), x.shape[-1])
