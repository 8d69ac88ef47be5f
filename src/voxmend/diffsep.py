"""DiffSep: sources drawn from their mixture by running the mixing SDE backwards.

The model is conditioned on the mixture, of zero mean and unit variance, in every call; the sources
come from `processes.predictor_corrector`, as in the paper, or from any of `samplers`:

    model = diffsep.load_model("diffsep.safetensors")
    voices = diffsep.separate(model, mixture, "heun", steps=10)

Source: Scheibler et al. 2023, "Diffusion-based generative speech source separation".
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from . import hub
from .processes import MixingSDE, Score, local_level, predictor_corrector, time_grid
from .samplers import SAMPLERS, Denoise

PAPER = "predictor_corrector"


class ScoreModel(nn.Module):
    """A network that says the score of x_t given the mixture, and the process it belongs to.

    Args:
        network: x_t and the mixture, stacked, `[B, K + 1, T]`, and t `[B]` to `[B, K, T]`.
        sample_rate: Hz.
        local_noise: the noise follows the mixture's `local_level` (for enhancement, PriorGrad).
    """

    def __init__(self, network: nn.Module, process: MixingSDE, sample_rate: int,
                 local_noise: bool = False):
        super().__init__()
        self.network, self.process = network, process
        self.sample_rate, self.local_noise = sample_rate, local_noise

    def process_of(self, mixture: Tensor) -> MixingSDE:
        """The process that ends in a mixture `[B, 1, T]`."""
        return replace(self.process, scale=local_level(mixture)) if self.local_noise else (
            self.process)

    def score(self, process: MixingSDE, mixture: Tensor) -> Score:
        """`(x_t, t) -> score` given the mixture."""
        return lambda x, t: self.network(torch.cat([x, mixture], dim=1), t)

    def denoise(self, process: MixingSDE, mixture: Tensor) -> Denoise:
        """`(v, sigma) -> v0_hat` of the process's components given the mixture."""
        return process.denoiser(self.score(process, mixture))


MODELS = {"score": ScoreModel}


def model_of(network: nn.Module, card: dict) -> ScoreModel:
    """The model that a card describes."""
    return MODELS[card["prediction"]](network, MixingSDE(**card["process"]), card["sample_rate"],
                                      card["local_noise"])


def load_model(path: Path, device: str = "cpu") -> ScoreModel:
    """A trained or imported model; raises `hub.PriorError`, a ValueError."""
    card = hub.read_card(path)
    if card.get("prediction") not in MODELS:
        raise hub.PriorError(f"{path}: no DiffSep; train one with recipes/diffsep.py")
    return hub.load_model(path, card, device)


def normalise(mixture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A mixture at zero mean and unit variance, and its mean and standard deviation before.

    Shape: `[B, 1, T]` to the same and twice `[B, 1, 1]`.
    """
    mean = mixture.mean(-1, keepdim=True)
    deviation = mixture.std(-1, keepdim=True).clamp_min(1e-5)
    return (mixture - mean) / deviation, mean, deviation


def draw(model: ScoreModel, mixture: Tensor, sampler: str = PAPER, steps: int = 30,
         noise=torch.randn_like, callback=None) -> Tensor:
    """Sources that a mixture may have, from a posterior draw.

    Args:
        mixture: of zero mean and unit variance.
        sampler: `PAPER`, with two network calls a step, or a name in `samplers.SAMPLERS`.
        noise, callback: as in `samplers`.

    Shape: `[B, 1, T]` to `[B, K, T]`.
    """
    process, times = model.process_of(mixture), time_grid(steps)
    if sampler == PAPER:
        score = model.score(process, mixture)
        return predictor_corrector(process, score, mixture, times, noise=noise, callback=callback)
    v = process.components(process.start(mixture, noise), 1.0)
    denoise = model.denoise(process, mixture)
    return process.stack(SAMPLERS[sampler](denoise, v, process.levels(times), noise, callback), 0.0)


@torch.no_grad()
def separate(model: ScoreModel, mixture: np.ndarray, sampler: str = PAPER, steps: int = 30,
             seed: int = 0) -> np.ndarray:
    """The sources of a mixture at the model's sample rate; for enhancement [speech, noise].

    Shape: `[T]` to `[K, T]`, float32.
    """
    mixture = np.asarray(mixture, np.float32)
    if mixture.ndim != 1:
        raise ValueError(f"a separator takes a mono signal, not {list(mixture.shape)}")
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator).to(like)

    normal, mean, deviation = normalise(torch.from_numpy(mixture)[None, None].to(device))
    sources = draw(model, normal, sampler, steps, noise)
    return (deviation * sources + mean / sources.shape[1])[0].cpu().numpy()
