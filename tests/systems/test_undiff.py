"""UnDiff's tasks: the release's steps against its vectors, and the paper's on known posteriors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from helpers.gaussian import GaussianPrior
from helpers.speech import CONFIG, voice
from voxmend import Restorer, undiff
from voxmend.diffusion.chunked import ChunkedDenoiser
from voxmend.diffusion.denoiser import EpsilonDenoiser, Wrapper
from voxmend.diffusion.samplers import ancestral
from voxmend.diffusion.schedules import cosine_betas, ddpm_grid, linear_betas
from voxmend.diffusion.told import GuessDenoiser
from voxmend.models import hub
from voxmend.models.importers import import_undiff
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.operators import Clip, Lowpass, Mixture
from voxmend.restore.damage import Clipping, Damage
from voxmend.restore.drawing import Request

DATA = Path(__file__).parents[1] / "data"
STEP = 120


@pytest.fixture(scope="module")
def vectors():
    return load_file(DATA / "undiff_sampler_steps.safetensors")


@pytest.fixture(scope="module")
def diffwave(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undiff")
    weights = load_file(DATA / "undiff_diffwave_small.safetensors")
    torch.save({k.removeprefix("weights/"): t for k, t in weights.items()
                if k.startswith("weights/")}, folder / "diffwave.ckpt")
    import_undiff(folder / "diffwave.ckpt", folder / "d.safetensors", dilation_cycle=3)
    return hub.load_prior(str(folder / "d.safetensors"))


def levels():
    """σ of step 120 and of the one below."""
    grid = ddpm_grid(linear_betas(200)).float()
    return grid[199 - STEP], grid[200 - STEP]


def relative(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


@pytest.mark.parametrize("snr, expected", [(None, "out/guided_x"),
                                           (0.01, "out/guided_plus_corrector_x")])
def test_guidance_and_corrector_are_the_release_s(diffwave, vectors, snr, expected):
    clip = Clip(vectors["in/declip_level"].item(), tolerance=0.0)
    rule = undiff.ReleaseReconstruction(snr=snr)
    guided = rule(diffwave, clip, vectors["in/declip_y"])
    x_t = guided.before(vectors["in/x_t"], *levels(), lambda like: vectors["in/noise"])
    assert relative(x_t, vectors[expected]) < 1e-5


def test_ancestral_step_is_the_release_s(diffwave, vectors):
    sigma, lower = levels()
    x = ancestral(diffwave, vectors["in/x_t"] * (1 + sigma**2).sqrt(), torch.stack([sigma, lower]),
                  lambda like: vectors["in/noise"])
    assert relative(x / (1 + lower**2).sqrt(), vectors["out/p_sample"]) < 1e-5


def test_projection_of_voices_is_the_release_s(vectors):
    voices = vectors["out/sep_p_sample"].view(1, 2, -1)
    guided = undiff.ReleaseProjection()(None, Mixture(2), vectors["in/sep_y"])
    assert relative(guided.after(voices), vectors["out/sep_projected"].view(1, 2, -1)) < 1e-6


def test_levels_are_the_prior_s_own(diffwave, prior):
    own = undiff.training_levels(undiff.PAPER["extend"], diffwave)
    assert len(own) == 201 and own[0] == pytest.approx(2.56, abs=0.01) and own[-1] == 0
    other = undiff.training_levels(undiff.PAPER["extend"], hub.load_prior(str(prior)))
    torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-6)


def test_levels_of_another_schedule():
    """σ of step t is √(1/ᾱ_t − 1), whatever stands around the prior."""
    betas = cosine_betas(50)
    prior = EpsilonDenoiser(torch.nn.Identity(), betas)
    prior.receptive_field = 0
    expected = (1 / np.cumprod(1 - betas.numpy()) - 1) ** 0.5
    for wrapped in (prior, ChunkedDenoiser(Wrapper(prior))):
        levels = undiff.training_levels(undiff.PAPER["declip"], wrapped)
        np.testing.assert_allclose(levels, [*expected[::-1], 0], rtol=1e-4)


def test_paper_s_generation_has_the_covariance_of_ddpm():
    """On a Gaussian prior with eigenvalue v, μ = (√ᾱ'β x̂0 + √α(1−ᾱ')x_t)/(1−ᾱ) in every step."""
    prior = GaussianPrior.correlated(6)
    task, rng = undiff.PAPER["generate"], torch.Generator().manual_seed(0)

    def noise(like):
        return torch.randn(like.shape, generator=rng, dtype=like.dtype)

    sigmas = task.levels(task, prior)
    x = (1 + sigmas[0] ** 2).sqrt() * noise(torch.empty(20000, 1, 6, dtype=torch.float64))
    out = task.sampler(task.guidance(prior, None, None), x, sigmas, noise)[:, 0]
    betas = linear_betas(200)
    alpha_bar = torch.cumprod(1 - betas, 0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar[:-1]])
    variance, v = torch.ones(6, dtype=torch.float64), prior.values
    for a, a_before, beta in zip(alpha_bar.flip(0), before.flip(0), betas.flip(0)):
        estimate = a.sqrt() * v / (a * v + 1 - a)  # of x0, per unit of x_t
        gain = (a_before.sqrt() * beta * estimate + (1 - beta).sqrt() * (1 - a_before)) / (1 - a)
        variance = gain**2 * variance + beta * (1 - a_before) / (1 - a)
    expected = prior.vectors @ torch.diag(variance) @ prior.vectors.T
    assert (out.T.cov() - expected).abs().max() < 0.05


@pytest.mark.parametrize("tasks", [undiff.PAPER, undiff.RELEASE], ids=["paper", "release"])
@pytest.mark.parametrize("name", ["extend", "declip", "vocode", "separate", "generate"])
def test_every_preset_runs_and_repeats_itself(tasks, name, prior):
    if name not in tasks:
        pytest.skip("the release does not extend")
    few = torch.cat([ddpm_grid(linear_betas(200))[::40][:5], torch.zeros(1)])
    task = undiff.replace(tasks[name], levels=lambda task, prior: few)
    wave = voice(0.3)[0]
    damage = Damage((Clipping(0.05),), rms=0.1, cutoff=3000.0)

    def run():
        restorer = Restorer(task, str(prior), seed=1, device="cpu")
        return restorer.generate(0.3) if name == "generate" else restorer(wave, 16000, damage)

    out = run()
    assert np.isfinite(out).all() and np.abs(out).max() > 0
    np.testing.assert_array_equal(out, run())


@pytest.mark.parametrize("tasks", [undiff.PAPER, undiff.RELEASE], ids=["paper", "release"])
@pytest.mark.parametrize("name", ["extend", "declip", "vocode"])
def test_a_prior_that_could_be_told_is_guided(tasks, name):
    """The paper's way has no first guess, whatever the prior has learnt."""
    if name not in tasks:
        pytest.skip("the release does not extend")
    network = FrameConvNeXt(**CONFIG | {"inputs": 2, "marks": 2})
    prior = GuessDenoiser(network).requires_grad_(False)
    restorer = Restorer(tasks[name], prior, device="cpu")
    assert tasks[name].for_prior(prior).steps == 200
    y = torch.ones(1, 1, 4096)
    for operator in (Clip(0.5), Lowpass(3000.0)):
        assert restorer.drawing.evidence(Request(y, operator)) is None
