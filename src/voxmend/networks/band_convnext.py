"""BandConvNeXt: a ConvNeXt over time and frequency that corrects an estimate of a noisy signal."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from ..dsp.stft import STFT
from . import register

FLOOR = 1e-4  # power of a bin under which compression ends, for signals of unit variance


class Block(nn.Module):
    """Depthwise convolution over frames and bands, layer norm, two-layer MLP.

    Frames 0, d, 2d, … are convolved by themselves, as are 1, d + 1, …: that is a dilation.

    Shape: `[B, frames, bands, channels]` to the same.
    """

    def __init__(self, channels: int, kernel: tuple[int, int], dilation: int, expansion: int):
        super().__init__()
        self.dilation = dilation
        self.depthwise = nn.Conv2d(channels, channels, kernel, groups=channels,
                                   padding=(kernel[0] // 2, kernel[1] // 2))
        self.norm = nn.LayerNorm(channels)
        self.expand = nn.Linear(channels, expansion * channels)
        self.contract = nn.Linear(expansion * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        frames = x.shape[1]
        h = pad(x, (0, 0, 0, 0, 0, -frames % self.dilation)).unflatten(1, (-1, self.dilation))
        h = h.transpose(1, 2).flatten(0, 1).permute(0, 3, 1, 2)
        h = self.depthwise(h).permute(0, 2, 3, 1).unflatten(0, (-1, self.dilation))
        h = self.norm(h.transpose(1, 2).flatten(1, 2)[:, :frames])
        return x + self.scale * self.contract(gelu(self.expand(h), approximate="tanh"))


@register
class BandConvNeXt(nn.Module):
    """ConvNeXt whose positions are bands of neighbouring STFT bins, the same weights in all.

    It hears a recording and an estimate of the signal in it: both spectra with compressed
    magnitudes, |X|^0.3 e^{j∠X}, their product, which tells how far the phases differ, and the
    logarithms of their powers. Each bin of what it says is a sum of both spectra in the frame and
    its neighbours, by complex gains, and of a residual. A network of whole frames
    (`FrameConvNeXt`), whose weights are of a frequency each, errs otherwise.

    Args:
        channels, blocks, kernel, dilations, expansion: size of the stack; kernels are of frames and
            bands, and block i has `dilations[i % len(dilations)]` over frames.
        n_fft, hop: STFT, in samples.
        width: bins of a band.
        reach: frames on either side that an output has gains for.

    Shape:
        - x: `[B, 2, T]`, recording and estimate, of about unit variance
        - noise: `[B]`, ln σ / 4
        - output: `[B, 1, T]`
    """

    bears_bf16 = True
    inputs = 2

    def __init__(self, channels: int = 112, blocks: int = 6, kernel: tuple[int, int] = (5, 7),
                 dilations: tuple[int, ...] = (1, 2, 1, 4), expansion: int = 2, n_fft: int = 1024,
                 hop: int = 256, width: int = 8, reach: int = 1):
        super().__init__()
        self.stft, self.width, self.reach = STFT(n_fft, hop), width, reach
        spans = [dilations[i % len(dilations)] for i in range(blocks)]
        self.enter = nn.Linear(8 * width, channels)
        self.place = nn.Parameter(torch.zeros(n_fft // 2 // width, channels))
        self.level = nn.Linear(2, channels)
        self.blocks = nn.ModuleList(Block(channels, kernel, span, expansion) for span in spans)
        self.norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, 2 * (1 + 2 * (2 * reach + 1)) * width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        frames = reach + sum(span * (kernel[0] // 2) for span in spans)
        self.receptive_field = frames * hop + n_fft  # samples on either side

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        parts = torch.view_as_real(self.stft.forward(x))[..., :-1, :]  # [B, 2, frames, bins, 2]
        power = parts.square().sum(-1, keepdim=True) + FLOOR
        heard, estimate = (parts * power**-0.35).unbind(1)
        aligned = torch.stack([(estimate * heard).sum(-1),
                               estimate[..., 1] * heard[..., 0] - estimate[..., 0] * heard[..., 1]],
                              -1)
        logs = power[..., 0].log().permute(0, 2, 3, 1) / 4
        told = torch.cat([heard, estimate, aligned, logs], -1)  # 8 of every bin
        level = self.level(torch.stack([noise, noise.square()], -1))
        h = self.enter(told.unflatten(2, (-1, self.width)).flatten(3)) + self.place
        h = h + level[:, None, None]
        for block in self.blocks:
            h = block(h)
        h = self.leave(self.norm(h)).float().unflatten(-1, (self.width, -1)).flatten(2, 3)
        return self.stft.inverse(self._spectrum(h, parts), x.shape[-1])

    def _spectrum(self, said: Tensor, parts: Tensor) -> Tensor:
        """Residual and gains applied, without the bin at half the rate, which stays as it is."""
        residual, *gains = torch.view_as_complex(said.unflatten(-1, (-1, 2))).unbind(-1)
        frames, around = parts.shape[2], pad(parts, (0, 0, 0, 0, self.reach, self.reach))
        near = [torch.view_as_complex(around[:, signal, first:first + frames])
                for signal in range(2) for first in range(2 * self.reach + 1)]
        out = residual
        for gain, spectrum in zip(gains, near, strict=True):
            out = out + gain * spectrum
        return torch.view_as_complex(pad(torch.view_as_real(out), (0, 0, 0, 1))).unsqueeze(1)
