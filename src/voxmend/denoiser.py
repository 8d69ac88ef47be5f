"""Denoisers: D(x, σ) ≈ E[x₀ | x₀ + σn = x], and the adapters that make one from a network."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


def broadcast(sigma: Tensor | float, like: Tensor) -> Tensor:
    """Noise level as a tensor that broadcasts over `like`.

    Shape: a scalar, `[B]` (per item), or `[B, C]` (per channel), against `[B, C, T]`.
    """
    sigma = torch.as_tensor(sigma, dtype=like.dtype, device=like.device)
    return sigma.reshape(sigma.shape + (1,) * (like.ndim - sigma.ndim)) if sigma.ndim else sigma


@dataclass(frozen=True)
class Known:
    """Which part of a noisy signal was observed, so that no noise need be on it.

    known(t, f) = time(t)·frequency(f), each from 0 (hidden) to 1 (known).

    Attributes:
        time: `[B, C, T]`, or what broadcasts over it.
        frequency: `[B, C, 257]`, or what broadcasts over it; 0 Hz to Nyquist in equal steps.
    """

    BINS = 257

    time: Tensor
    frequency: Tensor

    def __mul__(self, other: "Known") -> "Known":
        return Known(self.time * other.time, self.frequency * other.frequency)

    def cut(self, start: int, stop: int) -> "Known":
        """The same for the samples start … stop."""
        return Known(self.time[..., start:stop], self.frequency)

    def lowpass(self, x: Tensor) -> Tensor:
        """Hx, with H² = frequency. Shape: `[B, C, T]` to the same."""
        spectrum = torch.fft.rfft(x)
        response = interpolate(self.frequency.to(x).sqrt(), spectrum.shape[-1], mode="linear",
                               align_corners=True)
        return torch.fft.irfft(response * spectrum, x.shape[-1])

    def hidden(self, x: Tensor) -> Tensor:
        """The part of x that is not known, x − H(time·Hx). Shape: `[B, C, T]` to the same."""
        return x - self.lowpass(self.time * self.lowpass(x))


class Denoiser(nn.Module):
    """What samplers and guidance see of a prior: `denoiser(x, sigma) -> x0_hat`.

    Attributes:
        sample_rate: Hz.
        sigma_min, sigma_max: range of noise levels it knows.
        sigma_data: RMS of the signals it was trained on.
        receptive_field: samples on either side that one output sample depends on; None: unbounded.
        hop: samples between its frames; signals cut at multiples of it keep their frames.
        sees_known: whether it can be told which part of x is without noise,
            `denoiser(x, sigma, known)`.

    Shape: x `[B, C, T]` to the same; sigma a scalar, `[B]`, or `[B, C]`.
    """

    sample_rate: int = 16000
    sigma_min: float = 0.002
    sigma_max: float = 2.0
    sigma_data: float = 0.1
    receptive_field: int | None = None
    hop: int = 1
    sees_known: bool = False

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        raise NotImplementedError


class EDMDenoiser(Denoiser):
    """Preconditioned network, D = c_skip·x + c_out·F(c_in·x, ln σ / 4).

    c_skip = σ_d²/(σ² + σ_d²), c_out = σσ_d/√(σ² + σ_d²), c_in = 1/√(σ² + σ_d²).
    Source: Karras et al. 2022, "Elucidating the design space", eq. 7 and table 1.
    Channels are independent: a mono network denoises each by itself.
    """

    def __init__(self, network: nn.Module, sample_rate: int = 16000, sigma_min: float = 0.002,
                 sigma_max: float = 2.0, sigma_data: float = 0.1):
        super().__init__()
        self.network, self.sample_rate = network, sample_rate
        self.sigma_min, self.sigma_max, self.sigma_data = sigma_min, sigma_max, sigma_data
        self.receptive_field = getattr(network, "receptive_field", None)
        self.hop = getattr(getattr(network, "stft", None), "hop", 1)
        self.sees_known = getattr(network, "context", None) is not None

    def coefficients(self, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        total = (sigma.square() + self.sigma_data**2).sqrt()
        return (self.sigma_data / total).square(), sigma * self.sigma_data / total, 1 / total

    def forward(self, x: Tensor, sigma: Tensor | float, known: Known | None = None) -> Tensor:
        flat = x.reshape(-1, 1, x.shape[-1])
        sigma = broadcast(sigma, x).expand(*x.shape[:2], 1).reshape(-1, 1, 1)
        c_skip, c_out, c_in = self.coefficients(sigma)
        told = ()
        if known is not None:
            time = known.time.to(x).expand(x.shape)
            frequency = known.frequency.to(x).expand(*x.shape[:2], Known.BINS)
            told = (Known(time.reshape(flat.shape), frequency.reshape(-1, 1, Known.BINS)),)
        out = self.network(c_in * flat, sigma.flatten().log() / 4, *told)
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

    def __init__(self, network, betas: Tensor, sample_rate: int = 16000, sigma_data: float = 0.1,
                 condition=lambda step, beta: beta):
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
        flat = x.reshape(-1, 1, x.shape[-1])
        sigma = broadcast(sigma, x).expand(*x.shape[:2], 1).reshape(-1, 1, 1)
        distance = (sigma.flatten()[:, None].log() - self.log_sigmas.to(sigma)).abs()
        step = distance.argmin(1)
        condition = self.condition(step, self.betas[step].to(x))
        epsilon = self.network(flat / (1 + sigma.square()).sqrt(), condition)
        return (flat - sigma * epsilon).reshape(x.shape)
