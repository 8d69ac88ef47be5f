"""FFC-AE: an autoencoder of fast Fourier convolutions on complex spectrograms.

    x ─ STFT ─ 7×7 ─ 3×3, ½ ─ residual blocks ─ 3×3, ×2 ─ 7×7 ─ iSTFT ─ ε
                                  ↑ β

A fast Fourier convolution splits the channels: local ones see 3×3 surroundings, global ones also
the whole frequency axis of their frame, through a pointwise convolution of its Fourier transform.
Nothing mixes distant frames, so the reach in time is finite.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from . import Presets, register
from .embedding import NoiseEmbedding
from .recompute import recomputed


def _norm_relu(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False,
                     padding_mode="reflect")


class FourierUnit(nn.Module):
    """Pointwise convolution, norm and ReLU of the Fourier transform along frequency.

    Shape: `[B, channels, bins, frames]` to the same.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.inter_conv = nn.Sequential(nn.Conv2d(2 * channels, 2 * channels, 1),
                                        *_norm_relu(2 * channels))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision has no FFT
        spectrum = torch.view_as_real(torch.fft.rfft(wide, dim=2, norm="ortho"))
        h = spectrum.movedim(-1, 2).flatten(1, 2)  # channels: c0 re, c0 im, c1 re, …
        h = self.inter_conv(h).to(wide.dtype).unflatten(1, (-1, 2)).movedim(2, -1)
        return torch.fft.irfft(torch.view_as_complex(h.contiguous()), x.shape[2], dim=2,
                               norm="ortho")


class SpectralTransform(nn.Module):
    """The global path: half the channels, Fourier unit with a residual, all channels.

    Shape: `[B, channels, bins, frames]` to the same.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = nn.Sequential(_conv(channels, channels // 2, 1), *_norm_relu(channels // 2))
        self.fu = FourierUnit(channels // 2)
        self.conv2 = _conv(channels // 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(x)
        return self.conv2(h + self.fu(h))


class FastFourierConvolution(nn.Module):
    """Local and global channels, each made from both, then norm and ReLU (Chi et al. 2020).

    Shape: local and global `[B, ·, bins, frames]` to the same.
    """

    def __init__(self, channels: int, ratio: float):
        super().__init__()
        wide = int(ratio * channels)
        near = channels - wide
        self.local_to_local = _conv(near, near, 3)
        self.local_to_global = _conv(near, wide, 3)
        self.global_to_local = _conv(wide, near, 3)
        self.global_to_global = SpectralTransform(wide)
        self.local_norm, self.global_norm = _norm_relu(near), _norm_relu(wide)

    def forward(self, near: Tensor, wide: Tensor) -> tuple[Tensor, Tensor]:
        return (self.local_norm(self.local_to_local(near) + self.global_to_local(wide)),
                self.global_norm(self.local_to_global(near) + self.global_to_global(wide)))


class Block(nn.Module):
    """Two fast Fourier convolutions and a residual; the noise embedding is added first.

    Shape: x `[B, channels, bins, frames]` and the embedding `[B, 512]` to x's shape.
    """

    def __init__(self, channels: int, ratio: float):
        super().__init__()
        self.split = [channels - int(ratio * channels), int(ratio * channels)]
        self.ffc1 = FastFourierConvolution(channels, ratio)
        self.ffc2 = FastFourierConvolution(channels, ratio)
        self.diffusion_projection = nn.Linear(512, channels)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        x = x + self.diffusion_projection(embedding)[..., None, None]
        return x + torch.cat(self.ffc2(*self.ffc1(*x.split(self.split, dim=1))), dim=1)


@register
class FFCAE(nn.Module):
    """UnDiff's FFC-AE.

    Args:
        channels: of the first layer; the blocks have twice as many.
        blocks: how many.
        global_ratio: share of global channels.
        n_fft, hop: STFT, in samples.

    Attributes:
        receptive_field: samples on either side.
        hop: samples between frames after the stride.

    Shape: x `[B, 1, T]` and β `[B]` to ε `[B, 1, T]`; fewer than `n_fft` samples are padded.
    Source: Shchekotov et al. 2022, "FFC-SE"; UnDiff (Iashchenko et al. 2023), sections 3.1 and 4.4.
    """

    PRESETS: ClassVar[Presets] = {"paper": {}, "small": {"channels": 32, "blocks": 6}}

    def __init__(self, channels: int = 256, blocks: int = 18, global_ratio: float = 0.75,
                 n_fft: int = 1024, hop: int = 256):
        super().__init__()
        self.n_fft, self.stft_hop, self.hop = n_fft, hop, 2 * hop
        self.register_buffer("window", torch.hann_window(n_fft, periodic=False), persistent=False)
        self.enter = nn.Sequential(_conv(2, channels, 7), *_norm_relu(channels))
        self.down = nn.Sequential(_conv(channels, 2 * channels, 3, stride=2),
                                  *_norm_relu(2 * channels))
        self.blocks = nn.ModuleList(Block(2 * channels, global_ratio) for _ in range(blocks))
        self.up = nn.Sequential(
            nn.ConvTranspose2d(2 * channels, channels, 3, 2, 1, output_padding=1, bias=False),
            *_norm_relu(channels))
        self.leave = _conv(channels, 2, 7)
        self.embedding = NoiseEmbedding()
        nn.init.zeros_(self.leave.weight)
        frames = 2 * 3 + 2 * (1 + 2 * blocks + 1)  # 7×7 twice; down, blocks and up at half rate
        self.receptive_field = frames * hop + n_fft

    def forward(self, x: Tensor, beta: Tensor) -> Tensor:
        length = max(x.shape[-1], self.n_fft)  # the reflection at the ends needs n_fft / 2
        frames: dict[str, Any] = {"n_fft": self.n_fft, "hop_length": self.stft_hop,
                                  "window": self.window}
        spectrum = torch.stft(pad(x.squeeze(1), (0, length - x.shape[-1])), **frames,
                              pad_mode="reflect", return_complex=True)
        bins, count = spectrum.shape[1:]
        h = torch.view_as_real(spectrum).movedim(-1, 1)
        h = self.enter(pad(h, (0, count % 2, 0, bins % 2), mode="reflect"))
        h, embedding = self.down(h), self.embedding(beta)
        for block in self.blocks:
            h = recomputed(block, h, embedding)
        h = self.leave(self.up(h))[:, :, :bins, :count].movedim(1, -1).to(x.dtype)
        epsilon = torch.istft(torch.view_as_complex(h.contiguous()), **frames, length=length)
        return epsilon[:, None, :x.shape[-1]]
