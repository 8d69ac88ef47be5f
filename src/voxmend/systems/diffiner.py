"""Diffiner: noisy speech and what an enhancer made of it become speech that a prior knows.

    noisy Y ──────────────┬─ σ_n = |Y − Ŝ| in every bin ─┐
    enhanced Ŝ ───────────┘                              ├─ DDRM ── refined
    prior, Y ────────────────────────────────────────────┘

The enhancer's output enters through the noise map alone, so any enhancer can precede. With σ the
level of a step in x_σ = x + σz (x_t/√ᾱ of a DDPM), the update of a bin depends on which is larger:
above its noise, σ > σ_n, the bin is measured well enough to be set to Y with noise added until
there is σ of it; below, the prior has the word.

Source: Sawata et al. 2023, "Diffiner: a versatile diffusion-based generative refiner for speech
enhancement"; Kawar et al. 2022, "Denoising diffusion restoration models", section 3.
"""

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .. import audio
from ..audio.batches import Jointly, Segment, side_by_side
from ..audio.levels import Levels
from ..audio.pair import Pair
from ..audio.segments import Spread, in_turn, process
from ..diffusion.samplers import Denoise, Noise
from ..models import hub
from ..models.batching import in_batches, resolve
from ..models.precision import choose
from . import bins

SEGMENT_SECONDS, OVERLAP_SECONDS = 10, 1
Asked = tuple[np.ndarray, np.ndarray, int]  # noisy, enhanced, their first sample
FLOOR = 1e-5  # added to the noise map where it divides, as in the release


def noise_map(noisy: Tensor, enhanced: Tensor, share: float = 0.5) -> Tensor:
    """σ_n of each part of every bin, σ_n² = share·|Y − Ŝ|².

    Half of the power of a complex number is in its real part, half in its imaginary one.

    Shape: bins `[B, 2, rows, frames]` twice to `[B, 1, rows, frames]`.
    """
    return (share * (noisy - enhanced).square().sum(1, keepdim=True)).sqrt()


class Update:
    """From x at σ and the prior's estimate x̂0 to x' at σ', with unit noise z.

    Above the noise, σ' > σ_n, x' = (1 − η_b) x̂0 + η_b Y + √(σ'² − η_b² σ_n²) z.
    """

    eta_b: float

    def __call__(self, x: Tensor, x0: Tensor, sigma: Tensor, lower: Tensor, y: Tensor,
                 noise_std: Tensor, z: Tensor) -> Tensor:
        below = self.below(x, x0, sigma, lower, y, noise_std, z)
        return torch.where(lower > noise_std, self.above(x0, lower, y, noise_std, z), below)

    def above(self, x0: Tensor, lower: Tensor, y: Tensor, noise_std: Tensor, z: Tensor) -> Tensor:
        spread = (lower**2 - (self.eta_b * noise_std) ** 2).clamp_min(0).sqrt()
        return x0 + self.eta_b * (y - x0) + spread * z

    def below(self, x: Tensor, x0: Tensor, sigma: Tensor, lower: Tensor, y: Tensor,
              noise_std: Tensor, z: Tensor) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Diffiner(Update):
    """x' = x̂0 + √(1 − η_a²) σ' (Y − x̂0)/σ_n + η_a σ' z below the noise.

    Args:
        eta_a: share of the noise that is drawn anew.
        eta_b: weight of Y above the noise.

    Source: Kawar et al. 2022, eq. 7 and 8.
    """

    eta_a: float = 0.9
    eta_b: float = 0.9

    def below(self, x: Tensor, x0: Tensor, sigma: Tensor, lower: Tensor, y: Tensor,
              noise_std: Tensor, z: Tensor) -> Tensor:
        pull = (1 - self.eta_a**2) ** 0.5 * lower / (noise_std + FLOOR)
        return x0 + pull * (y - x0) + self.eta_a * lower * z


