"""Noise schedules: β schedules of DDPM-type priors and grids of noise levels σ for samplers."""

import math

import torch
from torch import Tensor

from ..audio.errors import check_whole


def linear_betas(steps: int, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """β rises linearly (Ho et al. 2020); UnDiff uses 200 steps and the default ends.

    Shape: `[steps]`, float64, as for every β schedule here.
    """
    return torch.linspace(start, end, steps, dtype=torch.float64)


def quadratic_betas(steps: int, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """√β rises linearly: linspace(√start, √end)²."""
    return torch.linspace(math.sqrt(start), math.sqrt(end), steps, dtype=torch.float64) ** 2


def sigmoid_betas(steps: int, start: float = 1e-4, end: float = 0.02) -> Tensor:
    """β follows a logistic curve: sigmoid(linspace(−6, 6))·(end − start) + start."""
    ramp = torch.linspace(-6, 6, steps, dtype=torch.float64)
    return torch.sigmoid(ramp) * (end - start) + start


def cosine_betas(steps: int, offset: float = 0.008, limit: float = 0.999) -> Tensor:
    """β from ᾱ(t) = cos²((t + s)/(1 + s)·π/2) (Nichol & Dhariwal 2021, eq. 17)."""
    time = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha_bar = torch.cos((time + offset) / (1 + offset) * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(max=limit)


BETAS = {"linear": linear_betas, "quadratic": quadratic_betas, "sigmoid": sigmoid_betas,
         "cosine": cosine_betas}


def build_betas(description: dict) -> Tensor:
    """A β schedule from its name in `BETAS`, as `schedule`, and its arguments, as cards have it."""
    options = dict(description)
    return BETAS[options.pop("schedule")](**options)


def betas_to_sigmas(betas: Tensor) -> Tensor:
    """σ of every step of a β schedule: σ² = (1 − ᾱ)/ᾱ, ᾱ = ∏(1 − β).

    >>> sigmas = betas_to_sigmas(linear_betas(200))
    >>> round(sigmas[0].item(), 4), round(sigmas[-1].item(), 2)
    (0.01, 2.56)
    """
    alpha_bar = torch.cumprod(1 - betas, 0)
    return ((1 - alpha_bar) / alpha_bar).sqrt()


def ddpm_grid(betas: Tensor) -> Tensor:
    """The noise levels that DDPM sampling visits, from the last step to 0.

    Shape: `[steps]` to `[steps + 1]`.
    """
    return torch.cat([betas_to_sigmas(betas).flip(0), betas.new_zeros(1)])


def check_levels(sigma_max: float, sigma_min: float) -> None:
    """Raises ValueError for noise levels that do not fall above 0."""
    if not 0 < sigma_min <= sigma_max < math.inf:
        raise ValueError(f"from sigma_max={sigma_max:g} to sigma_min={sigma_min:g}: give levels "
                         "above 0 that fall")


def karras_grid(steps: int, sigma_max: float, sigma_min: float, rho: float = 7.0) -> Tensor:
    """σ_i = (σ_max^{1/ρ} + i/(n−1)·(σ_min^{1/ρ} − σ_max^{1/ρ}))^ρ, then 0.

    Large ρ approaches a geometric grid. Shape: `[steps + 1]`, float64, falling.
    Source: Karras et al. 2022, eq. 5.

    Raises ValueError for less than a step, for levels that do not fall above 0, and unless ρ > 0.
    """
    check_whole(1, steps=steps)
    check_levels(sigma_max, sigma_min)
    if not 0 < rho < math.inf:
        raise ValueError(f"rho={rho:g}: give a number above 0")
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, ramp.new_zeros(1)])


def geometric_grid(steps: int, sigma_max: float, sigma_min: float) -> Tensor:
    """σ falls by a constant factor from σ_max to σ_min, then 0. Shape: `[steps + 1]`, float64.

    Raises ValueError for less than a step and for levels that do not fall above 0.
    """
    check_whole(1, steps=steps)
    check_levels(sigma_max, sigma_min)
    ramp = torch.linspace(math.log(sigma_max), math.log(sigma_min), steps, dtype=torch.float64)
    return torch.cat([ramp.exp(), ramp.new_zeros(1)])
