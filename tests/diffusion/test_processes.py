"""The mixing SDE against simulation, Gaussian sources in closed form, and the public release."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from voxmend.diffusion.processes import MixingSDE, local_level, predictor_corrector, time_grid
from voxmend.diffusion.samplers import SAMPLERS

LENGTH = 4


def normal(*shape, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64)


def seeded(seed=0):
    rng = torch.Generator().manual_seed(seed)
    return lambda like: torch.randn(like.shape, generator=rng, dtype=like.dtype)


@pytest.mark.parametrize("sources", [2, 3])
def test_marginals_are_those_of_the_simulated_sde(sources):
    """Euler–Maruyama with 10000 particles and 200 steps."""
    process, steps, noise = MixingSDE(sources, scale=torch.tensor([[[1.0, 3.0]]])), 200, seeded()
    s = normal(1, sources, 2, seed=1)
    x = s.expand(10000, -1, -1)
    for i in range(steps):
        spread = process.diffusion(i / steps, x)
        x = x + process.drift(x) / steps + spread * noise(x) / steps**0.5
        if i + 1 in (steps // 4, steps):
            t = (i + 1) / steps
            torch.testing.assert_close(x.mean(0, keepdim=True), process.mean(s, t), atol=0.03,
                                       rtol=0)
            for n in range(2):
                exact = matrix(process, t)[n] @ matrix(process, t)[n]
                assert (torch.cov(x[..., n].T) - exact).norm() < 0.04 * exact.norm()


def matrix(process, t):
    """L_t at each of two samples, `[2, K, K]`."""
    columns = process.spread(torch.eye(process.sources, dtype=torch.float64)[:, :, None]
                             .expand(-1, -1, 2), t)
    return columns.permute(2, 1, 0)


@pytest.mark.parametrize("sources", [2, 3])
def test_spread_is_the_root_of_the_covariance(sources):
    """L_t L_t = λ₁ P + λ₂ P̄, with λ of theorem 1 by quadrature of e^{−2ξ(t−u)} g(u)²."""
    process = MixingSDE(sources)
    p = torch.full((sources, sources), 1 / sources, dtype=torch.float64)
    for t in (0.03, 0.5, 1.0):
        u = torch.linspace(0, t, 20001, dtype=torch.float64)
        g = process.diffusion(u, u)
        first, second = (torch.trapezoid(torch.exp(-2 * xi * (t - u)) * g**2, u)
                         for xi in (0.0, process.gamma))
        exact = first * p + second * (torch.eye(sources) - p)
        root = matrix(process, t)[0]
        torch.testing.assert_close(root @ root, exact)
        x = normal(2, sources, 5)
        torch.testing.assert_close(process.whiten(process.spread(x, t), t), x)


@pytest.mark.parametrize("sources", [2, 3])
def test_components_have_white_noise_of_their_own_levels(sources):
    """Q M⁻¹(μ_t + L_t z) = Q s + σ·(Q z), with Q orthonormal, and back."""
    process = MixingSDE(sources, scale=local_level(normal(1, 1, 5)))
    s, z, t = normal(3, sources, 5), normal(3, sources, 5, seed=1), torch.tensor([0.03, 0.4, 1.0])
    x = process.mean(s, t) + process.spread(z, t)
    sigma = process.levels(t.double())[:-1, :, None]
    turned = process.components(process.scale * z, 0)
    torch.testing.assert_close(process.components(x, t), process.components(s, 0) + sigma * turned)
    torch.testing.assert_close(turned.square().sum(1), z.square().sum(1))
    torch.testing.assert_close(process.stack(process.components(x, t), t), x)
    torch.testing.assert_close(process.time(sigma[..., 0]), t.double(), rtol=1e-6, atol=0)
    at_one = {2: [0.497, 2.702], 3: [0.497, 2.702, 2.702]}[sources]
    torch.testing.assert_close(sigma[2, :, 0], torch.tensor(at_one).double(), atol=1e-3, rtol=0)


class GaussianSources:
    """Sources that are Gaussian with covariances of their own: all given the sum is known."""

    def __init__(self, sources, seed=0):
        roots = normal(sources, LENGTH, LENGTH, seed=seed) / LENGTH**0.5
        roots = roots * torch.arange(1, sources + 1)[:, None, None]
        covariance = torch.block_diag(*(root @ root.T for root in roots))
        add = torch.eye(LENGTH, dtype=torch.float64).repeat(1, sources)
        gain = covariance @ add.T @ torch.linalg.inv(add @ covariance @ add.T)
        self.sources = sources
        truth = torch.linalg.cholesky(covariance) @ normal(sources * LENGTH, seed=seed + 1)
        self.mixture = (add @ truth).view(1, 1, LENGTH)
        self.mean = (gain @ (add @ truth)).view(1, sources, LENGTH)
        self.covariance = covariance - gain @ add @ covariance

    def score(self, process):
        """∇ log p_t(x | mixture) of N(M m, M V M + Σ_t)."""
        def apply(operation, t):
            eye = torch.eye(self.sources * LENGTH, dtype=torch.float64)
            return operation(eye.view(-1, self.sources, LENGTH), t).flatten(1).T

        def score(x, t):
            mix, root = apply(process.mean, t[0]), apply(process.spread, t[0])
            total = mix @ self.covariance @ mix.T + root @ root.T
            return -torch.linalg.solve(total, (x - process.mean(self.mean, t)).flatten(1).T
                                       ).T.view(x.shape)

        return score

    def check(self, draws):
        """Mean and covariance of draws are those of the sources given the mixture."""
        assert (draws.mean(0) - self.mean[0]).abs().max() < 0.1
        difference = torch.cov(draws.flatten(1).T) - self.covariance
        assert difference.norm() < 0.15 * self.covariance.norm()
        torch.testing.assert_close(draws.mean(0).sum(0), self.mixture[0, 0], atol=0.02, rtol=0)


def wide(sources):
    """A process that forgets the sources by its end, as `start` takes it to."""
    return MixingSDE(sources, gamma=4.0, sigma_max=5.0,
                     scale=torch.tensor([[[1.0, 0.5, 2.0, 1.0]]]).double())


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("sources", [2, 3])
def test_generic_samplers_reach_the_posterior(sources, sampler):
    process, model, noise = wide(sources), GaussianSources(sources), seeded()
    denoise = process.denoiser(model.score(process))
    v = process.components(process.start(model.mixture.expand(2000, -1, -1), noise), 1.0)
    v = SAMPLERS[sampler](denoise, v, process.levels(time_grid(60, 0.005)), noise)
    model.check(process.stack(v, 0.0))


@pytest.mark.parametrize("sources", [2, 3])
def test_predictor_corrector_reaches_the_posterior(sources):
    """With short steps, since a Langevin step of r = 0.5 makes the noise louder by a third."""
    process, model = wide(sources), GaussianSources(sources)
    mixture, calls, score = model.mixture.expand(2000, -1, -1), [], model.score(process)
    draws = predictor_corrector(process, lambda x, t: calls.append(t) or score(x, t), mixture,
                                time_grid(200, 0.005), r=0.1, noise=seeded())
    model.check(draws)
    assert len(calls) == 400


def test_paper_sampler_separates_gaussian_sources():
    """At the paper's settings, 60 calls, the draws' mean is nearer to the sources' than s̄ is."""
    process, model, calls = MixingSDE(), GaussianSources(2), []
    score = model.score(process)
    draws = predictor_corrector(process, lambda x, t: calls.append(t) or score(x, t),
                                model.mixture.expand(500, -1, -1), time_grid(), noise=seeded())
    assert len(calls) == 60
    error = (draws.mean(0) - model.mean[0]).norm()
    assert error < 0.5 * (model.mixture[0] / 2 - model.mean[0]).norm()


