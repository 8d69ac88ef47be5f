"""Whether the default prior could tell more of white noise if it heard nothing else.

Speech that fills its band (`tools/equalise.py`) in noise 4 to 14 dB below it; all weights go on.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voxmend.diffusion.told import GuessDenoiser
from voxmend.training.corpus import Corpus
from voxmend.training.pool import Draws, Pool
from voxmend.training.recipes import Model, PriorRecipe, muon_and_adamw

LOWEST, SPAN = 0.02, 3.0  # of the noise's levels, beside speech of RMS 0.1
SPEEDS = (0.9, 0.95, 1.0, 1.05, 1.1)


@dataclass
class WhiteNoiseRecipe(PriorRecipe):
    """Minimises the mean of 10 ln(e/σ² + 0.01), e the squared error of an estimate."""

    def build(self) -> GuessDenoiser:
        return GuessDenoiser(self.fresh_network(), self.sample_rate, self.sigma_min, self.sigma_max,
                             self.sigma_data)

    def describe(self) -> dict:
        return super().describe() | {"prediction": "guess"}

    def prepare(self, corpus: Corpus, device: torch.device) -> Pool:
        return Pool(corpus, device, SPEEDS, self.balance)

    def examples(self, pool: Pool, step: int) -> tuple[Tensor, ...]:
        draws = Draws(self.batch, pool.device, self.seed, step)
        length = round(self.seconds * self.sample_rate)
        clean = pool.crops(length, self.sigma_data, self.gain_db, draws)[:, None]
        sigma = LOWEST * SPAN ** draws.stratified()[..., None]
        return clean, sigma, draws.normal(1, length)

    def loss(self, denoiser: Model, *batch: Tensor) -> Tensor:
        clean, sigma, noise = batch
        error = (denoiser(clean + sigma * noise, sigma) - clean).square().mean((1, 2))
        return 10 * (error / sigma.flatten().square() + 0.01).log().mean()

    def optimizers(self, denoiser: nn.Module) -> list[torch.optim.Optimizer]:
        return muon_and_adamw(denoiser, 4e-4, self.learning_rate, self.weight_decay)


recipe = WhiteNoiseRecipe(
    name="white_noise", network="FrameConvNeXt",
    config={"channels": 384, "blocks": 10, "kernel": 7, "dilations": [1, 2, 4, 8], "expansion": 3,
            "inputs": 2, "log_magnitude": True, "marks": 2},
    begin="speech16k", steps=3600, batch=12, seconds=3.0, learning_rate=3e-4, balance=0.5,
    warmup=100, decay=0.7, ema=0.998, seed=77)
