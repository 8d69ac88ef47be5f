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
from . import damages
from .corpus import Corpus
from .disturbance import check_rate, disturbance
from .first_guesses import CUTOFF, KINDS, NAMES, Clips, FirstGuesses
from .listening import SPEEDS, spectral_error
from .pool import Draws, Pool
from .recipes import Model, PriorRecipe, Source, muon_and_adamw

# Kinds from MEL on have lost phases; of NARROW, which is made at once, only a band is lost.
MEL, COMPOSED, NARROW = list(KINDS).index("mel"), list(KINDS).index("composed"), len(KINDS)
LEAST = 1e-10  # power of the rounding noise of bf16 and of 16-bit files, about -100 dBFS


def narrowed(clean: Tensor, draws: Draws, sample_rate: int) -> Tensor:
    """Speech of which only a band is left, with the faint noise that every converter adds.

    A low-pass at 1 to 7 kHz; in a quarter of the items a telephone's high-pass, too. The noise, of
    -100 to -75 dB, hides what a filter's stop band leaks, so that nobody learns to read it.

    Shape: `[B, T]`.
    """
    heard = damages.lost_band(clean, draws.log_uniform(*CUTOFF), draws, sample_rate)
    low = damages.lost_band(heard, draws.log_uniform(100, 400), draws, sample_rate)
    heard = torch.where(draws.chance(0.25), heard - low, heard)
    return heard + 10 ** (draws.uniform(-5, -3.75)) * draws.normal(clean.shape[-1])


