"""Frame-wise ConvNeXt over STFT frames: the network of the default prior and of light DiffSep.

                 ┌ linear STFT      ┐
    x ── STFT ───┤ compressed STFT  ├─ Linear ─ blocks ─ LayerNorm ─ Linear ─┬ complex residual R
                 └ (log magnitude)  ┘            ↑ σ                         └ complex gain G
                                                                 iSTFT(R + G · STFT(x)) ── out

Every layer works on single frames but the depthwise convolutions over time, and every norm is per
frame: the receptive field is finite, so long signals can be denoised in chunks exactly.
Blocks: Liu et al., "A ConvNet for the 2020s" (2022).
"""

import torch
from torch import Tensor, nn

from ..dsp.stft import STFT
from . import register
from .embedding import FourierFeatures

LOG_FLOOR = 1e-4  # power of a bin under which its logarithm is flat, for x of unit variance


class Block(nn.Module):
    """Depthwise convolution over frames, layer norm modulated by the noise level, two-layer MLP.

    Shape: `[B, frames, channels]` and the noise embedding `[B, embedding]` to the first's shape.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, expansion: int, embedding: int):
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, (1, kernel), dilation=(1, dilation),
                                   padding=(0, dilation * (kernel - 1) // 2), groups=channels)
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulate = nn.Linear(embedding, 2 * channels)
        self.expand = nn.Linear(channels, expansion * channels)
        self.contract = nn.Linear(expansion * channels, channels)
        nn.init.zeros_(self.modulate.weight)
        nn.init.zeros_(self.modulate.bias)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        # A [B, frames, C] tensor seen as [B, C, 1, frames] is "channels last": nothing is copied.
        h = self.depthwise(x.unsqueeze(1).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).squeeze(1)
        gain, shift = self.modulate(embedding).unsqueeze(1).chunk(2, dim=-1)
        h = self.norm(h) * (1 + gain) + shift
        h = nn.functional.gelu(self.expand(h), approximate="tanh")
        return x + self.scale * self.contract(h)


@register
class FrameConvNeXt(nn.Module):
    """Frame-wise ConvNeXt on a linear and a power-compressed STFT, and its log magnitude if asked.

    Args:
        channels, blocks, kernel, dilations, expansion: size of the stack; block i has
            `dilations[i % len(dilations)]`.
        n_fft, hop: STFT, in samples.
        compression: exponent p of the compressed input |X|^p e^{j∠X}.
        log_magnitude: ½ ln |X|, floored at |X| = 0.01, is an input, too: of the magnitude the
            other two leave the network to find.
        inputs, outputs: signals in and out; each output has a gain for each input.

    Shape:
        - x: `[B, inputs, T]` of about unit variance
        - noise: `[B]`, ln σ / 4
        - output: `[B, outputs, T]`
    """

    PRESETS = {
        "speech16k": {"expansion": 3},
        "diffsep": {"channels": 288, "dilations": (1, 2, 4, 8, 16), "expansion": 3, "inputs": 2,
                    "log_magnitude": True},
    }

    def __init__(self, channels: int = 384, blocks: int = 10, kernel: int = 7,
                 dilations: tuple[int, ...] = (1, 2, 4), expansion: int = 4,
                 n_fft: int = 512, hop: int = 128, compression: float = 0.3,
                 inputs: int = 1, outputs: int = 1, log_magnitude: bool = False):
        super().__init__()
        self.stft, self.compression = STFT(n_fft, hop), compression
        self.inputs, self.outputs, self.log_magnitude = inputs, outputs, log_magnitude
        reach = [dilations[i % len(dilations)] for i in range(blocks)]
        self.features = FourierFeatures()
        self.embed = nn.Sequential(nn.Linear(64, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU())
        self.enter = nn.Linear((4 + log_magnitude) * inputs * self.stft.bins, channels)
        self.blocks = nn.ModuleList(Block(channels, kernel, d, expansion, 256) for d in reach)
        self.norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, 2 * outputs * (1 + inputs) * self.stft.bins)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        frames = sum(d * (kernel - 1) // 2 for d in reach)
        self.receptive_field = frames * hop + n_fft  # samples on either side

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        spectrum = self.stft.forward(x).transpose(1, 2)  # [B, frames, inputs, bins]
        parts = torch.view_as_real(spectrum)
        power = parts.square().sum(-1, keepdim=True)
        compressed = parts * (power + 1e-8) ** ((self.compression - 1) / 2)
        told = [parts, compressed]
        if self.log_magnitude:
            told.append((power + LOG_FLOOR).log() / 4)  # of about unit variance
        h = self.enter(torch.cat([part.flatten(2) for part in told], dim=-1))
        embedding = self.embed(self.features(noise))
        for block in self.blocks:
            h = block(h, embedding)
        h = self.leave(self.norm(h)).float().unflatten(-1, (-1, self.stft.bins, 2))
        residual, gain = torch.view_as_complex(h).tensor_split([self.outputs], dim=2)
        gain = gain.unflatten(2, (self.outputs, self.inputs))
        out = residual + (gain * spectrum.unsqueeze(2)).sum(3)
        return self.stft.inverse(out.transpose(1, 2), x.shape[-1])
