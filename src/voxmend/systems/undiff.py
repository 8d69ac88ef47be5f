"""UnDiff's tasks as its paper states them (`PAPER`) and as its release runs them (`RELEASE`).

Both take every step of the training schedule, from pure noise. With x_t = x_σ/√(1 + σ²):

| task | paper | release |
|---|---|---|
| extend | imputation, eq. 7 | none: there it is unconditional generation |
| declip, vocode | reconstruction guidance, eq. 6, by `Reconstruction` | `ReleaseReconstruction` |
| separate | analytic likelihood, eq. 10 | `ReleaseProjection` |
| generate | ancestral sampling | the same |

The paper leaves the size of ξ(t) open but for ξ(t) ∝ 1/‖g‖, so `PAPER` has voxmend's default.
Use: `Restorer(undiff.PAPER["declip"], prior="diffwave.safetensors")`.
Source: Iashchenko et al. 2023, "UnDiff", sections 2 and 3; github.com/SamsungLabs/Undiff.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from torch import Tensor

from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import (
    GuidanceError,
    Imputation,
    MixtureLikelihood,
    Reconstruction,
    Unguided,
    _rms,
)
from ..diffusion.samplers import Callback, Noise, ancestral
from ..diffusion.schedules import ddpm_grid, linear_betas
from ..operators import Operator
from ..restore.tasks import TASKS, Task


def training_levels(task: Task, prior: Denoiser) -> Tensor:
    """σ of all steps of the prior's schedule, or of UnDiff's 200 for a prior without one, then 0.

    Shape: `[T + 1]`, float64, falling. The task's own levels and number of steps do not count.
    """
    return ddpm_grid(getattr(prior.innermost, "betas", linear_betas(200)).cpu().double())


class _Released:
    """A denoiser with what the release does to x_t before and after an ancestral step."""

    def __init__(self, denoiser: Denoiser, operator: Operator, y: Tensor):
        self.denoiser, self.operator, self.y = denoiser, operator, y

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        raise GuidanceError("the release's guidance works in release_ancestral only")

    def before(self, x_t: Tensor, sigma: Tensor, lower: Tensor, noise: Noise) -> Tensor:
        return x_t

    def after(self, x_t: Tensor) -> Tensor:
        return x_t


@dataclass(frozen=True)
class ReleaseReconstruction:
    """The release's declipping and vocoding: a gradient step and a corrector before each step.

    g = ∇_{x_t} ‖y − A(x̂0)‖₂, x_t ← x_t − ξ g/(RMS(g)√α_t + 10⁻⁶); then, but for the last step,
    x_t ← x_t + δ(s + g) + √(2δ) z with s = +ε/√(1 − ᾱ_t), whose sign is wrong for a score, and
    δ = 2α_t(snr‖z‖/‖s‖)². Norms are per item.

    Args:
        xi: ξ.
        snr: of the corrector; None leaves it out.
    """

    xi: float = 0.01
    snr: float | None = 0.01

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> "_Released":
        return _Steered(denoiser, operator, y, self)


class _Steered(_Released):
    def __init__(self, denoiser: Denoiser, operator: Operator, y: Tensor,
                 rule: ReleaseReconstruction):
        super().__init__(denoiser, operator, y)
        self.rule = rule

    def gradient(self, x_t: Tensor, sigma: Tensor) -> Tensor:
        """g of every item by itself."""
        with torch.enable_grad():
            x_t = x_t.detach().requires_grad_(True)
            x0 = self.denoiser(x_t * (1 + sigma**2).sqrt(), sigma)
            norms = (self.y - self.operator(x0)).flatten(1).norm(dim=1)
            return torch.autograd.grad(norms.sum(), x_t)[0]

    def before(self, x_t: Tensor, sigma: Tensor, lower: Tensor, noise: Noise) -> Tensor:
        alpha = (1 + lower**2) / (1 + sigma**2)
        g = self.gradient(x_t, sigma)
        x_t = x_t - self.rule.xi * g / (_rms(g) * alpha.sqrt() + 1e-6)
        snr = self.rule.snr
        return self.correct(x_t, sigma, alpha, g, noise, snr) if snr and lower > 0 else x_t

    def correct(self, x_t: Tensor, sigma: Tensor, alpha: Tensor, g: Tensor, noise: Noise,
                snr: float) -> Tensor:
        """The corrector, at x_t after its gradient step."""
        scale = (1 + sigma**2).sqrt()
        x = x_t * scale
        score = (x - self.denoiser(x, sigma)) / sigma * scale / sigma
        z = noise(x_t)
        delta = 2 * alpha * (snr * _rms(z) / _rms(score)) ** 2
        return x_t + delta * (score + g) + (2 * delta).sqrt() * z


@dataclass(frozen=True)
class ReleaseProjection:
    """The release's separation: after each step x_k ← x_k + (y − Σ_j x_j)/K, whatever t is.

    Unlike the release, voices are batched, not concatenated in time, where they leak into each
    other.
    """

    def __call__(self, denoiser: Denoiser, operator: Operator, y: Tensor) -> "_Released":
        return _Projected(denoiser, operator, y)


class _Projected(_Released):
    def after(self, x_t: Tensor) -> Tensor:
        return x_t + (self.y - x_t.sum(1, keepdim=True)) / x_t.shape[1]


def _at(step: int, callback: Callback | None) -> Callback | None:
    """What a sampler of a single step calls, which is step `step` of all."""
    return callback and (lambda _, x0: callback(step, x0))


def release_ancestral(denoise: _Released, x: Tensor, sigmas: Tensor,
                      noise: Noise = torch.randn_like,
                      callback: Callback | None = None) -> Tensor:
    """DDPM sampling with the release's steps between, on a sampler's terms (`samplers`)."""
    if not isinstance(denoise, _Released):
        raise GuidanceError("release_ancestral needs ReleaseReconstruction or ReleaseProjection")
    levels = sigmas.to(device=x.device, dtype=x.dtype)
    for i, (sigma, lower) in enumerate(pairwise(levels)):
        scale, next_scale = (1 + sigma**2).sqrt(), (1 + lower**2).sqrt()
        if i:  # the release does nothing before the first of its steps
            x = denoise.before(x / scale, sigma, lower, noise) * scale
        x = ancestral(denoise.denoiser, x, torch.stack([sigma, lower]), noise, _at(i, callback))
        x = denoise.after(x / next_scale) * next_scale
    return x


def _exact(name: str, guidance: Callable, sampler: Callable = ancestral) -> Task:
    """A task of the same name and operator on all training steps, from pure noise."""
    return replace(TASKS[name], guidance=guidance, sampler=sampler, steps=200, noise_scale=1.0,
                   levels=training_levels, start="noise", told=None)


PAPER = {
    "extend": _exact("extend", Imputation()),
    "declip": _exact("declip", Reconstruction(impute=False)),
    "vocode": _exact("vocode", Reconstruction(impute=False)),
    "separate": _exact("separate", MixtureLikelihood()),
    "generate": _exact("generate", Unguided()),
}

RELEASE = {
    "declip": _exact("declip", ReleaseReconstruction(), release_ancestral),
    "vocode": _exact("vocode", ReleaseReconstruction(), release_ancestral),
    "separate": _exact("separate", ReleaseProjection(), release_ancestral),
    "generate": PAPER["generate"],
}