def log_spectral(found: Tensor, clean: Tensor) -> Tensor:
    """Mean over frames of the RMS difference of log power spectra, 32 and 64 ms long, in dB.

    Shape: `[B, 1, T]`, `[B, 1, T]` to `[B]`.
    """
    apart = []
    for size in (512, 1024):
        power = STFT(size, size // 4).forward(torch.cat([found, clean], 1))
        level = 10 * (power.real.square() + power.imag.square() + LEAST).log10()
        apart.append(((level[:, 0] - level[:, 1]).square().mean(-1) + 1e-3).sqrt().mean(-1))
    return (apart[0] + apart[1]) / 2


def unknown(clips: Clips) -> Tensor:
    """1 where a sample is clipped or missing; everywhere, where all is composed. `[B, 1, T]`."""
    marked = (clips.marks != 0).any(1, keepdim=True)
    return (marked | (clips.kind == COMPOSED)[:, None, None]).float()


@dataclass
class CorrectionRecipe(PriorRecipe):
    """How to train a prior that is told first guesses, and is a plain prior when told nothing.

    Of the examples that are told, the mean of ln(e/e₀ + ε) + λ ln(s/s₀ + 10ε) + 0.1 ln(r + ε/10),
    plus μ ln d where phases are lost, plus κ ln p of all but a band: e the squared error in the
    samples that are not known and e₀ the guess's own, s and s₀ the errors of compressed spectra, r
    the error in known samples, d the log-spectral distance, p the `disturbance`. By the logarithm
    all count alike, however much is lost; d and p ask for what a listener hears where e would leave
    next to nothing, so that a band alone is left to d. Composed damage needs the largest μ: most of
    its e is not of the lost band. Of the others, PriorRecipe's loss, times `weight`; with a
    teacher, towards what that makes of the noisy signal, which is the same in the mean, and varies
    less.

    Args:
        guesses: folder with train/ and val/ of `first_guesses.prepare`.
        newest: of train/ only the newest so many shards are heard, as `prepare` goes on; 0: all.
        plain: share of the examples without a guess.
        narrow: share of the others of which only the band is narrowed.
        top: share of the others at sigma_max, where one call is the posterior mean.
        spectral, floor, perceptual: λ, ε and κ.
        texture: μ of mel-spectrograms, of composed damage and of bands alone.
        weight: of the plain examples.
        teacher: a plain prior, by name or path.
        muon: rate of Muon (`recipes.muon_and_adamw`).
        speeds: of the plain speech.
    """

    guesses: str = "guesses"
    newest: int = 0
    plain: float = 0.375
    narrow: float = 0.25
    top: float = 0.8
    spectral: float = 0.3
    floor: float = 1e-3
    texture: tuple[float, float, float] = (1.0, 2.5, 1.3)
    perceptual: float = 0.0
    weight: float = 8.0
    teacher: str = ""
    muon: float = 1e-3
    learning_rate: float = 7e-4
    balance: float = 0.5
    speeds: tuple[float, ...] = SPEEDS

    measure: ClassVar[str] = "dB over the first guess, and denoising gain"

    def __post_init__(self) -> None:
        if self.perceptual:
            check_rate(self.name, self.sample_rate)

    def build(self) -> GuessDenoiser:
        return GuessDenoiser(self.fresh_network(), self.sample_rate, self.sigma_min, self.sigma_max,
                             self.sigma_data)

    def describe(self) -> dict:
        return super().describe() | {"prediction": "guess"}

    def prepare(self, corpus: Corpus, device: torch.device) -> Source:
        """What `examples` are made of, on a device: speech, clips and guesses, the teacher."""
        teacher = hub.load_prior(self.teacher, str(device)) if self.teacher else None
        return (Pool(corpus, device, self.speeds, self.balance),
                FirstGuesses(Path(self.guesses) / "train", device, self.newest), teacher)

    def _narrowed(self, pool: Pool, draws: Draws, length: int) -> Clips:
        """Speech and what is left of its band, of which nothing is marked."""
        clean = pool.crops(length, self.sigma_data, self.gain_db, draws)
        marks = clean.new_zeros(len(clean), 2, length)
        kind = torch.full((len(clean),), NARROW, device=pool.device)
        return Clips(clean[:, None], narrowed(clean, draws, self.sample_rate)[:, None], marks, kind)

    def _corrected(self, guesses: FirstGuesses, draws: Draws, length: int) -> Clips:
        """Prepared clips at random levels, either way up."""
        clips, sign = guesses.crops(length, draws), draws.sign()[..., None]
        gain = sign * 10 ** (self.gain_db * draws.normal(1, 1) / 20)
        marks = torch.cat([clips.marks[:, :1] * sign, clips.marks[:, 1:]], 1)
        return Clips(clips.clean * gain, clips.guess * gain, marks, clips.kind)

    @torch.no_grad()
    def examples(self, source: Source, step: int) -> tuple[Tensor, ...]:
        """Clean signals, guesses, marks, unknown samples, noise levels, noise, aims and kinds.

        Kinds count `first_guesses.KINDS`, then `NARROW`; −1 is plain. Aims are the clean signals,
        or the teacher's of plain items.

        Shape: `[B, 1, T]`, marks `[B, 2, T]`, levels `[B, 1, 1]`, kinds `[B]`.
        """
        pool, guesses, teacher = source
        if step % 50 == 0:
            guesses.refresh()
        length, span = round(self.seconds * self.sample_rate), self.sigma_max / self.sigma_min
        alone = round(self.plain * self.batch)
        count = self.batch - alone
        dull = round(self.narrow * count)
        told, untold, narrow, levels = (
            Draws(n, pool.device, self.seed, step, kind)
            for kind, n in enumerate((count - dull, alone, dull, count)))
        parts = [self._corrected(guesses, told, length), self._narrowed(pool, narrow, length)]
        clips = Clips(*(torch.cat([getattr(part, name) for part in parts]) for name in NAMES))
        sigma = torch.where(levels.chance(self.top), self.sigma_max,
                            self.sigma_min * span ** levels.uniform())[..., None]
        none = pool.crops(length, self.sigma_data, self.gain_db, untold)[:, None]
        place = torch.arange(alone, device=pool.device)[:, None] + untold.uniform()
        untold_sigma = (self.sigma_min * span ** (place / max(1, alone)))[..., None]
        noise = untold.normal(1, length)
        aim = none if teacher is None else teacher(none + untold_sigma * noise, untold_sigma)
        return (torch.cat([clips.clean, none]), torch.cat([clips.guess, 0 * none]),
                torch.cat([clips.marks, none.new_zeros(alone, 2, length)]),
                torch.cat([unknown(clips), torch.ones_like(none)]),
                torch.cat([sigma, untold_sigma]), torch.cat([levels.normal(1, length), noise]),
                torch.cat([clips.clean, aim]),
                torch.cat([clips.kind, clips.kind.new_full((alone,), -1)]))

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, guess, marks, lost, sigma, noise, aim, kind = batch
        found = denoiser(clean + sigma * noise, sigma, Evidence(guess, marks[:, None]))
        weight = (sigma.square() + self.sigma_data**2) / (sigma * self.sigma_data).square()
        told = kind >= 0
        alone = (weight * (found - aim).square())[~told]
        plain = alone.sum() / max(1, alone.numel())
        found, clean, guess, lost = found[told], clean[told], guess[told], lost[told]
        harmed = (guess - clean).square().sum((1, 2)) > 1e-4
        each = self._distance(found, clean, guess, lost)
        mu = each.new_tensor([0.0] * MEL + [*self.texture])[kind[told]]
        each = each + mu * log_spectral(found, clean).log()
        if self.perceptual:
            disturbed = (disturbance(found[:, 0], clean[:, 0]) + 0.05).log()
            each = each + self.perceptual * (kind[told] < NARROW) * disturbed
        corrected = each * harmed
        return corrected.sum() / harmed.sum().clamp(min=1) + self.weight * plain

    def _distance(self, found: Tensor, clean: Tensor, guess: Tensor, lost: Tensor) -> Tensor:
        """ln(e/e₀ + ε) + λ ln(s/s₀ + 10ε) + 0.1 ln(r + ε/10) of each example. Shape: `[B]`."""
        def error(x: Tensor, where: Tensor) -> Tensor:
            return ((x - clean).square() * where).sum((1, 2))

        def heard(x: Tensor) -> Tensor:
            return spectral_error(torch.cat([x, clean], 1) / self.sigma_data)

        known = error(found, 1 - lost) / clean.square().sum((1, 2)).clamp(min=1e-3)
        return ((error(found, lost) / (error(guess, lost) + 1e-6) + self.floor).log()
                + self.spectral * (heard(found) / (heard(guess) + 1e-4) + 10 * self.floor).log()
                + 0.1 * (known + self.floor / 10).log())

    def held_out(self, corpus: Corpus) -> Tensor:
        """All clips of val/, and 32 of which the band is narrowed. Shape: `[N, 6, T]`.

        The rows are clean signals, guesses, two marks, unknown samples and kinds.
        """
        guesses = FirstGuesses(Path(self.guesses) / "val")
        number, draws = torch.arange(len(guesses)), Draws(32, "cpu", 1)
        parts = [guesses.take(number, 0 * number, guesses.length),
                 self._narrowed(Pool(corpus, "cpu"), draws, guesses.length)]
        return torch.cat([torch.cat([
            clips.clean, clips.guess, clips.marks, unknown(clips),
            clips.kind[:, None, None].expand_as(clips.clean).float()], 1) for clips in parts])

    @torch.no_grad()
    def validate(self, denoiser: Model, clean: Tensor) -> dict[str, float]:
        """How many dB less error than the guess's one call leaves, by kind; and the plain gains.

        Of narrowed bands, by how much the log-spectral distance is smaller, in dB.
        """
        better: dict[str, list[float]] = {name: [] for name in (*KINDS, "narrow")}
        for part in clean.split(16):
            x, guess, lost, kind = part[:, :1], part[:, 1:2], part[:, 4:5], part[:, 5, 0]
            noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x)
            evidence = Evidence(guess, part[:, None, 2:4])
            found = denoiser(guess + self.sigma_max * noise, self.sigma_max, evidence)
            errors = [((y - x).square() * lost).sum((1, 2)) for y in (guess, found)]
            bands = [log_spectral(y, x) for y in (guess, found)]
            gains = torch.where(kind == NARROW, bands[0] - bands[1],
                                10 * (errors[0] / errors[1]).log10())
            for number, gain in zip(kind.long(), gains, strict=True):
                better[list(better)[int(number)]].append(gain.item())
        plain = super().validate(denoiser, clean[:32, :1])
        return {name: round(float(np.mean(gains)), 3) for name, gains in better.items() if gains
                } | plain

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(denoiser, self.muon, self.learning_rate, self.weight_decay)
