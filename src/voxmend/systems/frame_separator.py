"""The frame-wise separator: recipe and loss of `networks.frame_separator`, and how it is loaded."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..models import hub
from ..training import damages, noises
from ..training.listening import SPEEDS, Pools
from ..training.pool import Draws, Pool
from ..training.recipes import Model, Source, muon_and_adamw
from .conv_tasnet import SeparationRecipe, si_snr
from .score_models import MODELS


@dataclass
class FrameSeparationRecipe(SeparationRecipe):
    """How to train a frame-wise separator of two voices, in noise and rooms as well.

    Mixtures are made on the device. Loss, in the better order of the voices: minus their SI-SNR, at
    most 30 dB, plus a tenth of 10 log₁₀(|s − ŝ|²/|y|² + ε), which heeds levels; of a voice that is
    alone only the latter, whole. A tenth of the rest's error is added.

    Args:
        easy: the first so many mixtures are of a woman and a man, where the corpus says who is
            (`Corpus.sexes`), both heard, without noise and rooms: that there are two voices is
            found out within a few hundred steps.
        noisy, wet: shares of the mixtures with recorded noise, at 5…30 dB under 0.1, and in rooms.
        muon: rate of Muon (`recipes.muon_and_adamw`).
        speeds: of the voices.
    """

    network: str = "FrameSeparator"
    weight_decay: float = 0.02
    warmup: int = 300
    decay: float = 0.6
    ema: float = 0.9995
    muon: float = 2e-3
    speeds: tuple[float, ...] = SPEEDS
    noisy: float = 0.3
    wet: float = 0.15
    easy: int = 1500
    floor: float = 1e-3
    level_db: float = 5.0

    use: ClassVar[str] = "voxmend separate --weights"
    needs_noise: ClassVar[bool] = True

    @property
    def ready(self) -> tuple[str, ...]:
        """No ready mixtures: they are made on the device, with noise and rooms."""
        return ()

    def describe(self) -> dict:
        return {"prediction": "sources", "sources": self.sources, "open_levels": False}

    def prepare(self, corpus: Source, device: torch.device) -> Pools:
        """What `examples` are cut from, on a device."""
        return {"speech": Pool(corpus, device, self.speeds, self.balance),
                "noise": Pool(corpus.noise, device, noises.SPEEDS)}

    def _pairs(self, pool: Pool, draws: Draws, easy: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Files of two speakers, and in which pairs chance found only one speaker."""
        one, two = pool.pick(draws), pool.pick(draws)
        for _ in range(6):
            alike = pool.owner[one] == pool.owner[two]
            if easy:
                sexes = pool.sex[pool.owner[one]], pool.sex[pool.owner[two]]
                alike = alike | ((sexes[0] == sexes[1]) & (sexes[0] >= 0))
            two = torch.where(alike, pool.pick(draws), two)
        return one, two, pool.owner[one] == pool.owner[two]

    @torch.no_grad()
    def examples(self, pools: Source, step: int) -> tuple[Tensor, ...]:
        """Two voices and noise of a step, `[batch, 3, T]`."""
        pool, easy = pools["speech"], step < self.easy
        length = round(self.seconds * self.sample_rate)
        draws = Draws(self.batch, pool.device, self.seed, step)
        one, two, same = self._pairs(pool, draws, easy)
        voices = []
        for k, files in enumerate((one, two)):
            crop = pool.cut(files, length, draws) * 0.1 / pool.rms[files, None]
            other = damages.coloured(crop, draws, self.sample_rate)
            crop = torch.where(draws.chance(0.3), other, crop)
            level = draws.uniform(-self.level_db, self.level_db) * k
            voices.append(crop * 10 ** (level / 20) * draws.sign())
        alone = draws.chance(0 if easy else self.alone) | same[:, None]
        voices[1] = voices[1] * ~alone
        wet = draws.chance(0 if easy else self.wet)
        rooms = [damages.reverberant(voice, draws, self.sample_rate) for voice in voices]
        voices = [torch.where(wet, *pair) for pair in zip(rooms, voices, strict=True)]
        noise = pools["noise"].cut(pools["noise"].pick(draws), length, draws)
        noise = noise / damages.power(noise).clamp(min=1e-8).sqrt()
        noise = noise * 0.1 * 10 ** (-draws.uniform(5, 30) / 20)
        noise = noise * draws.chance(0 if easy else self.noisy)
        return (torch.stack([*voices, noise], 1),)

    def loss(self, network: Model, *batch: Tensor) -> Tensor:
        (parts,) = batch
        found = network.parts(parts.sum(1, keepdim=True)).float()
        voices, rest = found[:, :2].unsqueeze(2), found[:, 2]
        truth = parts[:, :2]
        mixture = parts.sum(1).square().sum(-1) + 1e-6
        error = (voices - truth.unsqueeze(1)).square().sum(-1) / mixture.view(-1, 1, 1)
        levels = 10 * (error + self.floor).log10()
        shapes = -si_snr(voices, truth.unsqueeze(1)).clamp(max=30) + 0.1 * levels
        both = truth[:, 1].square().sum(-1) > 1e-6 * mixture
        pairs = torch.where(both.view(-1, 1, 1), shapes, levels)
        straight, crossed = pairs.diagonal(dim1=1, dim2=2), pairs.flip(2).diagonal(dim1=1, dim2=2)
        noise = 10 * ((rest - parts[:, 2]).square().sum(-1) / mixture + 10 * self.floor).log10()
        return torch.minimum(straight.mean(1), crossed.mean(1)).mean() + 0.1 * noise.mean()

    def optimizers(self, network: nn.Module) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(network, self.muon, self.learning_rate, self.weight_decay)


def load_separator(path: Path, device: str = "cpu") -> nn.Module:
    """A trained frame-wise separator, `[B, 1, T]` to `[B, K, T]`; raises `hub.PriorError`."""
    card = hub.read_card(path)
    if card.get("network") != "FrameSeparator":
        others = {"sources": "conv-tasnet", **dict.fromkeys(MODELS, "diffsep")}
        method = others.get(card.get("prediction", "")) if card.get("task") != "enhance" else None
        raise hub.PriorError(f"{path}: no frame-wise separator; " + (
            f"use it with voxmend separate --method {method}" if method else
            "train one with recipes/separation/frame_separator.py"))
    return hub.load_network(path, card, device)
