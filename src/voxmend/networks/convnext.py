"""Frame-wise ConvNeXt over STFT frames: the network of the default prior and of light DiffSep.

                 ┌ linear STFT      ┐
    x ── STFT ───┤ compressed STFT  ├─ Linear ─ blocks ─ LayerNorm ─ Linear ─┬ complex residual R
                 └ (log magnitude)  ┘            ↑ σ                         └ complex gain G
                                                                 iSTFT(R + G · STFT(x)) ── out

Every layer works on single frames but the depthwise convolutions over time, and every norm is per
frame: without attention the receptive field is finite, so long signals can be denoised in chunks
exactly. Blocks: Liu et al., "A ConvNet for the 2020s" (2022).
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, scaled_dot_product_attention

from ..dsp.stft import STFT
from . import Presets, register
from .embedding import FourierFeatures

FAINTEST = 1e-8  # power that is added, so that the compression of nothing is finite
LOG_FLOOR = 1e-4  # power of a bin under which its logarithm is flat, for x of unit variance


def convolved(x: Tensor, depthwise: nn.Conv2d, dilation: int) -> Tensor:
    """A depthwise convolution of odd kernel `(1, P)` over frames that are a dilation apart.

    Frames 0, d, 2d, … are convolved by themselves, as are 1, d + 1, …: in bf16 a CPU takes several
    times as long for the gradients of a convolution with dilation as for those of one without.

    Shape: `[B, frames, C]` to the same.
    """
    weight, frames = depthwise.weight.transpose(2, 3), x.shape[1]
    # A [B, frames, C] tensor seen as [B, C, frames, 1] is "channels last": nothing is copied.
    h = pad(x, (0, 0, 0, -frames % dilation)).unflatten(1, (-1, dilation)).permute(0, 3, 1, 2)
    h = conv2d(h, weight, depthwise.bias, padding=(weight.shape[2] // 2, 0), groups=x.shape[2])
    return h.permute(0, 2, 3, 1).flatten(1, 2)[:, :frames]


class Block(nn.Module):
    """Depthwise convolution over frames, layer norm modulated by the noise level, two-layer MLP.

    An `embedding` of 0 has no noise level.

    Shape: `[B, frames, channels]` and the noise embedding `[B, embedding]` to the first's shape.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, expansion: int, embedding: int):
        super().__init__()
        self.dilation = dilation
        self.depthwise = nn.Conv2d(channels, channels, (1, kernel), groups=channels)
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)
        self.modulate = nn.Linear(embedding, 2 * channels) if embedding else None
        self.expand = nn.Linear(channels, expansion * channels)
        self.contract = nn.Linear(expansion * channels, channels)
        if self.modulate is not None:
            nn.init.zeros_(self.modulate.weight)
            nn.init.zeros_(self.modulate.bias)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor, embedding: Tensor | None = None) -> Tensor:
        h = self.norm(convolved(x, self.depthwise, self.dilation))
        if self.modulate is not None:
            gain, shift = self.modulate(embedding).unsqueeze(1).chunk(2, dim=-1)
            h = h * (1 + gain) + shift
        h = nn.functional.gelu(self.expand(h), approximate="tanh")
        return x + self.scale * self.contract(h)