def test_score_and_denoiser_are_inverse():
    process, model = MixingSDE(3), GaussianSources(3)
    score, x, t = model.score(process), normal(2, 3, LENGTH), torch.tensor([0.2, 0.2]).double()
    torch.testing.assert_close(process.score(process.denoiser(score))(x, t), score(x, t))


# Outputs of the public release, where $VOXMEND_VECTORS names the folder that has them.

vectors_needed = pytest.mark.skipif("VOXMEND_VECTORS" not in os.environ,
                                    reason="set VOXMEND_VECTORS to the folder of parity vectors")


def vectors():
    path = Path(os.environ["VOXMEND_VECTORS"]) / "diffsep_sde.safetensors"
    return {name.split("/")[1]: tensor for name, tensor in load_file(path).items()}


def assert_near(ours, theirs, tolerance=1e-5):
    assert (ours - theirs).norm() <= tolerance * theirs.norm()


@vectors_needed
def test_marginals_of_the_release():
    v = vectors()
    process, grid = MixingSDE(), v["t_grid"]
    local = replace(process, scale=local_level(v["mix"][:1]))
    assert_near(local_level(v["mix"]), v["priorgrad_sigma"])
    for ours, theirs in zip(process.variances(grid), (v["lambda1"], v["lambda2"])):
        assert_near(ours, theirs)
    assert_near(process.diffusion(grid, grid), v["g"])
    s, z = v["sources"][:1], v["z"][:1]
    assert_near(process.drift(v["x_t"][:1]), v["drift"])
    for i, t in enumerate(grid):
        assert_near(process.mean(s, t), v["mean"][i])
        assert_near(process.spread(z, t), v["Lz"][i])
        assert_near(local.spread(z, t), v["priorgrad_Lz"][i])
    for i, t in enumerate(grid[1:]):
        assert_near(process.whiten(z, t), v["Linv_z_t_from_0p03"][i], 1e-4)
        assert_near(local.whiten(z, t), v["priorgrad_Linv_z_t_from_0p03"][i], 1e-4)
    three = MixingSDE(3)
    assert_near(three.mean(v["sources3"], v["t3"]), v["mean3"])
    assert_near(three.spread(v["z3"], v["t3"]), v["Lz3"])


