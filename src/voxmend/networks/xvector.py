"""x-vector: who speaks, from log-mel frames, by dilated convolutions and their statistics.

    fbank ─ 5 × (convolution ─ leaky ReLU ─ norm) ─ mean and std over the frames ─ linear

Snyder et al. 2018, "X-vectors: Robust DNN embeddings for speaker recognition", in the form of
SpeechBrain's release (spkrec-xvect-voxceleb): convolutions see the signal reflected at its ends.
"""

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..dsp.stft import fbank
from . import Presets, register


@register
class XVector(nn.Module):
    """x-vector; by default the published one of SpeechBrain.

    The release adds noise of 1e-5 to 9e-5 to the means; this one does not.

    Args:
        mels: bands of `fbank`.
        channels: of the frames.
        mixed: channels before the pooling.
        dim: of the embedding.

    Shape:
        - wave: `[B, 1, T]` at 16 kHz, T at least 480
        - output: `[B, dim]`
    """

    PRESETS: ClassVar[Presets] = {"speechbrain": {}, "small": {"channels": 160, "mixed": 320}}

    def __init__(self, mels: int = 24, channels: int = 512, mixed: int = 1500, dim: int = 512):
        super().__init__()
        self.mels, self.dim = mels, dim
        widths, layers = [mels, *[channels] * 4, mixed], []
        for (inputs, outputs), kernel, dilation in zip(pairwise(widths), (5, 3, 3, 1, 1),
                                                       (1, 2, 3, 1, 1), strict=True):
            layers += [nn.Conv1d(inputs, outputs, kernel, padding="same", dilation=dilation,
                                 padding_mode="reflect" if kernel > 1 else "zeros"),
                       nn.LeakyReLU(0.01), nn.BatchNorm1d(outputs)]
        self.blocks = nn.Sequential(*layers)
        self.fc = nn.Linear(2 * mixed, dim)

    def forward(self, wave: Tensor) -> Tensor:
        features = fbank(wave.squeeze(1), self.mels)
        return self.embed(features - features.mean(1, keepdim=True))

    def embed(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The embedding of features, of which the statistics see a share of `lengths` only.

        Shape: `[B, frames, mels]` with zero mean over the frames, `[B]` in 0…1, to `[B, dim]`.
        """
        x = self.blocks(features.transpose(1, 2))
        frames = torch.arange(x.shape[-1], device=x.device)
        lengths = x.new_ones(1) if lengths is None else lengths
        seen = (frames < (lengths * frames.shape[0]).round().view(-1, 1, 1)).to(x)
        count = seen.sum(-1)
        mean = (seen * x).sum(-1) / count
        variance = (seen * (x - mean.unsqueeze(-1))).square().sum(-1) / (count - 1)
        return self.fc(torch.cat([mean, variance.sqrt() + 1e-5], dim=1))
