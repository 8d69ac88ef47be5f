"""Another loss on the plateau: whether each voice sounds like its speaker, and less and less of it.

The encoder of speakers that keeps the voices of conversations apart says so.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor

from voxmend.speakers.encoders import load_encoder
from voxmend.systems.frame_separator import FrameSeparationRecipe
from voxmend.training.recipes import Model, Source, load_recipe

WEIGHT = 10.0  # of 1 − cosine, beside decibels


@dataclass
class EmbeddingsRecipe(FrameSeparationRecipe):
    """`FrameSeparationRecipe`, and 10·(1 − cos) of embeddings, which fades by batch `until`.

    The cosine is that of a voice's embedding and of its estimate's, in the better order.
    """

    until: int = 1

    def __post_init__(self) -> None:
        (encoder,) = load_encoder("ecapa", "cpu").networks
        self._encoder = encoder.requires_grad_(False)

    def examples(self, pools: Source, step: int) -> tuple[Tensor, ...]:
        """Voices and noise, and what embeddings weigh, `[batch]`."""
        (parts,) = super().examples(pools, step)
        return parts, torch.full_like(parts[:, 0, 0], WEIGHT * max(0, 1 - step / self.until))

    def loss(self, network: Model, *batch: Tensor) -> Tensor:
        parts, weights = batch
        found, weight = network.parts(parts.sum(1, keepdim=True)).float(), weights.mean()
        waves = super().loss(SimpleNamespace(parts=lambda _: found), parts)
        return waves + weight * self._unlike(found, parts) if weight > 0 else waves

    def _unlike(self, found: Tensor, parts: Tensor) -> Tensor:
        encoder = self._encoder.to(parts.device)
        here, there = (torch.nn.functional.normalize(
            encoder(voices[:, :2].flatten(0, 1).unsqueeze(1)).float(), dim=-1
        ).unflatten(0, (-1, 2)) for voices in (found, parts))
        pairs = 1 - here @ there.mT
        straight, crossed = pairs.diagonal(dim1=1, dim2=2), pairs.flip(2).diagonal(dim1=1, dim2=2)
        return torch.minimum(straight.mean(1), crossed.mean(1)).mean()


recipe = EmbeddingsRecipe(**asdict(load_recipe(Path(__file__).with_name("frames.py")))
                          | {"name": "embeddings", "until": 800})
