"""Conv-TasNet that also sees noisy differences of the voices: the network of light DiffSep.

               ┌ masks of the voices ─ decoder ─ √K Q ┐
    mixture ───┤ blocks ↑ σ                           + ── differences
    differences┤                                      │
               └ gains ─────────────────── decoder ───┘

Q is the basis of `processes.MixingSDE` without its first vector, which is the mixture's. Without
the differences, and before they have had a say, it is the Conv-TasNet whose weights it may begin
with.
"""

import math

import torch
from scipy.linalg import helmert
from torch import Tensor, nn
from torch.nn.functional import pad

from .conv_tasnet import ConvTasNet


class ScoreTasNet(ConvTasNet):
    """A Conv-TasNet told noisy differences and their noise level.

    Args: those of `ConvTasNet`.

    Shape:
        - x: `[batch, sources, T]`, sources − 1 noisy differences and the mixture
        - noise: `[batch]`, ln σ / 4
        - output: `[batch, sources − 1, T]`
    """

    PRESETS = {"diffsep": ConvTasNet.PRESETS["small"]}

    def __init__(self, N: int = 512, L: int = 16, B: int = 128, Sc: int = 128, sources: int = 2,
                 **config):
        super().__init__(N=N, L=L, B=B, Sc=Sc, sources=sources, **config)
        self.inputs = sources
        basis = math.sqrt(sources) * torch.from_numpy(helmert(sources)).float()
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("frequencies", 2 * math.pi * torch.logspace(-1.5, 1, 32),
                             persistent=False)
        self.embed = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.modulate = nn.ModuleList(nn.Linear(128, 2 * B) for _ in self.blocks)
        self.differences = nn.Conv1d(sources - 1, N, L, stride=self.hop, bias=False)
        self.tell = nn.Conv1d(2 * N, B, 1)
        self.gains = nn.Conv1d(Sc, N, 1)
        self.back = nn.ConvTranspose1d(N, sources - 1, L, stride=self.hop, bias=False)
        for layer in (*self.modulate, self.tell, self.gains):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        length = x.shape[-1]
        ends = self.hop, self.hop + -length % self.hop
        x = pad(x, ends)
        encoded, told = self.encoder(x[:, -1:]), self.differences(x[:, :-1])
        angle = noise[:, None] * self.frequencies
        embedding = self.embed(torch.cat([angle.cos(), angle.sin()], dim=-1))
        h, skips = self.enter(encoded) + self.tell(torch.cat([told, told * encoded], dim=1)), 0
        for block, modulate in zip(self.blocks, self.modulate):
            gain, shift = modulate(embedding).unsqueeze(-1).chunk(2, dim=1)
            residual, skip = block(h * (1 + gain) + shift)
            h, skips = h + residual, skips + skip
        masks = self.mask(self.leave(skips)).unflatten(1, (self.sources, -1))
        voices = self.decoder((masks * encoded.unsqueeze(1)).flatten(0, 1))
        voices = voices.unflatten(0, (-1, self.sources)).squeeze(2)
        out = self.basis @ voices + self.back(self.gains(skips) * told)
        return out[..., self.hop:self.hop + length]
