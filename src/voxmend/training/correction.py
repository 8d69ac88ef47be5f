"""Recipe of a prior that corrects first guesses (`diffusion.told.GuessDenoiser`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..diffusion.told import GuessDenoiser
from ..dsp.stft import STFT
from ..models import hub
from ..operators import Evidence
from .corpus import Corpus
from .first_guesses import KINDS, Clips, FirstGuesses
from .listening import SPEEDS, compressed
from .pool import Draws, Pool
from .recipes import Model, PriorRecipe, Source, fresh_network, muon_and_adamw


def unknown(clips: Clips) -> Tensor:
    """1 where a sample is not observed; everywhere, where the band is narrowed. `[B, 1, T]`."""
    marked = (clips.marks != 0).any(1, keepdim=True)
    return (marked | (clips.kind == list(KINDS).index("composed"))[:, None, None]).float()


@dataclass
class CorrectionRecipe(PriorRecipe):
    """How to train a prior that is told first guesses, and is a plain prior when told nothing.

    Of the examples that are told, the mean of ln(e/e₀ + ε) + λ ln(s/s₀ + 10ε) + 0.1 ln(r + ε/10):
    e the squared error in the samples that are not known and e₀ the guess's own, s and s₀ the
    errors of compressed spectra, r the error in known samples. By the logarithm all count alike,
    however much is lost. Of the others, PriorRecipe's loss, times `weight`; with a teacher, towards
    what that makes of the noisy signal, which is the same in the mean, and varies less.

    Args:
        guesses: folder with train/ and val/ of `first_guesses.prepare`.
        plain: share of the examples without a guess.
        top: share of the others at sigma_max, where one call is the posterior mean.
        spectral, floor: λ and ε.
        weight: of the plain examples.
        teacher: a plain prior, by name or path.
        muon: rate of Muon (`recipes.muon_and_adamw`).
        speeds: of the plain speech.
    """

    guesses: str = "guesses"
    plain: float = 0.375
    top: float = 0.8
    spectral: float = 0.3
    floor: float = 1e-3
    weight: float = 8.0
    teacher: str = ""
    muon: float = 1e-3
    learning_rate: float = 7e-4
    balance: float = 0.5
    speeds: tuple[float, ...] = SPEEDS

    measure: ClassVar[str] = "dB over the first guess, and denoising gain"

    def build(self) -> GuessDenoiser:
        return GuessDenoiser(fresh_network(self), self.sample_rate, self.sigma_min, self.sigma_max,
                             self.sigma_data)

    def describe(self) -> dict:
        return super().describe() | {"prediction": "guess"}

    def prepare(self, corpus: Corpus, device: torch.device) -> Source:
        """What `examples` are made of, on a device: speech, clips and guesses, the teacher."""
        teacher = hub.load_prior(self.teacher, str(device)) if self.teacher else None
        return (Pool(corpus, device, self.speeds, self.balance),
                FirstGuesses(Path(self.guesses) / "train", device), teacher)

    @torch.no_grad()
    def examples(self, source: Source, step: int) -> tuple[Tensor, ...]:
        """Clean signals, guesses, marks, unknown samples, noise levels, noise, and aims.

        The last items are plain. Aims are the clean signals, or the teacher's of plain items.

        Shape: `[B, 1, T]`, marks `[B, 2, T]`, levels `[B, 1, 1]`.
        """
        pool, guesses, teacher = source
        if step % 50 == 0:
            guesses.refresh()
        length, span = round(self.seconds * self.sample_rate), self.sigma_max / self.sigma_min
        alone = round(self.plain * self.batch)
        told, untold = (Draws(count, pool.device, self.seed, step, kind)
                        for kind, count in enumerate((self.batch - alone, alone)))
        clips, sign = guesses.crops(length, told), told.sign()[..., None]
        gain = sign * 10 ** (self.gain_db * told.normal(1, 1) / 20)
        marks = torch.cat([clips.marks[:, :1] * sign, clips.marks[:, 1:]], 1)
        sigma = torch.where(told.chance(self.top), self.sigma_max,
                            self.sigma_min * span ** told.uniform())
        none = pool.crops(length, self.sigma_data, self.gain_db, untold)[:, None]
        place = torch.arange(alone, device=pool.device)[:, None] + untold.uniform()
        levels = (self.sigma_min * span ** (place / max(1, alone)))[..., None]
        noise = untold.normal(1, length)
        aim = none if teacher is None else teacher(none + levels * noise, levels)
        clean = clips.clean * gain
        return (torch.cat([clean, none]), torch.cat([clips.guess * gain, 0 * none]),
                torch.cat([marks, marks.new_zeros(alone, 2, length)]),
                torch.cat([unknown(clips), torch.ones_like(none)]),
                torch.cat([sigma[..., None], levels]),
                torch.cat([told.normal(1, length), noise]), torch.cat([clean, aim]))

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, guess, marks, lost, sigma, noise, aim = batch
        told = len(clean) - round(self.plain * len(clean))
        found = denoiser(clean + sigma * noise, sigma, Evidence(guess, marks[:, None]))
        weight = (sigma.square() + self.sigma_data**2) / (sigma * self.sigma_data).square()
        alone = (weight * (found - aim).square())[told:]
        plain = alone.sum() / max(1, alone.numel())
        found, clean, guess, lost = found[:told], clean[:told], guess[:told], lost[:told]

        def error(x: Tensor, where: Tensor) -> Tensor:
            return ((x - clean).square() * where).sum((1, 2))

        def heard(x: Tensor) -> Tensor:
            pair = compressed(STFT(512, 128).forward(torch.cat([x, clean], 1) / self.sigma_data))
            return (pair[:, 0] - pair[:, 1]).square().mean((1, 2, 3))

        before, known = error(guess, lost), error(found, 1 - lost)
        level = clean.square().sum((1, 2)).clamp(min=1e-3)
        each = ((error(found, lost) / (before + 1e-6) + self.floor).log()
                + self.spectral * (heard(found) / (heard(guess) + 1e-4) + 10 * self.floor).log()
                + 0.1 * (known / level + self.floor / 10).log())
        harmed = (before > 1e-4).float()
        return ((each * harmed).sum() / harmed.sum().clamp(min=1)) + self.weight * plain

    def held_out(self, corpus: Corpus) -> Tensor:
        """All clips of val/: clean, guess, two marks, unknown samples, kind. Shape: `[N, 6, T]`."""
        guesses = FirstGuesses(Path(self.guesses) / "val")
        number = torch.arange(len(guesses))
        clips = guesses.take(number, 0 * number, guesses.length)
        return torch.cat([clips.clean, clips.guess, clips.marks, unknown(clips),
                          clips.kind[:, None, None].expand_as(clips.clean).float()], 1)

    @torch.no_grad()
    def validate(self, denoiser: Model, clean: Tensor) -> dict[str, float]:
        """How many dB less error than the guess's one call leaves, by kind; and the plain gains."""
        better: dict[str, list[float]] = {name: [] for name in KINDS}
        for part in clean.split(16):
            x, guess, lost = part[:, :1], part[:, 1:2], part[:, 4:5]
            noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x)
            evidence = Evidence(guess, part[:, None, 2:4])
            found = denoiser(guess + self.sigma_max * noise, self.sigma_max, evidence)
            errors = [((y - x).square() * lost).sum((1, 2)) for y in (guess, found)]
            for kind, gain in zip(part[:, 5, 0].long(), 10 * (errors[0] / errors[1]).log10(),
                                  strict=True):
                better[list(KINDS)[int(kind)]].append(gain.item())
        plain = super().validate(denoiser, clean[:32, :1])
        return {name: round(float(np.mean(gains)), 3) for name, gains in better.items() if gains
                } | plain

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(denoiser, self.muon, self.learning_rate, self.weight_decay)
