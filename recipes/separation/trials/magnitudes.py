"""Another loss on the plateau: of magnitudes, which ask for no phases, and less and less of it.

Who is who shows in spectra; waves of another phase than the true one say nothing of it.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from voxmend.dsp.stft import STFT
from voxmend.systems.frame_separator import FrameSeparationRecipe
from voxmend.training.recipes import Model, Source, load_recipe

EXPONENT, FLOOR = 0.3, 1e-8  # of compressed magnitudes, and of their powers
ANALYSIS = STFT(512, 128)


def compressed(x: Tensor) -> Tensor:
    """|STFT(x)|^0.3. Shape: `[…, T]` to `[…, frames, bins]`."""
    return (torch.view_as_real(ANALYSIS.forward(x)).square().sum(-1) + FLOOR) ** (EXPONENT / 2)


@dataclass
class MagnitudesRecipe(FrameSeparationRecipe):
    """`FrameSeparationRecipe` whose loss goes over from magnitudes to waves by batch `until`.

    On magnitudes it is 10 log₁₀(|c(s) − c(ŝ)|²/|c(y)|²), c of `compressed`, in the better order.
    """

    until: int = 1

    def examples(self, pools: Source, step: int) -> tuple[Tensor, ...]:
        """Voices and noise, and the loss's share of magnitudes, `[batch]`."""
        (parts,) = super().examples(pools, step)
        return parts, torch.full_like(parts[:, 0, 0], max(0, 1 - step / self.until))

    def loss(self, network: Model, *batch: Tensor) -> Tensor:
        parts, shares = batch
        found, share = network.parts(parts.sum(1, keepdim=True)).float(), shares.mean()
        waves = super().loss(SimpleNamespace(parts=lambda _: found), parts)
        return share * self._of_magnitudes(found, parts) + (1 - share) * waves

    def _of_magnitudes(self, found: Tensor, parts: Tensor) -> Tensor:
        here, there = compressed(found[:, :2]), compressed(parts[:, :2])
        error = (here.unsqueeze(2) - there.unsqueeze(1)).square().sum((-2, -1))
        whole = compressed(parts.sum(1)).square().sum((-2, -1)).view(-1, 1, 1)
        pairs = 10 * (error / whole + self.floor).log10()
        straight, crossed = pairs.diagonal(dim1=1, dim2=2), pairs.flip(2).diagonal(dim1=1, dim2=2)
        return torch.minimum(straight.mean(1), crossed.mean(1)).mean()


recipe = MagnitudesRecipe(**asdict(load_recipe(Path(__file__).with_name("frames.py")))
                          | {"name": "magnitudes", "until": 1200})