@vectors_needed
@pytest.mark.parametrize("prefix", ["", "priorgrad_"])
def test_steps_of_the_release(prefix):
    """A step's mean is its result where its noise is zero."""
    v = vectors()
    process = MixingSDE(scale=local_level(v["mix"]) if prefix else 1.0)
    assert_near(process.start(v["mix"], lambda like: v["noise_prior"]), v[f"{prefix}prior_sample"])
    for t, name in ((0.5, "0p5"), (0.03, "0p03"), (1.0, "1")):
        score, x = v["fake_score"], v["x_t"]
        langevin = 0.5 * process.spread(score, t) + v["noise_corrector"]
        assert_near(x + process.spread(langevin, t), v[f"{prefix}corrector_ald2_x_t{name}"])
        mean = x - process.reverse_drift(x, t, score) / 30
        step = process.diffusion(t, x) * v["noise_predictor"] / 30**0.5
        assert_near(mean + step, v[f"{prefix}predictor_x_t{name}"])


@vectors_needed
@pytest.mark.parametrize("name, grid", [("pc_sampler_N4", time_grid(4)),
                                        ("pc_sampler_scheduled_linear_N4", time_grid(5)[:4])])
def test_sampler_of_the_release(name, grid):
    v = vectors()
    mix, noises = v["pc_mix"], iter(v["pc_noises"])
    result = predictor_corrector(
        MixingSDE(), lambda x, t: -(x - mix / 2) / (0.05 + t.view(-1, 1, 1)), mix, grid,
        noise=lambda like: next(noises)[None])
    assert_near(result, v[name])
