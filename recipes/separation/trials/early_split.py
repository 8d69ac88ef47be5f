"""Like SepReformer: voices are split early, and one decoder, told of the others, rebuilds each.

Shin et al. 2024, "Separate and Reconstruct: Asymmetric Encoder-Decoder for Speech Separation",
figure 1: the encoder's features are split into those of the voices, then blocks of shared weights
and cross-speaker attention reconstruct them. Here on the frames of `frames`, at one resolution, and
at about the same cost of a second.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from voxmend.dsp.stft import STFT
from voxmend.networks import register
from voxmend.networks.convnext import LOG_FLOOR, Attention, Block
from voxmend.networks.frame_separator import FrameSeparator
from voxmend.training.recipes import load_recipe


class EarlySplit(nn.Module):
    """Encoder, split, decoder over frames.

    Args:
        before, after: blocks of the encoder and of the decoder.

    Shape: `[B, 1, T]` of unit variance to `[B, parts, T]`.
    """

    def __init__(self, channels: int, before: int, after: int, parts: int = 3):
        super().__init__()
        self.stft, self.count = STFT(512, 128), parts
        self.enter = nn.Linear(3 * self.stft.bins, channels)
        self.before = nn.Sequential(*[nn.Sequential(Block(channels, 7, 2**i, 3, 0),
                                                    Attention(channels) if i % 2 else nn.Identity())
                                      for i in range(before)])
        self.split = nn.Linear(channels, parts * channels)
        self.after = nn.ModuleList(Block(channels, 7, 2**i, 3, 0) for i in range(after))
        self.frames = nn.ModuleList(Attention(channels) for _ in range(after))
        self.voices = nn.ModuleList(Attention(channels) for _ in range(after))
        self.leave = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 4 * self.stft.bins))

    def forward(self, x: Tensor, _: None) -> Tensor:
        spectrum = self.stft.forward(x).transpose(1, 2)[:, :, 0]  # [B, frames, bins]
        pair = torch.view_as_real(spectrum)
        power = pair.square().sum(-1)
        compressed = pair * (power + 1e-8).unsqueeze(-1) ** -0.35
        told = torch.cat([compressed.flatten(2), (power + LOG_FLOOR).log() / 4], -1)
        h = self.split(self.before(self.enter(told))).unflatten(-1, (self.count, -1))
        batch, frames = h.shape[:2]
        h = h.transpose(1, 2).flatten(0, 1)  # [B · parts, frames, channels]
        for block, over_frames, over_voices in zip(self.after, self.frames, self.voices,
                                                   strict=True):
            h = over_frames(block(h)).unflatten(0, (batch, -1)).transpose(1, 2).flatten(0, 1)
            h = over_voices(h).unflatten(0, (batch, frames)).transpose(1, 2).flatten(0, 1)
        found = self.leave(h).float().unflatten(-1, (2, -1, 2)).unflatten(0, (batch, -1))
        mask, residual = torch.view_as_complex(found.contiguous()).unbind(3)
        parts = mask * spectrum.unsqueeze(1) + residual
        return self.stft.inverse(parts, x.shape[-1])


@register
class EarlySplitSeparator(FrameSeparator):
    """A FrameSeparator with that in the place of its body; its parts add up as well."""

    def __init__(self, channels: int = 256, before: int = 4, after: int = 3):
        nn.Module.__init__(self)
        self.sources, self.body = 2, EarlySplit(channels, before, after)


recipe = replace(load_recipe(Path(__file__).with_name("frames.py")), name="early_split",
                 network="EarlySplitSeparator", config={})
