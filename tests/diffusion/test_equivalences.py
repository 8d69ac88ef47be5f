"""Two ways to the same thing must agree."""

import math

import numpy as np
import pytest
import torch

from helpers.gaussian import GaussianPrior
from voxmend.diffusion.denoiser import EDMDenoiser, EpsilonDenoiser
from voxmend.diffusion.samplers import ancestral, dpmpp_2m, euler, heun
from voxmend.diffusion.schedules import BETAS, betas_to_sigmas, ddpm_grid, karras_grid, linear_betas
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.operators import Clip
from voxmend.restore.restorer import Restorer


def small_network(seed=0):
    torch.manual_seed(seed)
    network = FrameConvNeXt(channels=16, blocks=3, kernel=3, dilations=(1, 2))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_ddpm_equals_ancestral_sampling():
    """Ho et al.'s algorithm 2 in x_t with UnDiff's 200 steps against the σ-space sampler."""
    prior, betas = GaussianPrior.correlated(8), linear_betas(200)
    alpha_bar = torch.cumprod(1 - betas, 0)
    draws = torch.randn(200, 3, 1, 8, generator=torch.Generator().manual_seed(0),
                        dtype=torch.float64)
    sigmas = ddpm_grid(betas)
    start = torch.randn(3, 1, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x_t = start * alpha_bar[-1].sqrt()
    for t in reversed(range(200)):
        previous = alpha_bar[t - 1] if t else torch.ones(())
        x0 = prior(x_t / alpha_bar[t].sqrt(), ((1 - alpha_bar[t]) / alpha_bar[t]).sqrt())
        mean = (previous.sqrt() * betas[t] * x0
                + (1 - betas[t]).sqrt() * (1 - previous) * x_t) / (1 - alpha_bar[t])
        variance = betas[t] * (1 - previous) / (1 - alpha_bar[t])
        x_t = mean + variance.sqrt() * draws[t] if t else mean
    remaining = iter(draws.flip(0))
    ours = ancestral(prior, start, sigmas, lambda like: next(remaining))
    torch.testing.assert_close(ours, x_t, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("name", BETAS)
def test_epsilon_adapter_round_trips(name):
    """The adapter gives back the ε that the network said, at every step's own noise level."""
    betas = BETAS[name](50)
    seen = []

    def network(x_t, step):
        seen.append(step.clone())
        return torch.tanh(x_t) * (1 + step.view(-1, 1, 1) / 50)

    denoiser = EpsilonDenoiser(network, betas, condition=lambda step, beta: step)
    x = torch.randn(2, 1, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for step in (0, 17, 48):
        sigma = betas_to_sigmas(betas)[step]
        x0 = denoiser(x, sigma)
        epsilon = (x - x0) / sigma
        torch.testing.assert_close(epsilon, network(x / (1 + sigma**2).sqrt(),
                                                    torch.tensor([step, step])))
        assert seen[-2].tolist() == [step, step]


def test_epsilon_adapter_of_the_true_epsilon_is_the_denoiser():
    """With ε = (x − D)/σ of a Gaussian prior the adapter is that prior."""
    prior, betas = GaussianPrior.correlated(8), linear_betas(200)
    sigmas = betas_to_sigmas(betas)

    def network(x_t, step):
        sigma = sigmas[step.long()].view(-1, 1, 1)
        x = x_t * (1 + sigma**2).sqrt()
        return (x - prior(x, sigma.flatten())) / sigma

    denoiser = EpsilonDenoiser(network, betas, condition=lambda step, beta: step)
    x = torch.randn(2, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(denoiser(x, sigmas[[3, 150]]), prior(x, sigmas[[3, 150]]))


@pytest.mark.parametrize("sampler", [euler, heun, dpmpp_2m])
def test_ode_samplers_reach_the_exact_solution(sampler):
    """For a Gaussian prior dx/dσ = (x − D)/σ has x(0) = x(σ)·√(s/(s + σ²)) per eigenvector."""
    prior = GaussianPrior.correlated(8)
    x = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    exact = ((x @ prior.vectors) * (prior.values / (prior.values + 4)).sqrt()) @ prior.vectors.T
    errors = [(sampler(prior, x, karras_grid(n, 2.0, 1e-3)) - exact).norm() for n in (40, 80)]
    order = math.log2(errors[0] / errors[1])
    assert errors[1] < (0.05 if sampler is euler else 0.01)
    assert order > (0.8 if sampler is euler else 1.5)


def test_batch_items_do_not_feel_their_neighbours():
    prior = EDMDenoiser(small_network()).eval().requires_grad_(False)
    rng = np.random.default_rng(0)
    wave = 0.1 * rng.standard_normal((2, 4096)).astype(np.float32)
    y = torch.from_numpy(wave)[:, None].clamp(-0.1, 0.1)
    loud = torch.cat([y[:1], 20 * y[1:]])
    restorer = Restorer("declip", prior, steps=4, device="cpu")
    alone, beside = (restorer.draw(t, Clip(0.1)) for t in (y[:1], loud))
    torch.testing.assert_close(beside[:1], alone, rtol=1e-4, atol=1e-5)
