"""Conv-TasNet: voices by masks on a learnt filter bank, found by dilated convolutions over frames.

                ┌ norm ─ 1×1 ─ blocks ─ Σ skips ─ PReLU ─ 1×1 ─ mask ┐
    x ── encoder ┤                                                    × ── decoder ── voices
                 └────────────────────────────────────────────────────┘

Luo & Mesgarani 2019, "Conv-TasNet: Surpassing ideal time–frequency magnitude masking for speech
separation". The letters N, L, B, H, Sc, P, X and R are those of its table I. Tensors are
`[batch, frames, channels]`, so the paper's 1×1 convolutions are linear layers.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from ..dsp.stft import overlap_add
from . import Presets, register

MASKS = {"sigmoid": torch.sigmoid, "relu": torch.relu}


class ChannelNorm(nn.Module):
    """What both norms of the paper share: a gain and a shift for each channel.

    Shape: `[B, frames, C]` to the same.
    """

    def __init__(self, channels: int, eps: float = 1e-8):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def standardise(self, x: Tensor) -> Tensor:
        """The signal without its mean, at unit variance."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.standardise(x) * self.weight + self.bias


class CumulativeNorm(ChannelNorm):
    """Layer norm over the channels of this frame and all before it (cLN, eq. 12)."""

    def standardise(self, x: Tensor) -> Tensor:
        x = x.float()
        count = x.shape[2] * torch.arange(1, x.shape[1] + 1, device=x.device).unsqueeze(1)
        mean = x.sum(2, keepdim=True).cumsum(1) / count
        power = x.square().sum(2, keepdim=True).cumsum(1) / count
        deviation = (power - mean.square() + self.eps).clamp_min(self.eps).sqrt()
        return (x - mean) / deviation


class GlobalNorm(ChannelNorm):
    """Layer norm over all channels and frames (gLN, eq. 9)."""

    def standardise(self, x: Tensor) -> Tensor:
        return layer_norm(x, x.shape[1:], eps=self.eps)


def _norm(channels: int, causal: bool) -> nn.Module:
    return CumulativeNorm(channels) if causal else GlobalNorm(channels)


