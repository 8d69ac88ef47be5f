"""A Gaussian prior, whose denoiser and posteriors are known in closed form."""

import torch

from voxmend.diffusion.denoiser import Denoiser, broadcast


class GaussianPrior(Denoiser):
    """x ~ N(0, S): D(x; σ) = S(S + σ²)⁻¹x, by the eigenvectors of S; channels are independent."""

    sigma_min, sigma_max = 1e-3, 50.0

    def __init__(self, covariance):
        super().__init__()
        self.covariance = covariance
        self.values, self.vectors = torch.linalg.eigh(covariance)
        self.sigma_data = covariance.diagonal().mean().sqrt().item()

    @classmethod
    def correlated(cls, length, correlation=0.8):
        lag = torch.arange(length, dtype=torch.float64)
        return cls(correlation ** (lag[:, None] - lag).abs())

    def forward(self, x, sigma):
        shrink = self.values / (self.values + broadcast(sigma, x).square())
        return ((x @ self.vectors) * shrink) @ self.vectors.T


class WhitePrior(Denoiser):
    """x ~ N(0, std²I): D(x; σ) = x·std²/(std² + σ²), for signals of any length."""

    sigma_min, sigma_max = 1e-3, 50.0

    def __init__(self, std=1.0):
        super().__init__()
        self.sigma_data = std

    def forward(self, x, sigma):
        return x * self.sigma_data**2 / (self.sigma_data**2 + broadcast(sigma, x).square())


def matrix(operator, channels, length):
    """The matrix of a linear operator, over flattened [channels, length]."""
    eye = torch.eye(channels * length, dtype=torch.float64).view(-1, channels, length)
    return operator.forward(eye).flatten(1).T


def posterior(covariance, a, y, noise_std):
    """Mean and covariance of x ~ N(0, covariance) given y = a x + noise."""
    inner = a @ covariance @ a.T + noise_std**2 * torch.eye(len(a), dtype=torch.float64)
    gain = covariance @ a.T @ torch.linalg.pinv(inner, hermitian=True)
    return gain @ y, covariance - gain @ a @ covariance


class ListeningPrior(GaussianPrior):
    """One that is told a recording, whose noise it expects to be the error of its own estimate.

    E[x | x + σn, x + e], e ~ N(0, S − S(S + σ²)⁻¹S): the noise of a mixture of two sources less the
    estimate of one of them.
    """

    def told(self, recording):
        def denoise(x, sigma):
            looks = self.values / broadcast(sigma, x).square()
            errors = self.values / (1 + looks)
            heard, noisy = recording @ self.vectors, x @ self.vectors
            both = noisy / broadcast(sigma, x).square() + heard / errors
            return (both / (1 / self.values + looks / self.values + 1 / errors)) @ self.vectors.T

        return denoise
