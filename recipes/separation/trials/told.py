"""Another curriculum: one voice is told by its beginning, of which less and less is given.

Told roughly where a voice is, networks part it at once (docs/separation.md, "How they were
trained"). So the first voice's first second is given, clean, at first; the span shrinks to nothing
by `until`. Any two voices are mixed from the start.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from voxmend.networks import register
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.networks.frame_separator import FrameSeparator
from voxmend.systems.frame_separator import FrameSeparationRecipe
from voxmend.training.recipes import Model, Source, load_recipe


@register
class ToldSeparator(FrameSeparator):
    """A FrameSeparator that may be told a stretch of the first voice.

    Args: all of `FrameConvNeXt` that `FrameSeparator` sets as well.
    """

    def __init__(self, **sizes: object):
        super().__init__(**sizes)
        self.body = FrameConvNeXt(**sizes, inputs=2, outputs=3, log_magnitude=True,
                                  conditioned=False)
        torch.nn.init.normal_(self.body.leave.weight, std=0.02)

    def parts(self, mixture: Tensor, told: Tensor | None = None) -> Tensor:
        """The voices and the rest. Shape: `[B, 1, T]`, `[B, 1, T]` or None to `[B, 3, T]`."""
        told = torch.zeros_like(mixture) if told is None else told
        level = mixture.square().mean(-1, keepdim=True).sqrt() + 1e-8
        parts = self.body(torch.cat([mixture, told], 1) / level, None).float()
        missing = (mixture / level - parts.sum(1, keepdim=True)) / parts.shape[1]
        return level * (parts + missing)


@dataclass
class ToldRecipe(FrameSeparationRecipe):
    """`FrameSeparationRecipe` whose first `until` batches tell of the first voice."""

    until: int = 1

    def examples(self, pools: Source, step: int) -> tuple[Tensor, ...]:
        """Voices and noise, and what is told of the first voice, `[batch, 1, T]`."""
        (parts,) = super().examples(pools, step)
        told = parts[:, :1].clone()
        told[..., round(max(0, 1 - step / self.until) * self.sample_rate):] = 0
        return parts, told

    def loss(self, network: Model, *batch: Tensor) -> Tensor:
        parts, told = batch
        return super().loss(SimpleNamespace(parts=lambda x: network.parts(x, told)), parts)


shared = asdict(load_recipe(Path(__file__).with_name("frames.py")))
recipe = ToldRecipe(**shared | dict(
    name="told", network="ToldSeparator", until=shared["easy"], easy=0,
    config=dict(channels=384, blocks=8, kernel=7, dilations=(1, 2, 4, 8), expansion=3,
                attention=2)))
