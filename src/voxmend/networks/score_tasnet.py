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
from typing import Any, ClassVar

import torch
from scipy.linalg import helmert
from torch import Tensor, nn

from . import Presets, register
from .conv_tasnet import ConvTasNet, TasNet, decoder
from .embedding import FourierFeatures


@register
class ScoreTasNet(TasNet):
    """A Conv-TasNet told noisy differences and their noise level.

    Args: those of `ConvTasNet`.

    Shape:
        - x: `[batch, sources, T]`, sources − 1 noisy differences and the mixture
        - noise: `[batch]`, ln σ / 4
        - output: `[batch, sources − 1, T]`
    """

    PRESETS: ClassVar[Presets] = {"diffsep": ConvTasNet.PRESETS["small"]}

    def __init__(self, N: int = 512, L: int = 16, B: int = 128, Sc: int = 128, sources: int = 2,
                 **config: Any):
        super().__init__(N=N, L=L, B=B, Sc=Sc, sources=sources, **config)
        self.inputs = sources
        basis = math.sqrt(sources) * torch.from_numpy(helmert(sources)).float()
        self.register_buffer("basis", basis, persistent=False)
        self.features = FourierFeatures()
        self.embed = nn.Sequential(nn.Linear(64, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
        self.modulate = nn.ModuleList(nn.Linear(128, 2 * B) for _ in self.blocks)
        self.differences = nn.Linear((sources - 1) * L, N, bias=False)
        self.tell = nn.Linear(2 * N, B)
        self.gains = nn.Linear(Sc, N)
        self.back = decoder(N, (sources - 1) * L)
        for layer in (*self.modulate, self.tell, self.gains):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        *noisy, mixture = self._frames(x).unbind(1)
        encoded, told = self.encoder(mixture), self.differences(torch.cat(noisy, dim=-1))
        embedding = self.embed(self.features(noise)).unsqueeze(1)
        h = self.enter(encoded) + self.tell(torch.cat([told, told * encoded], dim=-1))
        skips: Any = 0  # then a tensor
        for block, modulate in zip(self.blocks, self.modulate, strict=True):
            gain, shift = modulate(embedding).chunk(2, dim=-1)
            residual, skip = block(h * (1 + gain) + shift)
            h, skips = h + residual, skips + skip
        parted = torch.einsum("ds,bsfl->bdfl", self.basis, self._masked(encoded, skips))
        passed = self.back(self.gains(skips) * told).unflatten(-1, (self.sources - 1, -1))
        return self._signal(parted + passed.transpose(1, 2), x.shape[-1])
