"""Recipe of the second stage of a prior (`diffusion.two_stage`)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..diffusion.denoiser import EDMDenoiser
from ..diffusion.two_stage import TwoStageDenoiser
from ..models import hub
from .corpus import Corpus
from .pool import Draws, Pool
from .recipes import Model, PriorRecipe, Source, muon_and_adamw

FLOOR = 0.01  # of the error's share of the noise: 20 dB under it little is left to learn


@dataclass
class TwoStageRecipe(PriorRecipe):
    """How to train a network that corrects a prior's estimates, which stays as it is.

    Loss: the mean over examples of 10 ln(e/σ² + 0.01), e the squared error of what both make.

    Args:
        first: the prior, as `hub.load_prior` has it.
        usual: range of the noise levels, beside speech of RMS `sigma_data`, that most examples
            have; the others have any between `lowest` and `highest`. All are log-uniform.
        others: share of those.
        muon: rate of Muon (`recipes.muon_and_adamw`).
        speeds: of the speech.
    """

    first: str = hub.DEFAULT
    usual: tuple[float, float] = (0.02, 0.06)
    lowest: float = 0.004
    highest: float = 1.0
    others: float = 0.4
    muon: float = 2e-3
    speeds: tuple[float, ...] = (0.9, 0.95, 1.0, 1.05, 1.1)

    def build(self) -> TwoStageDenoiser:
        """Raises ValueError for a prior that has another rate or level, or is none of EDM's."""
        first = hub.load_prior(self.first)
        told = [(one.sample_rate, one.sigma_data) for one in (first, self)]
        if not isinstance(first, EDMDenoiser) or told[0] != told[1]:
            raise ValueError(f"{self.name}: first={self.first!r}: give a denoiser of one network "
                             f"at {self.sample_rate} Hz and sigma_data={self.sigma_data:g}")
        return TwoStageDenoiser(first, self.fresh_network())

    def describe(self) -> dict:
        path = hub.find_prior(self.first)
        return super().describe() | {"prediction": "two-stage", "first": path.stem,
                                     "first_sha256": hub.file_hash(path)}

    def prepare(self, corpus: Corpus, device: torch.device) -> Pool:
        return Pool(corpus, device, self.speeds, self.balance)

    def examples(self, pool: Source, step: int) -> tuple[Tensor, ...]:
        """Clean crops, noise levels and noise of a step. Shape: `[B, 1, T]`, `[B, 1, 1]`."""
        draws = Draws(self.batch, pool.device, self.seed, step)
        length = round(self.seconds * self.sample_rate)
        clean = pool.crops(length, self.sigma_data, self.gain_db, draws)[:, None]
        place = draws.stratified()
        any_level, sigma = (low * (high / low) ** place for low, high in (
            (self.lowest, self.highest), self.usual))
        if self.others:
            sigma = torch.where(draws.chance(self.others), any_level, sigma)
        return clean, sigma[..., None], draws.normal(1, length)

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, sigma, noise = batch
        error = (denoiser(clean + sigma * noise, sigma) - clean).square().mean((1, 2))
        return 10 * (error / sigma.flatten().square() + FLOOR).log().mean()

    def optimizers(self, denoiser: Model) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(denoiser.network, self.muon, self.learning_rate, self.weight_decay)
