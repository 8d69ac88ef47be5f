"""The mixing SDE: sources turn into their mixture while noise is added (DiffSep).

On K stacked sources x `[B, K, T]`, P the mean over the sources and P̄ = I − P, for 0 ≤ t ≤ 1:

    dx = −γ P̄ x dt + g(t) dw,     g(t) = σ_min ρᵗ √(2 ln ρ),     ρ = σ_max/σ_min
    x_t = μ_t + L_t z,     μ_t = s̄ + e^{−γt}(s − s̄),     L_t = √λ₁ P + √λ₂ P̄

P and P̄ split it into processes that do not meet. With M_t = P + e^{−γt} P̄ and Q an orthonormal
basis whose first vector is the mean's, the components v = Q M_t⁻¹ x_t are those of the sources,
Q s, plus white noise of level √λ₁ in the first and e^{γt} √λ₂ in the others. So a denoiser of v
and any of `samplers` run the process, with one noise level per channel:

    v = process.components(process.start(mixture), 1)
    v = samplers.heun(process.denoiser(score), v, process.levels(time_grid()))
    sources = process.stack(v, 0)

Source: Scheibler et al. 2023, "Diffusion-based generative speech source separation", section 3.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from scipy.linalg import helmert
from torch import Tensor
from torch.nn.functional import avg_pool1d

from .denoiser import broadcast
from .samplers import Callback, Denoise, Noise

Score = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class MixingSDE:
    """The mixing SDE of K ≥ 2 sources.

    Args:
        sources: K.
        gamma: γ, how fast the sources mix.
        sigma_min, sigma_max: of g(t).
        scale: factor on the noise, in the place of 1; `[B, 1, T]` as from `local_level`.

    Shape: x, s, z, v `[B, K, T]`; t a scalar or `[B]`; the mixture `[B, 1, T]`, the sources' sum.
    """

    sources: int = 2
    gamma: float = 2.0
    sigma_min: float = 0.05
    sigma_max: float = 0.5
    scale: Tensor | float = 1.0

    @property
    def _growth(self) -> float:
        """ln ρ."""
        return math.log(self.sigma_max / self.sigma_min)

    def variances(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """λ₁ and λ₂, the variance of the noise in the mean and in the differences (theorem 1)."""
        grown = torch.exp(2 * self._growth * t)
        share = self._growth / (self.gamma + self._growth)
        return (self.sigma_min**2 * (grown - 1),
                self.sigma_min**2 * (grown - torch.exp(-2 * self.gamma * t)) * share)

    def mean(self, s: Tensor, t: Tensor | float) -> Tensor:
        """μ_t = M_t s, from the sources."""
        return _weigh(1, torch.exp(-self.gamma * broadcast(t, s)), s)

    def spread(self, z: Tensor, t: Tensor | float) -> Tensor:
        """L_t z, the noise of x_t from standard normal z."""
        mean, difference = self.variances(broadcast(t, z))
        return self.scale * _weigh(mean.sqrt(), difference.sqrt(), z)

    def whiten(self, x: Tensor, t: Tensor | float) -> Tensor:
        """L_t⁻¹ x, for t > 0."""
        mean, difference = self.variances(broadcast(t, x))
        return _weigh(mean.rsqrt(), difference.rsqrt(), x) / self.scale

    def start(self, mixture: Tensor, noise: Noise = torch.randn_like) -> Tensor:
        """x̄_T ~ N(s̄, Σ_T), which stands for x_T as long as the sources are unknown."""
        mean = (mixture / self.sources).expand(-1, self.sources, -1)
        return mean + self.spread(noise(mean), 1.0)

    def drift(self, x: Tensor) -> Tensor:
        """−γ P̄ x."""
        return _weigh(0, -self.gamma, x)

    def diffusion(self, t: Tensor | float, like: Tensor) -> Tensor:
        """g(t), ready to broadcast over `like`."""
        rise = torch.exp(self._growth * broadcast(t, like))
        return self.scale * self.sigma_min * math.sqrt(2 * self._growth) * rise

    def reverse_drift(self, x: Tensor, t: Tensor | float, score: Tensor) -> Tensor:
        """−γ P̄ x − g² score: the SDE run backwards has this drift and the same diffusion."""
        return self.drift(x) - self.diffusion(t, x).square() * score

    def components(self, x: Tensor, t: Tensor | float) -> Tensor:
        """v = Q M_t⁻¹ x_t, the mean's component first; in units of `scale`."""
        unmixed = _weigh(1, torch.exp(self.gamma * broadcast(t, x)), x)
        return _turn(self._basis(x), unmixed / self.scale)

    def stack(self, v: Tensor, t: Tensor | float) -> Tensor:
        """M_t Qᵀ v, the inverse of `components`."""
        return self.mean(self.scale * _turn(self._basis(v).T, v), t)

    def levels(self, times: Tensor) -> Tensor:
        """σ of every component at falling times, and then 0: a grid for `samplers`.

        Shape: `[N]` to `[N + 1, K]`.
        """
        sigmas = self.sigmas(times)
        return torch.cat([sigmas, torch.zeros_like(sigmas[:1])])

    def denoiser(self, score: Score) -> Denoise:
        """D(v, σ) ≈ E[Q s | v], from the score of x_t: M_t E[s | x_t] = x_t + Σ_t score(x_t, t)."""
        def denoise(v: Tensor, sigma: Tensor) -> Tensor:
            t = self.time(sigma).expand(len(v))
            x = self.stack(v, t)
            return self.components(x + self.spread(self.spread(score(x, t), t), t), t)

        return denoise

    def score(self, denoise: Denoise) -> Score:
        """The score of x_t for t > 0 from a denoiser of components, the inverse of `denoiser`."""
        def score(x: Tensor, t: Tensor) -> Tensor:
            denoised = self.stack(denoise(self.components(x, t), self.sigmas(t)), t)
            return self.whiten(self.whiten(denoised - x, t), t)

        return score

    def time(self, sigma: Tensor) -> Tensor:
        """t at which the components have the levels σ. Shape: `[..., K]` to `[...]`."""
        return torch.log1p((sigma[..., 0] / self.sigma_min).square()) / (2 * self._growth)

    def sigmas(self, t: Tensor) -> Tensor:
        """Levels of the components. Shape: `[N]` to `[N, K]`."""
        mean, difference = self.variances(t)
        differences = torch.exp(self.gamma * t) * difference.sqrt()
        return torch.stack([mean.sqrt()] + [differences] * (self.sources - 1), dim=-1)

    def _basis(self, like: Tensor) -> Tensor:
        """Q, `[K, K]`."""
        return torch.from_numpy(helmert(self.sources, full=True)).to(like)


