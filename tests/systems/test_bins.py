"""Priors of bins: levels, inverses and noise by closed forms, and the training of one."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.gaussian import WhitePrior
from helpers.speech import voice
from voxmend import audio
from voxmend.models import hub
from voxmend.systems.bins import (
    Bins,
    SpectrogramPrior,
    SpectrogramRecipe,
    WaveformPrior,
    load_prior,
)
from voxmend.training import loop, recipes
from voxmend.training.corpus import Corpus

TINY = dict(channels=4, multiples=(1, 2, 2, 2), blocks=1, attention=(), heads=1, groups=2, hop=128,
            tilt=500.0)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("options", [{}, {"hop": 64, "tilt": 500.0}, {"hop": 256, "multiple": 8}])
@pytest.mark.parametrize("length", [1, 1000, 5000])
def test_bins_give_the_signal_back(options, length):
    wave, of = normal(2, length), Bins(**options)
    found = of.analyse(wave)
    assert found.shape[:3] == (2, 2, of.rows) and found.shape[3] % of.multiple == 0
    torch.testing.assert_close(of.synthesise(found, length), wave, atol=1e-4, rtol=1e-4)


def test_without_the_constant_no_more_than_that_is_lost():
    wave = torch.from_numpy(voice(0.5))
    of = Bins(first=1)
    assert of.rows == 256
    back = of.synthesise(of.analyse(wave), wave.shape[1])
    assert (back - wave).norm() < 0.02 * wave.norm()


def test_white_noise_has_unit_variance_in_every_part_and_tilt_raises_it():
    wave = normal(1, 160000)
    plain, tilted = (Bins(tilt=tilt).analyse(wave)[..., 3:-3] for tilt in (None, 1000.0))
    assert plain[:, :, 1:-1].var(dim=(0, 3)).mean(1).tolist() == pytest.approx([1, 1], abs=0.02)
    frequencies = torch.arange(257) * 16000 / 512
    expected = (plain * (1 + (frequencies / 1000) ** 2).sqrt()[:, None])
    torch.testing.assert_close(tilted, expected)


def test_a_quarter_of_independent_noise_is_left_as_a_signal():
    """Which is why a prior of waveforms gets noise that was one."""
    of = Bins(512, 128)
    left = of.synthesise(normal(1, 2, of.rows, 400), 399 * 128)
    assert left[:, 512:-512].var().item() == pytest.approx(0.25, abs=0.01)
    prior = WaveformPrior(WhitePrior())
    drawn = prior.noise([0])(torch.zeros(1, 2, of.rows, 400))
    wave = of.synthesise(drawn, 399 * 128)
    assert wave.var().item() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(of.analyse(wave), drawn, atol=1e-4, rtol=1e-4)


def test_a_waveform_prior_denoises_the_nearest_signal():
    prior, wave = WaveformPrior(WhitePrior(2.0)), normal(3, 2560)
    bins = prior.bins.analyse(wave)
    torch.testing.assert_close(prior(bins, 1.5), bins * 4 / (4 + 2.25), atol=1e-4, rtol=1e-4)
    noisy = bins + 0.5 * normal(*bins.shape, seed=1)
    nearest = prior.bins.analyse(prior.bins.synthesise(noisy, 2560))
    torch.testing.assert_close(prior(noisy, 1.5), nearest * 4 / (4 + 2.25), atol=1e-4, rtol=1e-4)


class GaussianNetwork(torch.nn.Module):
    """ε of bins of variance 4: √(1 − ᾱ) x_t/(4ᾱ + 1 − ᾱ)."""

    multiple, n_fft, hop, tilt = 4, 512, 256, None

    def __init__(self, betas):
        super().__init__()
        self.alpha_bar = torch.cumprod(1 - betas, 0)

    def forward(self, x, step):
        alpha_bar = self.alpha_bar[step].float()[:, None, None, None]
        return (1 - alpha_bar).sqrt() * x / (1 + 3 * alpha_bar)


BETAS = torch.linspace(0.001, 0.3, 60, dtype=torch.float64)


def test_a_prior_of_spectra_is_its_network_s_denoiser():
    prior = SpectrogramPrior(GaussianNetwork(BETAS), BETAS, 16000, 2.0)
    bins = normal(2, 2, 256, 4)
    for sigma in prior.levels(60)[:-1].tolist():
        torch.testing.assert_close(prior(bins, sigma), bins * 4 / (4 + sigma**2), rtol=1e-3,
                                   atol=1e-4)


@pytest.mark.parametrize("make", [
    lambda: WaveformPrior(WhitePrior()),
    lambda: SpectrogramPrior(GaussianNetwork(BETAS), BETAS, 16000, 2.0)])
def test_noise_belongs_to_a_position_and_a_seed(make):
    prior = make()
    whole = prior.noise([3, 4])(torch.zeros(2, 2, prior.bins.rows, 40))
    start = 16 * prior.bins.hop
    part = prior.noise([3, 4], start)(torch.zeros(2, 2, prior.bins.rows, 12))
    torch.testing.assert_close(part[..., 3:-3], whole[..., 19:25], atol=1e-5, rtol=1e-5)
    assert abs(np.corrcoef(whole.flatten(1))[0, 1]) < 0.05


def test_noise_of_spectra_is_white():
    prior = SpectrogramPrior(GaussianNetwork(BETAS), BETAS, 16000, 2.0)
    drawn = prior.noise([0])(torch.zeros(1, 2, 256, 200))
    assert drawn.var().item() == pytest.approx(1, abs=0.02)
    neighbours = (drawn[..., 1:] * drawn[..., :-1]).mean(), (drawn[:, 0] * drawn[:, 1]).mean()
    assert max(map(abs, neighbours)) < 0.02


def test_steps_are_kept_evenly():
    prior = SpectrogramPrior(GaussianNetwork(BETAS), BETAS, 16000, 2.0)
    all_levels = prior.levels(60)
    assert len(all_levels) == 61
    torch.testing.assert_close(prior.levels(20)[:-1], all_levels[:-1].flip(0)[::3].flip(0))
    with pytest.raises(ValueError, match="61 steps, but the prior's schedule has 60"):
        prior.levels(61)


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A folder to train on; validation is cut short."""
    held_out = SpectrogramRecipe.held_out
    monkeypatch.setattr(SpectrogramRecipe, "held_out", lambda *args: held_out(*args)[:4])
    for split, seeds in (("train", (0, 1, 2)), ("val", (3,))):
        (tmp_path / "data" / split).mkdir(parents=True)
        for seed in seeds:
            audio.save(tmp_path / "data" / split / f"{seed}.flac", voice(3.0, seed=seed), 16000)
    return tmp_path / "data"


