"""SEGAN: speech enhanced by an encoder and a decoder of waveforms that a second network judges.

    noisy ──── conv ÷2 ──── conv ÷2 ──── …      noisy ┐
                  │            │         │            ├─ conv ÷2 ─ conv ÷2 ─ … ─ clean?
    enhanced ─ deconv ×2 ─ deconv ×2 ─── …   enhanced ┘

Pascual, Bonafonte & Serrà 2017, "SEGAN: Speech enhancement generative adversarial network". The
latent that the paper joins to the narrowest layer is left out: the generator is a plain function.
"""

from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad

from . import Presets, register

KERNEL = 31
SLOPE = 0.25  # of PReLU at the start
PRESETS: Presets = {"paper": {"channels": (16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 1024)},
           "scaled": {"channels": (8, 16, 16, 32, 32, 64, 64, 128, 256)}}


def _halve(inputs: int, outputs: int) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, KERNEL, stride=2, padding=KERNEL // 2)


def _double(inputs: int, outputs: int) -> nn.ConvTranspose1d:
    return nn.ConvTranspose1d(inputs, outputs, KERNEL, stride=2, padding=KERNEL // 2,
                              output_padding=1)


@register
class SEGAN(nn.Module):
    """The generator; its decoder sees, at every rate, what the encoder made of the signal there.

    Args:
        channels: of the encoder's layers, each of which halves the rate; two or more, the first of
            4 channels at least.

    Shape:
        - noisy: `[B, 1, T]`, any T, with pre-emphasis
        - output: the same, within −1…1
    """

    PRESETS: ClassVar[Presets] = PRESETS

    def __init__(self, channels: tuple[int, ...] = PRESETS["paper"]["channels"]):
        super().__init__()
        if len(channels) < 2 or channels[0] < 4:
            raise ValueError(f"SEGAN needs two layers, the first of 4 channels, not {channels}")
        self.multiple = 2 ** len(channels)
        self.encoder = nn.ModuleList(map(_halve, [1, *channels], channels))
        self.encoder_prelu = nn.ModuleList(map(nn.PReLU, channels))
        inner = channels[-2::-1]
        self.decoder = nn.ModuleList(map(_double, [channels[-1], *(2 * c for c in inner)],
                                         [*inner, 1]))
        self.decoder_prelu = nn.ModuleList(map(nn.PReLU, inner))
        self._start()

    @torch.no_grad()
    def _start(self) -> None:
        """Weights with which every layer keeps the level of its input, and tanh x comes out.

        The first four channels carry ± the even and ± the odd samples past all else, since
        PReLU(x) − PReLU(−x) = (1 + slope) x.
        """
        layers = cast("list[nn.Conv1d | nn.ConvTranspose1d]", [*self.encoder, *self.decoder])
        for layer in layers:
            overlap = KERNEL / (1 if isinstance(layer, nn.Conv1d) else layer.stride[0])
            deviation = (2 / (1 + SLOPE**2) / (layer.in_channels * overlap)) ** 0.5
            nn.init.normal_(layer.weight, std=deviation)
            cast("Tensor", layer.bias).zero_()
        first, last = layers[0].weight, layers[-1].weight
        first[:4] = 0
        last[:] = 0
        for k, (odd, sign) in enumerate(((0, 1), (0, -1), (1, 1), (1, -1))):
            first[k, 0, KERNEL // 2 + odd] = sign
            last[len(last) // 2 + k, 0, KERNEL // 2 + odd] = sign / (1 + SLOPE)

    def forward(self, noisy: Tensor) -> Tensor:
        length = noisy.shape[-1]
        h, skips = pad(noisy, (0, -length % self.multiple)), []
        for conv, prelu in zip(self.encoder, self.encoder_prelu, strict=True):
            h = prelu(conv(h))
            skips.append(h)
        skips.pop()  # which the decoder starts from
        for deconv, prelu in zip(self.decoder, self.decoder_prelu, strict=False):
            h = torch.cat([prelu(deconv(h)), skips.pop()], dim=1)
        return self.decoder[-1](h).tanh()[..., :length]


class Discriminator(nn.Module):
    """Tells (noisy, clean), 1, from (noisy, enhanced), 0.

    In place of the paper's virtual batch norm, which needs a reference batch beside every one,
    each item is normalised by itself over channels and samples: no item sees another there either.

    Args:
        channels: as in `SEGAN`.
        samples: T.

    Shape: noisy `[B, 1, T]` and clean or enhanced `[B, 1, T]` to `[B]`.
    """

    def __init__(self, channels: tuple[int, ...] = PRESETS["paper"]["channels"],
                 samples: int = 16384):
        super().__init__()
        self.layers = nn.ModuleList(map(_halve, [2, *channels], channels))
        self.norms = nn.ModuleList(nn.GroupNorm(1, c) for c in channels)
        self.pool = nn.Conv1d(channels[-1], 1, 1)
        self.score = nn.Linear(samples // 2 ** len(channels), 1)

    def forward(self, noisy: Tensor, speech: Tensor) -> Tensor:
        h = torch.cat([noisy, speech], dim=1)
        for conv, norm in zip(self.layers, self.norms, strict=True):
            h = leaky_relu(norm(conv(h)), 0.3)
        return self.score(self.pool(h).squeeze(1)).squeeze(1)