def _weigh(mean: Tensor | float, difference: Tensor | float, x: Tensor) -> Tensor:
    """mean · P x + difference · P̄ x."""
    average = x.mean(1, keepdim=True)
    return mean * average + difference * (x - average)


def _turn(basis: Tensor, x: Tensor) -> Tensor:
    """basis x, in x's precision even where autocast rounds matrix products."""
    return (basis[:, :, None] * x[:, None]).sum(2)


def local_level(mixture: Tensor, length: int = 510, floor: float = 1e-4) -> Tensor:
    """½ √max(mean of the mixture's square over `length` samples, floor): a `scale` (PriorGrad).

    Shape: `[B, 1, T]` to the same. Source: Lee et al. 2022, "PriorGrad"; DiffSep, section 4.
    """
    power = avg_pool1d(mixture.square(), length, stride=1, padding=length // 2)
    return 0.5 * power[..., :mixture.shape[-1]].clamp_min(floor).sqrt()


def time_grid(steps: int = 30, last: float = 0.03) -> Tensor:
    """The evenly spaced times that a sampler visits, from 1 down to `last`, float64."""
    return torch.linspace(1, last, steps, dtype=torch.float64)


def predictor_corrector(process: MixingSDE, score: Score, mixture: Tensor, times: Tensor,
                        r: float = 0.5, noise: Noise = torch.randn_like,
                        callback: Callback | None = None) -> Tensor:
    """DiffSep's sampler: at each time an annealed Langevin step, then a reverse-diffusion step.

    x ← x + 2r² Σ_t score + 2r L_t z, then x ← x + (γ P̄ x + g² score)/N + g z/√N. It calls the
    network 2N times and gives the last step without its noise. As in the release, the step is 1/N
    wherever the N times lie.

    Args:
        score: `(x, t) -> score`, of the sources that the mixture may have.
        r: size of the Langevin step; 0.5 in the paper.
        noise, callback: as in `samplers`.

    Source: Song et al. 2021, "Score-based generative modeling", algorithms 2 and 4; DiffSep, 3.1.
    """
    x, step = process.start(mixture, noise), 1 / len(times)
    for i, time in enumerate(times.to(x)):
        t = time.expand(len(x))
        langevin = r * process.spread(score(x, t), t) + noise(x)
        x = x + 2 * r * process.spread(langevin, t)
        mean = x - step * process.reverse_drift(x, t, score(x, t))
        x = mean + math.sqrt(step) * process.diffusion(t, x) * noise(x)
        if callback:
            callback(i, mean)
    return mean
