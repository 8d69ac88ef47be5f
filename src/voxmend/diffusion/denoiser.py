"""Denoisers: D(x, σ) ≈ E[x₀ | x₀ + σn = x], and the adapters that make one from a network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def broadcast(sigma: Tensor | float, like: Tensor) -> Tensor:
    """Noise level as a tensor that broadcasts over `like`.

    Shape: a scalar, `[B]` (per item), or `[B, C]` (per channel), against `[B, C, T]`.
    """
    sigma = torch.as_tensor(sigma, dtype=like.dtype, device=like.device)
    return sigma.reshape(sigma.shape + (1,) * (like.ndim - sigma.ndim)) if sigma.ndim else sigma


def per_channel(x: Tensor, sigma: Tensor | float) -> tuple[Tensor, Tensor]:
    """Channels as items of their own, and the noise level of each.

    Shape: x `[B, C, T]` to `[B·C, 1, T]`; sigma as in `broadcast` to `[B·C, 1, 1]`.
    """
    levels = broadcast(sigma, x).expand(*x.shape[:2], 1)
    return x.reshape(-1, 1, x.shape[-1]), levels.reshape(-1, 1, 1)


class Denoiser(nn.Module):
    """What samplers and guidance see of a prior: `denoiser(x, sigma) -> x0_hat`.

    Attributes:
        sample_rate: Hz.
        sigma_min, sigma_max: range of noise levels it knows.
        sigma_data: RMS of the signals it was trained on.
        receptive_field: samples on either side that one output sample depends on; None: unbounded.
        hop: samples between its frames; signals cut at multiples of it keep their frames.

    Shape: x `[B, C, T]` to the same; sigma a scalar, `[B]`, or `[B, C]`.
    """

    sample_rate: int = 16000
    sigma_min: float = 0.002
    sigma_max: float = 2.0
    sigma_data: float = 0.1
    receptive_field: int | None = None
    hop: int = 1

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        raise NotImplementedError

    @property
    def innermost(self) -> "Denoiser":
        """The denoiser itself, or what a `Wrapper` wraps in the end."""
        return self


class Wrapper(Denoiser):
    """A denoiser that evaluates another, `denoiser`, its own way, and has its attributes."""

    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser
        for name in Denoiser.__annotations__:
            setattr(self, name, getattr(denoiser, name))

    @property
    def innermost(self) -> Denoiser:
        return self.denoiser.innermost


class Checked(Wrapper):
    """A denoiser of one's own; raises ValueError where it gives anything but the signals' like."""

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        found: Any = self.denoiser(x, sigma)
        if not isinstance(found, Tensor) or (found.shape, found.dtype) != (x.shape, x.dtype):
            made = (f"{list(found.shape)} of {found.dtype}" if isinstance(found, Tensor)
                    else type(found).__name__)
            raise ValueError(f"the prior made {made} of {list(x.shape)} of {x.dtype}")
        return found


def edm_coefficients(sigma: Tensor, sigma_data: float) -> tuple[Tensor, Tensor, Tensor]:
    """c_skip = σ_d²/(σ² + σ_d²), c_out = σσ_d/√(σ² + σ_d²) and c_in = 1/√(σ² + σ_d²).

    Source: Karras et al. 2022, "Elucidating the design space", table 1.
    """
    total = (sigma.square() + sigma_data**2).sqrt()
    return (sigma_data / total).square(), sigma * sigma_data / total, 1 / total


class EDMDenoiser(Denoiser):
    """Preconditioned network, D = c_skip·x + c_out·F(c_in·x, ln σ / 4), by `edm_coefficients`.

    Source: Karras et al. 2022, "Elucidating the design space", eq. 7.
    Channels are independent: a mono network denoises each by itself.
    """

    def __init__(self, network: nn.Module, sample_rate: int = 16000, sigma_min: float = 0.002,
                 sigma_max: float = 2.0, sigma_data: float = 0.1):
        super().__init__()
        self.network, self.sample_rate = network, sample_rate
        self.sigma_min, self.sigma_max, self.sigma_data = sigma_min, sigma_max, sigma_data
        self.receptive_field = getattr(network, "receptive_field", None)
        self.hop = getattr(getattr(network, "stft", None), "hop", 1)

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return edm_coefficients(sigma, self.sigma_data)

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        flat, sigma = per_channel(x, sigma)
        c_skip, c_out, c_in = self.coefficients(sigma)
        out = self.network(c_in * flat, sigma.flatten().log() / 4)
        return (c_skip * flat + c_out * out).reshape(x.shape)


class EpsilonDenoiser(Denoiser):
    """An ε-network of a DDPM as a denoiser, D = x − σ·ε(x/√(1 + σ²), noise level).

    σ² = (1 − ᾱ)/ᾱ. The network is told the noise level of the training step nearest to σ (on a
    logarithmic scale), whatever the number of sampling steps.

    Args:
        network: `(x_t, condition) -> epsilon`.
        betas: the schedule it was trained with, `[steps]`.
        condition: from step indices and their β to what the network is conditioned on; UnDiff's
            networks take β itself.

    Source: Ho et al. 2020, eq. 4 and 15.
    """

    betas: Tensor
    log_sigmas: Tensor

    def __init__(self, network: Callable[..., Tensor], betas: Tensor, sample_rate: int = 16000,
                 sigma_data: float = 0.1,
                 condition: Callable[[Tensor, Tensor], Tensor] = lambda step, beta: beta):
        super().__init__()
        alpha_bar = torch.cumprod(1 - betas.double(), 0)
        self.network, self.condition = network, condition
        log_sigmas = ((1 - alpha_bar) / alpha_bar).sqrt().log()
        # float32, since float64 does not exist on every device
        self.register_buffer("betas", betas.float(), persistent=False)
        self.register_buffer("log_sigmas", log_sigmas.float(), persistent=False)
        self.sample_rate, self.sigma_data = sample_rate, sigma_data
        self.sigma_min, self.sigma_max = log_sigmas[[0, -1]].exp().tolist()
        self.receptive_field = getattr(network, "receptive_field", None)
        self.hop = getattr(network, "hop", 1)

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        flat, sigma = per_channel(x, sigma)
        return self.denoise(flat, sigma).reshape(x.shape)

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D of what the network takes, `[N, …]`, with a level for each item, `[N, 1, …]`."""
        distance = (sigma.flatten()[:, None].log() - self.log_sigmas.to(sigma)).abs()
        step = distance.argmin(1)
        condition = self.condition(step, self.betas[step].to(x))
        return x - sigma * self.network(x / (1 + sigma.square()).sqrt(), condition)
