"""Samplers: plain functions that follow a denoiser from noise level σ₀ down to zero.

All take `(denoise, x, sigmas, noise, callback)`:
    denoise: `(x, sigma) -> x0_hat`, a prior's denoiser or a posterior's from `guidance`.
    x: `[B, C, T]`, the start, clean signal plus noise of level sigmas[0].
    sigmas: `[N + 1]` falling grid that ends at 0, or `[N + 1, C]` with one level per channel, or
        `[N + 1, B, C]` with levels of each item.
    noise: `(like) -> standard normal tensor`; only `ancestral` draws any.
    callback: called with (step, x0_hat) after every network call's step.
and return the sample at the last noise level.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from .denoiser import broadcast

Denoise = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[Tensor], Tensor]
Callback = Callable[[int, Tensor], object]


def _levels(sigmas: Tensor, x: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of successive noise levels, each ready to broadcast over x."""
    levels = sigmas.to(device=x.device, dtype=x.dtype)
    if levels.ndim == 2:
        levels = levels[:, None, :]  # [N + 1, 1, C], as levels of each item are
    return list(pairwise(levels))


def euler(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise = torch.randn_like,
          callback: Callback | None = None) -> Tensor:
    """First-order steps of the probability-flow ODE, dx/dσ = (x − D(x, σ))/σ; equals DDIM (η = 0).

    Source: Karras et al. 2022, algorithm 1 without its second-order correction.
    """
    for i, (sigma, lower) in enumerate(_levels(sigmas, x)):
        x0 = denoise(x, sigma)
        ratio = broadcast(lower / sigma, x)
        x = x0 + ratio * (x - x0)
        if callback:
            callback(i, x0)
    return x


def heun(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise = torch.randn_like,
         callback: Callback | None = None) -> Tensor:
    """Second-order steps of the probability-flow ODE, two network calls each but the last.

    Source: Karras et al. 2022, algorithm 1.
    """
    for i, (sigma, lower) in enumerate(_levels(sigmas, x)):
        x0 = denoise(x, sigma)
        slope = (x - x0) / broadcast(sigma, x)
        step = broadcast(lower - sigma, x)
        ahead = x + step * slope
        if lower.max() > 0:
            ahead_slope = (ahead - denoise(ahead, lower)) / broadcast(lower, x)
            ahead = x + step * (slope + ahead_slope) / 2
        x = ahead
        if callback:
            callback(i, x0)
    return x


def dpmpp_2m(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise = torch.randn_like,
             callback: Callback | None = None) -> Tensor:
    """DPM-Solver++(2M): second order in log σ from the previous step's denoised signal.

    Source: Lu et al. 2022, "DPM-Solver++", algorithm 2 with α = 1.
    """
    previous: Tensor | None = None
    width: Tensor | None = None
    for i, (sigma, lower) in enumerate(_levels(sigmas, x)):
        x0 = denoise(x, sigma)
        target = x0
        if lower.max() > 0:
            next_width = (sigma / lower).log()
            if previous is not None and width is not None:
                lead = broadcast(next_width / (2 * width), x)
                target = x0 + lead * (x0 - previous)
            previous, width = x0, next_width
        x = target + broadcast(lower / sigma, x) * (x - target)
        if callback:
            callback(i, x0)
    return x


def ancestral(denoise: Denoise, x: Tensor, sigmas: Tensor, noise: Noise = torch.randn_like,
              callback: Callback | None = None) -> Tensor:
    """Ancestral sampling, which is DDPM's posterior sampling written in σ.

    x' = x0 + (σ'²/σ²)(x − x0) + σ'√(1 − σ'²/σ²) z. With the σ of a β schedule this is DDPM with
    the "small" posterior variance. Source: Ho et al. 2020, eq. 6 and 7.
    """
    for i, (sigma, lower) in enumerate(_levels(sigmas, x)):
        x0 = denoise(x, sigma)
        ratio = (lower / sigma).square()
        x = x0 + broadcast(ratio, x) * (x - x0)
        if lower.max() > 0:
            x = x + broadcast(lower * (1 - ratio).sqrt(), x) * noise(x)
        if callback:
            callback(i, x0)
    return x


SAMPLERS = {"euler": euler, "heun": heun, "dpmpp_2m": dpmpp_2m, "ancestral": ancestral}