class Depthwise(nn.Module):
    """Convolution over frames of every channel c with a kernel of its own, zeros around them.

    y[t, c] = b[c] + Σ_i w[i, c] x[t + i·dilation − reach, c], where reach is dilation·(kernel − 1),
    or half of it, rounded down, if not causal.

    Written as a sum of shifts, which `torch.compile` joins with the layers around it: on a CPU a
    convolution of this kind costs as much as the matrix products beside it.

    Shape: `[B, frames, C]` to the same; `weight` is `[kernel, C]`.
    """

    def __init__(self, channels: int, kernel: int, dilation: int, causal: bool):
        super().__init__()
        bound = kernel ** -0.5
        self.weight = nn.Parameter(torch.empty(kernel, channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(channels).uniform_(-bound, bound))
        reach = dilation * (kernel - 1)
        self.dilation = dilation
        self.padding = (0, 0, reach, 0) if causal else (0, 0, reach // 2, reach - reach // 2)

    def forward(self, x: Tensor) -> Tensor:
        frames, x = x.shape[1], pad(x, self.padding)
        out: Tensor = self.bias
        for i, tap in enumerate(self.weight):
            start = i * self.dilation
            out = torch.addcmul(out, tap, x[:, start:start + frames])
        return out


class Block(nn.Module):
    """1×1, depthwise convolution, and 1×1 to the residual and to the skip path (figure 1C).

    Shape: `[batch, frames, B]` to the residual `[batch, frames, B]` and the skip
    `[batch, frames, Sc]`.
    """

    def __init__(self, B: int, H: int, Sc: int, P: int, dilation: int, causal: bool):
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(B, H), nn.PReLU(), _norm(H, causal))
        self.depthwise = nn.Sequential(Depthwise(H, P, dilation, causal),
                                       nn.PReLU(), _norm(H, causal))
        self.residual, self.skip = nn.Linear(H, B), nn.Linear(H, Sc)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.depthwise(self.enter(x))
        return self.residual(h), self.skip(h)


def decoder(filters: int, length: int) -> nn.Linear:
    """From filters to the samples of frames, drawn as a transposed convolution's weights are.

    Shape: `[..., filters]` to `[..., length]`.
    """
    layer = nn.Linear(filters, length, bias=False)
    nn.init.uniform_(layer.weight, -length ** -0.5, length ** -0.5)
    return layer


class TasNet(nn.Module):
    """What Conv-TasNet and what is made of its parts share.

    Args: those of `ConvTasNet`.
    """

    def __init__(self, N: int = 512, L: int = 16, B: int = 128, H: int = 512, Sc: int = 128,
                 P: int = 3, X: int = 8, R: int = 3, sources: int = 2, mask: str = "sigmoid",
                 causal: bool = False):
        super().__init__()
        if L % 2 or mask not in MASKS:
            raise ValueError(f"Conv-TasNet needs an even L and a mask of {', '.join(MASKS)}, "
                             f"not {L} and {mask!r}")
        self.hop, self.sources, self.mask = L // 2, sources, MASKS[mask]
        self.encoder = nn.Linear(L, N, bias=False)
        self.decoder = decoder(N, L)
        self.enter = nn.Sequential(_norm(N, causal), nn.Linear(N, B))
        # The last residual leads nowhere; the paper's count of parameters has it.
        self.blocks = nn.ModuleList(Block(B, H, Sc, P, 2**(i % X), causal) for i in range(R * X))
        self.leave = nn.Sequential(nn.PReLU(), nn.Linear(Sc, sources * N))

    def _frames(self, x: Tensor) -> Tensor:
        """Frames of L samples, hop apart, with every sample in two of them.

        Shape: `[B, C, T]` to `[B, C, frames, L]`.
        """
        around = (self.hop, self.hop + -x.shape[-1] % self.hop)
        return pad(x, around).unfold(-1, 2 * self.hop, self.hop)

    def _masked(self, encoded: Tensor, skips: Tensor) -> Tensor:
        """Frames of the voices that masks leave. Shape: `[batch, sources, frames, L]`."""
        masks = self.mask(self.leave(skips)).unflatten(-1, (self.sources, -1))
        return self.decoder(masks * encoded.unsqueeze(2)).transpose(1, 2)

    def _signal(self, frames: Tensor, length: int) -> Tensor:
        """Overlap-add, the way back. Shape: `[B, C, frames, L]` to `[B, C, length]`."""
        return overlap_add(frames, self.hop)[..., self.hop:self.hop + length]


@register
class ConvTasNet(TasNet):
    """Conv-TasNet; by default the best one of table II, which is for 8 kHz.

    The output scales with the input, because the mask does not depend on the input's level.

    Args:
        N: filters of encoder and decoder.
        L: their length in samples, even; frames are L/2 apart.
        B: channels between blocks.
        H: channels inside blocks.
        Sc: channels of the skip path.
        P: kernel of the depthwise convolutions.
        X: blocks in a repeat, of dilation 1, 2, 4 … 2^(X−1).
        R: repeats.
        sources: number of voices.
        mask: "sigmoid" (the paper) or "relu".
        causal: no look-ahead but that of the filters, with cLN in place of gLN.

    Shape:
        - mixture: `[batch, 1, T]`, any T
        - output: `[batch, sources, T]`
    """

    PRESETS: ClassVar[Presets] = {
        "paper": {}, "small": {"N": 256, "L": 32, "B": 96, "H": 224, "Sc": 96, "R": 2}}

    def forward(self, mixture: Tensor) -> Tensor:
        (frames,) = self._frames(mixture).unbind(1)
        encoded = self.encoder(frames)
        h = self.enter(encoded)
        skips: Any = 0  # then a tensor
        for block in self.blocks:
            residual, skip = block(h)
            h, skips = h + residual, skips + skip
        return self._signal(self._masked(encoded, skips), mixture.shape[-1])