@dataclass(frozen=True)
class DiffinerPlus(Update):
    """x' = x̂0 + η_A σ' ε̂ + η_C σ' (Y − x̂0)/σ_n + σ'√(1 − η_A² − η_C² − 2η_A η_C cos) z below.

    ε̂ = (x − x̂0)/σ; cos is that of the angle between both directions over the bins of an item that
    lie below the noise. With η_C = 0, η_B = 1 and η_A = σ'/σ the steps are ancestral ones that
    start from Y: draws of the posterior, if the noise is as the map says.

    Raises ValueError for η_A + η_C above 1, where no variance may be left for the noise.
    """

    eta_a: float = 0.4
    eta_b: float = 0.6
    eta_c: float = 0.0

    def __post_init__(self) -> None:
        if self.eta_a + self.eta_c > 1:
            raise ValueError(f"η_A = {self.eta_a} and η_C = {self.eta_c}: at most 1 together")

    def below(self, x: Tensor, x0: Tensor, sigma: Tensor, lower: Tensor, y: Tensor,
              noise_std: Tensor, z: Tensor) -> Tensor:
        along = lower * (x - x0) / sigma
        pull = lower * (y - x0) / (noise_std + FLOOR)
        here = (lower <= noise_std).expand_as(x)
        cosine = torch.cosine_similarity((along * here).flatten(1), (pull * here).flatten(1))
        cosine = cosine.view(-1, 1, 1, 1)
        rest = 1 - self.eta_a**2 - self.eta_c**2 - 2 * self.eta_a * self.eta_c * cosine
        rest = rest.clamp_min(0)  # but for rounding it is
        return x0 + self.eta_a * along + self.eta_c * pull + lower * rest.sqrt() * z


def ddrm(denoise: Denoise, y: Tensor, noise_std: Tensor, sigmas: Tensor, update: Update,
         noise: Noise = torch.randn_like) -> Tensor:
    """Draws clean bins given noisy ones, y, whose noise has a level σ_n of its own in every bin.

    It starts as above the noise, with x̂0 = 0, or from σ₀ z where even σ₀ is below it.

    Args:
        denoise, sigmas, noise: as in `samplers`.
        noise_std: σ_n.

    Shape: y `[B, 2, rows, frames]`, noise_std the same or `[B, 1, rows, frames]`; to y's.
    """
    levels = sigmas.to(device=y.device, dtype=y.dtype)
    z, x0 = noise(y), torch.zeros_like(y)
    x = torch.where(levels[0] > noise_std, update.above(x0, levels[0], y, noise_std, z),
                    levels[0] * z)
    for sigma, lower in pairwise(levels):
        x0 = denoise(x, sigma)
        x = update(x, x0, sigma, lower, y, noise_std, noise(y)) if lower > 0 else x0
    return x


@dataclass(frozen=True)
class Method:
    """An update, the share of the power |Y − Ŝ|² that its noise map has, and its steps."""

    update: Update
    share: float = 0.5
    steps: int = 200


# One that draws as little as it can, its map a little above the calibrated one of 0.5; those of
# the paper; those of its release, where the map is √2 too large and η_B of Diffiner+ is η_A's.
METHODS = {"voxmend": Method(Diffiner(eta_a=0.0, eta_b=1.0), share=0.55, steps=6),
           "diffiner": Method(Diffiner()), "diffiner+": Method(DiffinerPlus()),
           "diffiner-release": Method(Diffiner(), share=1.0),
           "diffiner+-release": Method(DiffinerPlus(eta_b=0.4), share=1.0)}


