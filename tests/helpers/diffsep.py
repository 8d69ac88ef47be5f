"""DiffSep models whose posterior is known in closed form."""

from dataclasses import replace

import torch

from voxmend.diffusion.denoiser import edm_coefficients
from voxmend.diffusion.processes import MixingSDE, local_level
from voxmend.systems.score_models import DifferenceModel, ScoreModel


class WhiteSources(torch.nn.Module):
    """The exact score of x_t for two white Gaussian sources, the first twice as loud, given their
    sum; the mixture has unit variance: so E[s₁ | y] = 4y/5, with a variance of 4/25."""

    process = MixingSDE(gamma=4.0, sigma_max=5.0)

    def __init__(self, local_noise):
        super().__init__()
        self.local_noise, self.calls = local_noise, 0
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, t):
        self.calls += 1
        x, mixture = x[:, :2], x[:, 2:]
        process = replace(self.process, scale=local_level(mixture)) if self.local_noise else (
            self.process)
        ratio = torch.tensor([[0.8], [0.2]])
        white = process.whiten(process.mean(ratio * mixture, t) - x, t)
        opposite = torch.tensor([[0.4], [-0.4]]).expand(x.shape)  # s given y varies along it
        along = process.whiten(process.mean(opposite, t), t)
        seen = (along * white).sum(1, keepdim=True) / (1 + along.square().sum(1, keepdim=True))
        return process.whiten(white - along * seen, t)


class WhiteDifference(torch.nn.Module):
    """The network of the exact denoiser of (s₁ − s₂)/√2 for the same sources, whose mean is
    0.6y/√2 and variance 0.32: what a `DifferenceModel` makes of it must be that denoiser."""

    def __init__(self, model_level):
        super().__init__()
        self.level, self.calls = model_level, 0
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, told, noise):
        self.calls += 1
        sigma = (4 * noise).exp()[:, None, None]
        c_skip, c_out, c_in = edm_coefficients(sigma, self.level)
        x, mixture = told[:, :1] / c_in, told[:, 1:] * self.level * 2**0.5
        denoised = (0.32 * x + sigma**2 * 0.6 * mixture / 2**0.5) / (0.32 + sigma**2)
        return (denoised - c_skip * x) / c_out


def exact_model(kind="score", local_noise=False):
    if kind == "differences":
        return DifferenceModel(WhiteDifference(0.5**0.5), WhiteSources.process, 8000)
    return ScoreModel(WhiteSources(local_noise), WhiteSources.process, 8000, local_noise)
