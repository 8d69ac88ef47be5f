"""DiffSep's models: networks that say the score of the mixing SDE given the mixture.

In the paper a network says the score itself. One may as well denoise the components of
`processes.MixingSDE`, alone or as the errors of a separator whose estimates it is told.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..diffusion.denoiser import broadcast, edm_coefficients
from ..diffusion.processes import MixingSDE, Score, local_level
from ..diffusion.samplers import Denoise
from .hearing import heard_as


class ScoreModel(nn.Module):
    """A network that says the score of x_t given the mixture, and the process it belongs to.

    Args:
        network: x_t and the mixture, stacked, `[B, K + 1, T]`, and t `[B]` to `[B, K, T]`.
        sample_rate: Hz.
        local_noise: the noise follows the mixture's `local_level` (for enhancement, PriorGrad).
        task: "separate", or "enhance" where the sources are speech and noise, in this order.
    """

    def __init__(self, network: nn.Module, process: MixingSDE, sample_rate: int,
                 local_noise: bool = False, task: str = "separate"):
        super().__init__()
        self.network, self.process, self.task = network, process, task
        self.sample_rate, self.local_noise = sample_rate, local_noise

    @property
    def voices(self) -> int:
        """How many of the sources are asked for, the first ones."""
        return self.process.sources

    def process_of(self, mixture: Tensor) -> MixingSDE:
        """The process that ends in a mixture `[B, 1, T]`."""
        scale = local_level(mixture) if self.local_noise else 1.0
        return replace(self.process, scale=scale)

    def score(self, process: MixingSDE, mixture: Tensor) -> Score:
        """`(x_t, t) -> score` given the mixture."""
        return lambda x, t: self.network(torch.cat([x, mixture], dim=1), t)

    def denoise(self, process: MixingSDE, mixture: Tensor) -> Denoise:
        """`(v, sigma) -> v0_hat` of the process's components given the mixture."""
        return process.denoiser(self.score(process, mixture))

    def weight(self, t: Tensor) -> Tensor | float:
        """Factor on the loss ‖L_t q + z‖² at t."""
        return 1.0


class DifferenceModel(ScoreModel):
    """A network that denoises the differences of the sources, whose mean the mixture tells.

    In the process's components v the first is y/√K, without noise. With the others as x and σ
    their level, D(x; σ, y) = c_skip x + c_out F(c_in x, y; ln σ/4), as in `EDMDenoiser`. The
    loss's weight makes F's error count the same at every t, as EDM's does.

    Args:
        network: K − 1 noisy differences and the mixture, stacked, `[B, K, T]`, and ln σ/4 `[B]`
            to `[B, K − 1, T]`.
    """

    @property
    def sigma_data(self) -> float:
        """RMS of a component of uncorrelated sources, in units of the process's scale."""
        return (2.0 if self.local_noise else 1.0) / math.sqrt(self.process.sources)

    def denoise(self, process: MixingSDE, mixture: Tensor) -> Denoise:
        mean = mixture / (math.sqrt(process.sources) * process.scale)

        def denoise(v: Tensor, sigma: Tensor) -> Tensor:
            x, sigma = v[:, 1:], sigma[:, 1].expand(len(v))
            c_skip, c_out, c_in = edm_coefficients(broadcast(sigma, v), self.sigma_data)
            told = torch.cat([c_in * x, mean / self.sigma_data], dim=1)
            return torch.cat([mean, c_skip * x + c_out * self.network(told, sigma.log() / 4)], 1)

        return denoise

    def score(self, process: MixingSDE, mixture: Tensor) -> Score:
        return process.score(self.denoise(process, mixture))

    def weight(self, t: Tensor) -> Tensor:
        return 1 + (self.process.sigmas(t)[:, 1] / self.sigma_data).square()


class RegenerationModel(ScoreModel):
    """A network that denoises the errors of a separator's estimates.

    The sources are the separator's voices and the rest, which makes them up to the mixture. For
    noisy sources x, whose sum is the mixture, and the separator's estimates g the voices are

        D(x; σ, y) = g + c_skip (x − g) + c_out F(c_in (x − g), g, y − g; ln σ/4)

    by `edm_coefficients` for the error s − g: at a high level, where x says nothing, a network that
    says nothing gives back the estimates. All voices pass one network, each by itself.
    (Lemercier et al. 2023, "StoRM: a diffusion-based stochastic regeneration model for speech
    enhancement and dereverberation")

    Args:
        network: error, estimate and what the estimate leaves of the mixture, `[B, 3, T]`, and ln
            σ/4 `[B]` to `[B, 1, T]`.
        process: of one source more than there are voices.
        separator: `[B, 1, T]` to voices `[B, K − 1, T]`.
        error_rms: of its errors, in units of the mixture.
        heard: how it hears the mixture, options of `heard_as`.
    """

    def __init__(self, network: nn.Module, process: MixingSDE, sample_rate: int,
                 separator: nn.Module, error_rms: float, heard: dict | None = None):
        super().__init__(network, process, sample_rate)
        self.separator, self.sigma_data, self.heard = separator, error_rms, heard or {}

    @property
    def voices(self) -> int:
        return self.process.sources - 1

    def denoise(self, process: MixingSDE, mixture: Tensor) -> Denoise:
        voices = heard_as(self.separator, **self.heard)(mixture).float()
        return self.regenerate(process, torch.cat(
            [voices, mixture - voices.sum(1, keepdim=True)], 1))

    def regenerate(self, process: MixingSDE, guess: Tensor) -> Denoise:
        """`denoise` of the mixture whose estimates, the rest included, are `[B, K, T]`."""
        mixture = guess.sum(1, keepdim=True)
        mean, told = mixture / math.sqrt(process.sources), guess[:, :self.voices]

        def denoise(v: Tensor, sigma: Tensor) -> Tensor:
            level = broadcast(sigma[:, 1].expand(len(v)), v)
            c_skip, c_out, c_in = edm_coefficients(level, self.sigma_data)
            error = process.stack(torch.cat([mean, v[:, 1:]], 1), 0.0)[:, :self.voices] - told
            heard = torch.stack([c_in * error, told, mixture - told], 2)
            said = self.network(heard.flatten(0, 1),
                                level.flatten().repeat_interleave(self.voices).log() / 4)
            found = told + c_skip * error + c_out * said.float().reshape(error.shape)
            rest = mixture - found.sum(1, keepdim=True)
            return process.components(torch.cat([found, rest], 1), 0.0)

        return denoise

    def score(self, process: MixingSDE, mixture: Tensor) -> Score:
        return process.score(self.denoise(process, mixture))


MODELS: dict[str, type[ScoreModel]] = {
    "score": ScoreModel, "differences": DifferenceModel, "regeneration": RegenerationModel}