class Refiner:
    """Refines enhanced recordings: `Refiner()(noisy, enhanced, sample_rate) -> refined`.

    The prior works below half its rate; above, the enhanced recording is kept. Channels are refined
    each by itself and at its own steady level (`audio.levels`), with the same random numbers.

    Args:
        method: a name from `METHODS` or a Method of one's own.
        prior: a bundled name or a path, of waveforms or of spectrograms.
        steps: network calls; by default the method's, at most those of the prior's schedule.
        seed: same seed, same result.
        precision: of the prior, as in `models.precision.resolve`.
        weight: share of the change to the enhanced recording that is made, 0 to 1. What a prior
            makes of the noisy recording and what a good enhancer makes of it err independently in
            part, so that their mean may be better than both.
        batch: channels of segments that pass the prior at once, as in `models.batching.resolve`.

    Raises ValueError for an unknown method; `hub.PriorError`.
    """

    def __init__(self, method: str | Method = "voxmend", prior: str = hub.DEFAULT,
                 steps: int | None = None, seed: int = 0, device: str = "auto",
                 precision: str = "auto", weight: float = 1.0,
                 batch: int | Literal["auto"] = "auto"):
        if isinstance(method, str) and method not in METHODS:
            raise ValueError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
        self.device, path = hub.pick_device(device), hub.find_prior(str(prior), bins.PRIORS)
        self.prior = bins.load_prior(str(path), str(self.device))
        self.method = METHODS[method] if isinstance(method, str) else method
        self.weight = weight
        self.seed, self.steps = seed, steps or min(self.method.steps, self.prior.most)
        self.levels = self.prior.levels(self.steps)
        self.entry = {"task": "refine", "method": method if isinstance(method, str) else
                      repr(method), "steps": self.steps, "seed": seed, "prior": hub.title(path),
                      "weights_sha256": hub.file_hash(path), "device": str(self.device),
                      "precision": choose(self.prior, precision)}
        if weight != 1:
            self.entry["weight"] = weight
        self.batch = resolve(batch, self.device, self._longest)

    def __call__(self, noisy: np.ndarray, enhanced: np.ndarray, sample_rate: int) -> np.ndarray:
        """Refines a whole recording in memory. Shape: `[T]` or `[C, T]` twice to the same."""
        noisy = np.asarray(noisy)
        one, two = (audio.ArrayReader(np.atleast_2d(w), sample_rate) for w in (noisy, enhanced))
        pair = Pair(one, two)
        return np.concatenate(list(self.stream(pair)), axis=1).reshape(noisy.shape)

    def stream(self, pair: Pair,
               progress: Callable[[int], None] | None = None,
               spread: Spread = in_turn) -> Iterator[np.ndarray]:
        """Refined blocks `[C, n]`."""
        rate, own = pair.sample_rate, self.prior.sample_rate
        unit = rate * (self.prior.bins.hop // math.gcd(own, self.prior.bins.hop))
        levels = Levels.steady((block[pair.channels:] for block in pair.blocks()), rate)

        def refine(parts: Sequence[Segment]) -> list[np.ndarray]:
            tasks = [self._task(chunk, start, rate, levels) for start, chunk in parts]
            return side_by_side(tasks, lambda asked: in_batches(
                self._refine, asked, lambda one: one[0].shape[1], count))

        count = max(1, self.batch // pair.channels)
        return process(pair.blocks(), Jointly(refine, count), SEGMENT_SECONDS * rate,
                       OVERLAP_SECONDS * rate, multiple=unit, progress=progress, spread=spread)

    def _task(self, chunk: np.ndarray, start: int, rate: int,
              levels: Levels) -> Generator[Asked, np.ndarray, np.ndarray]:
        """A segment: asks for what it becomes at the prior's rate and level."""
        own = self.prior.sample_rate
        noisy, enhanced = np.split(chunk, 2)
        heard = (np.ptp(noisy, axis=1) > 0) & (np.ptp(enhanced, axis=1) > 0)
        if not heard.any():
            return enhanced  # silence stays silence
        scale = self.prior.sigma_data / levels(start, chunk.shape[1])[heard]
        y, s = (audio.resample(scale * w[heard], rate, own) for w in (noisy, enhanced))
        refined = yield y, s, start * own // rate
        change = audio.resample(refined - s, own, rate)
        enhanced[heard] += np.float32(self.weight) * audio.fit(change, chunk.shape[1]) / scale
        return enhanced

    @torch.no_grad()
    def _refine(self, asked: Sequence[Asked]) -> list[np.ndarray]:
        """Refines segments of one length. Shape: `[C, n]` twice, of each, to the same."""
        noisy, enhanced, starts = zip(*asked, strict=True)
        sizes, samples = [len(wave) for wave in noisy], noisy[0].shape[1]
        length = max(samples, 1024)  # longer than any frame
        y, s = (self.prior.bins.analyse(torch.from_numpy(audio.fit(
            np.concatenate(waves), length)).to(self.device)) for waves in (noisy, enhanced))
        noise = self.prior.noise([self.seed] * len(y), np.repeat(starts, sizes).tolist())
        refined = ddrm(self.prior, y, noise_map(y, s, self.method.share), self.levels,
                       self.method.update, noise)
        wave = self.prior.bins.synthesise(refined, length)[:, :samples].cpu()
        return [part.numpy() for part in wave.split(sizes)]

    def _longest(self) -> None:
        """Passes the longest segment through the prior."""
        wave = torch.zeros(1, SEGMENT_SECONDS * self.prior.sample_rate, device=self.device)
        with torch.no_grad():
            self.prior(self.prior.bins.analyse(wave), self.levels[0].item())