class Attention(nn.Module):
    """Self-attention over all frames by their content alone: the convolutions tell places.

    Without positions it serves signals longer than those it was trained on.
    (Vaswani et al. 2017, "Attention is all you need")

    Shape: `[B, frames, channels]` to the same.
    """

    def __init__(self, channels: int, width: int = 64):
        super().__init__()
        self.heads = channels // width
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, 3 * channels)
        self.join = nn.Linear(channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.project(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heard = scaled_dot_product_attention(query, key, value)
        return x + self.scale * self.join(heard.transpose(1, 2).flatten(2))


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
        marks: signals that say something of every sample, as which are missing, and go in as they
            are, `hop` values a frame.
        attention: every so many blocks are followed by attention over all frames; 0: none.
        conditioned: the network is told a noise level.
        equaliser: pairs of a frequency, as a share of half the sample rate, and a gain in dB,
            linear between: all the network hears has these gains, and what it adds to its inputs
            their inverse. For weights that heard less of a band than recordings have.

    Shape:
        - x: `[B, inputs, T]` of about unit variance
        - noise: `[B]`, ln σ / 4; None where it is not `conditioned`
        - marks: `[B, marks, T]`, zeros if not given
        - output: `[B, outputs, T]`
    """

    bears_bf16 = True
    PRESETS: ClassVar[Presets] = {
        "speech16k": {"expansion": 3},
        "diffsep": {"channels": 288, "dilations": (1, 2, 4, 8, 16), "expansion": 3, "inputs": 2,
                    "log_magnitude": True},
    }

    def __init__(self, channels: int = 384, blocks: int = 10, kernel: int = 7,
                 dilations: tuple[int, ...] = (1, 2, 4), expansion: int = 4,
                 n_fft: int = 512, hop: int = 128, compression: float = 0.3,
                 inputs: int = 1, outputs: int = 1, log_magnitude: bool = False,
                 marks: int = 0, attention: int = 0, conditioned: bool = True,
                 equaliser: Sequence[Sequence[float]] = ((0.0, 0.0),)):
        super().__init__()
        self.stft, self.compression = STFT(n_fft, hop), compression
        self.inputs, self.outputs, self.log_magnitude = inputs, outputs, log_magnitude
        self.marks = marks
        places, decibels = zip(*equaliser, strict=True)
        gains = 10 ** (np.interp(np.linspace(0, 1, self.stft.bins), places, decibels) / 20)
        self.gains = nn.Buffer(torch.tensor(gains[:, None], dtype=torch.float32), persistent=False)
        reach = [dilations[i % len(dilations)] for i in range(blocks)]
        width = 256 if conditioned else 0
        if conditioned:
            self.features = FourierFeatures()
            self.embed = nn.Sequential(nn.Linear(64, width), nn.SiLU(),
                                       nn.Linear(width, width), nn.SiLU())
        features = (4 + log_magnitude) * inputs * self.stft.bins + marks * hop
        self.enter = nn.Linear(features, channels)
        self.blocks = nn.ModuleList(Block(channels, kernel, d, expansion, width)
                                    for d in reach)
        self.attention = nn.ModuleDict({str(i): Attention(channels) for i in range(blocks)
                                        if attention and (i + 1) % attention == 0})
        self.norm = nn.LayerNorm(channels)
        self.leave = nn.Linear(channels, 2 * outputs * (1 + inputs) * self.stft.bins)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        frames = sum(d * (kernel - 1) // 2 for d in reach)
        # samples on either side
        self.receptive_field = None if attention else frames * hop + n_fft

    def _by_frame(self, marks: Tensor) -> Tensor:
        """The `hop` samples around the centre of every frame. Shape: `[B, frames, marks · hop]`."""
        hop = self.stft.hop
        left = hop // 2
        marks = pad(marks, (left, hop - left + -marks.shape[-1] % hop))
        return marks.unflatten(-1, (-1, hop)).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor, noise: Tensor | None, marks: Tensor | None = None) -> Tensor:
        spectrum = self.stft.forward(x).transpose(1, 2)  # [B, frames, inputs, bins]
        parts = torch.view_as_real(spectrum) * self.gains
        power = parts.square().sum(-1, keepdim=True)
        exponent = (self.compression - 1) / 2
        # (power + FAINTEST)^exponent; a sum with so little would be left out of an ONNX file
        compressed = parts * (power / FAINTEST + 1) ** exponent * FAINTEST**exponent
        told = [parts, compressed]
        if self.log_magnitude:
            told.append((power + LOG_FLOOR).log() / 4)  # of about unit variance
        told = [part.flatten(2) for part in told]
        if self.marks:
            told.append(self._by_frame(x.new_zeros(x.shape[0], self.marks, x.shape[-1])
                                       if marks is None else marks))
        h = self.enter(torch.cat(told, dim=-1))
        embedding = None if noise is None else self.embed(self.features(noise))
        for i, block in enumerate(self.blocks):
            h = block(h, embedding)
            if str(i) in self.attention:
                h = self.attention[str(i)](h)
        h = self.leave(self.norm(h)).float().unflatten(-1, (-1, self.stft.bins, 2))
        residual, gain = h.tensor_split([self.outputs], dim=2)
        gain = torch.view_as_complex(gain).unflatten(2, (self.outputs, self.inputs))
        out = torch.view_as_complex(residual / self.gains) + (gain * spectrum.unsqueeze(2)).sum(3)
        return self.stft.inverse(out.transpose(1, 2), x.shape[-1])