def recipe(**options):
    return SpectrogramRecipe(**{"name": "tiny", "network": "DDPMUNet", "config": TINY, "steps": 4,
                                "batch": 2, "seconds": 0.256} | options)


def test_loss_is_that_of_the_noise_in_bins(corpus, tmp_path):
    """A network that answers x_t/√(1 − ᾱ) errs by √ᾱ/(1 − ᾱ)^½·X."""
    tiny = recipe()
    prior = tiny.build()
    clean, t, noise = tiny.examples(Corpus(corpus / "train", tmp_path / "cache"), 0)
    assert clean.shape == (2, 2, 256, 40) == noise.shape
    alpha_bar = torch.exp(-torch.log1p(prior.log_sigmas[t].exp().square()))[:, None, None, None]

    class Trivial(torch.nn.Module):
        def forward(self, x, step):
            assert step.equal(t)
            return x / (1 - alpha_bar).sqrt()

    prior.network = Trivial()
    expected = (alpha_bar / (1 - alpha_bar) * clean.square()).mean()
    torch.testing.assert_close(tiny.loss(prior, clean, t, noise), expected, rtol=1e-3, atol=0)
    assert noise.var().item() == pytest.approx(1, abs=0.02)


def test_trained_prior_denoises_and_loads(corpus, tmp_path):
    run = loop.train(recipe(steps=60, learning_rate=5e-3, warmup=5), corpus, tmp_path / "run")
    path = tmp_path / "run" / "prior.safetensors"
    prior = load_prior(str(path))
    gains = hub.read_card(path)["validation_gain_db"]
    assert gains["1"] > 0 and gains["10"] > 5 and math.isfinite(gains["0.1"])
    run._put(run.ema)
    bins = normal(1, 2, 256, 8)
    torch.testing.assert_close(prior(bins, 0.5), run.denoiser(bins, 0.5), rtol=1e-2, atol=2e-2)
    with pytest.raises(hub.PriorError, match="only refine takes it"):
        hub.load_prior(str(path))


@pytest.mark.parametrize("name, steps", [("compact", 50), ("paper", 4000)])
def test_recipes_have_256_rows_and_frames(name, steps):
    folder = Path(__file__).parents[2] / "recipes" / "diffiner"
    recipe = recipes.load_recipe(folder / f"diffiner_{name}.py")
    wave = torch.zeros(1, round(recipe.seconds * 16000))
    assert recipe.bins.analyse(wave).shape == (1, 2, 256, 256)
    assert recipe.betas["steps"] == steps
