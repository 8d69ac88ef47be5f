"""Conv-TasNet: voices by masks on a learnt filter bank, found by dilated convolutions over frames.

                ┌ norm ─ 1×1 ─ blocks ─ Σ skips ─ PReLU ─ 1×1 ─ mask ┐
    x ── encoder ┤                                                    × ── decoder ── voices
                 └────────────────────────────────────────────────────┘

Luo & Mesgarani 2019, "Conv-TasNet: Surpassing ideal time–frequency magnitude masking for speech
separation". The letters N, L, B, H, Sc, P, X and R are those of its table I.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

MASKS = {"sigmoid": torch.sigmoid, "relu": torch.relu}


class CumulativeNorm(nn.Module):
    """Layer norm over the channels of this frame and all before it (cLN, eq. 12).

    Shape: `[B, C, frames]` to the same.
    """

    def __init__(self, channels: int, eps: float = 1e-8):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        count = x.shape[1] * torch.arange(1, x.shape[2] + 1, device=x.device)
        mean = x.sum(1, keepdim=True).cumsum(-1) / count
        power = x.square().sum(1, keepdim=True).cumsum(-1) / count
        deviation = (power - mean.square()).clamp_min(0).add(self.eps).sqrt()
        return (x - mean) / deviation * self.weight + self.bias


def _norm(channels: int, causal: bool) -> nn.Module:
    """cLN, or layer norm over all channels and frames (gLN, eq. 9)."""
    return CumulativeNorm(channels) if causal else nn.GroupNorm(1, channels, eps=1e-8)


class Block(nn.Module):
    """1×1, depthwise convolution, and 1×1 to the residual and to the skip path (figure 1C).

    Shape: `[batch, B, frames]` to the residual `[batch, B, frames]` and the skip
    `[batch, Sc, frames]`.
    """

    def __init__(self, B: int, H: int, Sc: int, P: int, dilation: int, causal: bool):
        super().__init__()
        reach = dilation * (P - 1)
        self.padding = (reach, 0) if causal else (reach // 2, reach - reach // 2)
        self.enter = nn.Sequential(nn.Conv1d(B, H, 1), nn.PReLU(), _norm(H, causal))
        self.depthwise = nn.Sequential(nn.Conv1d(H, H, P, dilation=dilation, groups=H),
                                       nn.PReLU(), _norm(H, causal))
        self.residual, self.skip = nn.Conv1d(H, B, 1), nn.Conv1d(H, Sc, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.depthwise(pad(self.enter(x), self.padding))
        return self.residual(h), self.skip(h)


class ConvTasNet(nn.Module):
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

    PRESETS = {"paper": {}, "small": {"N": 256, "L": 32, "B": 96, "H": 224, "Sc": 96, "R": 2}}

    def __init__(self, N: int = 512, L: int = 16, B: int = 128, H: int = 512, Sc: int = 128,
                 P: int = 3, X: int = 8, R: int = 3, sources: int = 2, mask: str = "sigmoid",
                 causal: bool = False):
        super().__init__()
        if L % 2 or mask not in MASKS:
            raise ValueError(f"Conv-TasNet needs an even L and a mask of {', '.join(MASKS)}, "
                             f"not {L} and {mask!r}")
        self.hop, self.sources, self.mask = L // 2, sources, MASKS[mask]
        self.encoder = nn.Conv1d(1, N, L, stride=self.hop, bias=False)
        self.decoder = nn.ConvTranspose1d(N, 1, L, stride=self.hop, bias=False)
        self.enter = nn.Sequential(_norm(N, causal), nn.Conv1d(N, B, 1))
        # The last residual leads nowhere; the paper's count of parameters has it.
        self.blocks = nn.ModuleList(Block(B, H, Sc, P, 2**(i % X), causal) for i in range(R * X))
        self.leave = nn.Sequential(nn.PReLU(), nn.Conv1d(Sc, sources * N, 1))

    def forward(self, mixture: Tensor) -> Tensor:
        encoded = self.encoder(self._padded(mixture))
        h, skips = self.enter(encoded), 0
        for block in self.blocks:
            residual, skip = block(h)
            h, skips = h + residual, skips + skip
        return self._masked(encoded, skips)[..., self.hop:self.hop + mixture.shape[-1]]

    def _padded(self, x: Tensor) -> Tensor:
        """A signal between `hop` zeros and more, so that every sample lies under two filters."""
        return pad(x, (self.hop, self.hop + -x.shape[-1] % self.hop))

    def _masked(self, encoded: Tensor, skips: Tensor) -> Tensor:
        """The voices that masks leave of the encoded mixture, still padded."""
        masks = self.mask(self.leave(skips)).unflatten(1, (self.sources, -1))
        voices = self.decoder((masks * encoded.unsqueeze(1)).flatten(0, 1))
        return voices.unflatten(0, (-1, self.sources)).squeeze(2)
