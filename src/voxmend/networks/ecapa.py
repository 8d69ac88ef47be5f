"""ECAPA-TDNN: who speaks, from log-mel frames, by attention over channels and time.

    fbank ─ TDNN ─ SE-Res2 ─ SE-Res2 ─ SE-Res2 ─┐
                      └─────────┴─────── concat ─ TDNN ─ attentive mean and std ─ norm ─ linear

Desplanques et al. 2020, "ECAPA-TDNN: Emphasized channel attention, propagation and aggregation in
TDNN based speaker verification", in the form of SpeechBrain's release (spkrec-ecapa-voxceleb):
convolutions see the signal reflected at its ends, and the norm comes after the ReLU.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..dsp.stft import fbank
from . import Presets, register


class TDNN(nn.Module):
    """Convolution over frames, ReLU, batch norm. Shape: `[B, C, frames]` to the same frames."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, dilation: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, kernel, padding="same", dilation=dilation,
                              padding_mode="reflect" if kernel > 1 else "zeros")
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x).relu())


class Res2Net(nn.Module):
    """Groups of channels in turn, each convolved together with the one before (Gao et al. 2019)."""

    def __init__(self, channels: int, dilation: int, scale: int):
        super().__init__()
        self.scale, width = scale, channels // scale
        self.blocks = nn.ModuleList(TDNN(width, width, 3, dilation) for _ in range(scale - 1))

    def forward(self, x: Tensor) -> Tensor:
        first, *groups = x.chunk(self.scale, dim=1)
        out, previous = [first], 0
        for group, block in zip(groups, self.blocks, strict=True):
            previous = block(group + previous)
            out.append(previous)
        return torch.cat(out, dim=1)


class SqueezeExcitation(nn.Module):
    """Channels weighted by what their means over the frames say of each."""

    def __init__(self, channels: int, squeeze: int):
        super().__init__()
        self.conv1 = nn.Conv1d(channels, squeeze, 1)
        self.conv2 = nn.Conv1d(squeeze, channels, 1)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        mean = (weights * x).sum(-1, keepdim=True)
        return self.conv2(self.conv1(mean).relu()).sigmoid() * x


class SERes2Block(nn.Module):
    """TDNN, Res2Net, TDNN, squeeze-excitation, and the input added (figure 2)."""

    def __init__(self, channels: int, dilation: int, scale: int, squeeze: int):
        super().__init__()
        self.tdnn1 = TDNN(channels, channels)
        self.res2net_block = Res2Net(channels, dilation, scale)
        self.tdnn2 = TDNN(channels, channels)
        self.se_block = SqueezeExcitation(channels, squeeze)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return x + self.se_block(self.tdnn2(self.res2net_block(self.tdnn1(x))), weights)


def _statistics(x: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over weighted frames. Shape: `[B, C, frames]` to `[B, C, 1]`."""
    mean = (weights * x).sum(-1, keepdim=True)
    variance = (weights * (x - mean).square()).sum(-1, keepdim=True)
    return mean, variance.clamp_min(1e-12).sqrt()


class AttentivePooling(nn.Module):
    """Statistics over frames that each channel weights by itself, knowing all (section 3.1).

    Shape: `[B, C, frames]` to `[B, 2C, 1]`.
    """

    def __init__(self, channels: int, attention: int):
        super().__init__()
        self.tdnn = TDNN(3 * channels, attention)
        self.conv = nn.Conv1d(attention, channels, 1)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        seen = [x, *(s.expand_as(x) for s in _statistics(x, weights))]
        energy = self.conv(self.tdnn(torch.cat(seen, dim=1)).tanh())
        energy = energy.masked_fill(weights == 0, float("-inf"))
        return torch.cat(_statistics(x, energy.softmax(-1)), dim=1)


@register
class ECAPATDNN(nn.Module):
    """ECAPA-TDNN; by default the published one of SpeechBrain.

    Args:
        mels: bands of `fbank`.
        channels: of the frames; a multiple of `scale`.
        mixed: channels before the pooling.
        attention: channels inside the pooling.
        squeeze: channels inside squeeze-excitation.
        scale: groups of Res2Net.
        dim: of the embedding.

    Shape:
        - wave: `[B, 1, T]` at 16 kHz, T at least 800
        - output: `[B, dim]`
    """

    PRESETS: ClassVar[Presets] = {
        "speechbrain": {}, "small": {"channels": 192, "mixed": 256, "attention": 64, "squeeze": 32}}

    def __init__(self, mels: int = 80, channels: int = 1024, mixed: int = 3072,
                 attention: int = 128, squeeze: int = 128, scale: int = 8, dim: int = 192):
        super().__init__()
        self.mels, self.dim = mels, dim
        self.blocks = nn.ModuleList([TDNN(mels, channels, 5)])
        self.blocks.extend(SERes2Block(channels, dilation, scale, squeeze)
                           for dilation in (2, 3, 4))
        self.mfa = TDNN(3 * channels, mixed)
        self.asp = AttentivePooling(mixed, attention)
        self.asp_bn = nn.BatchNorm1d(2 * mixed)
        self.fc = nn.Conv1d(2 * mixed, dim, 1)

    def forward(self, wave: Tensor) -> Tensor:
        features = fbank(wave.squeeze(1), self.mels)
        return self.embed(features - features.mean(1, keepdim=True))

    def embed(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The embedding of features, of which the statistics see a share of `lengths` only.

        Shape: `[B, frames, mels]` with zero mean over the frames, `[B]` in 0…1, to `[B, dim]`.
        """
        frames = torch.arange(features.shape[1], device=features.device)
        lengths = features.new_ones(1) if lengths is None else lengths
        weights = (frames < (lengths * frames.shape[0]).view(-1, 1, 1)).to(features)
        weights = weights / weights.sum(-1, keepdim=True)
        first, *blocks = self.blocks
        x, outputs = first(features.transpose(1, 2)), []
        for block in blocks:
            x = block(x, weights)
            outputs.append(x)
        pooled = self.asp(self.mfa(torch.cat(outputs, dim=1)), weights)
        return self.fc(self.asp_bn(pooled)).squeeze(-1)
