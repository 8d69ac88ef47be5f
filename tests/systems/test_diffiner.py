"""DDRM in bins against closed forms, Monte Carlo and the release; the refiner as a whole."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import voxmend
from helpers.gaussian import WhitePrior
from helpers.speech import voice
from voxmend import audio
from voxmend.diffusion.schedules import betas_to_sigmas, geometric_grid, karras_grid, linear_betas
from voxmend.metrics import METRICS
from voxmend.models import hub
from voxmend.systems import diffiner
from voxmend.systems.bins import SpectrogramPrior, WaveformPrior
from voxmend.systems.diffiner import Diffiner, DiffinerPlus, Refiner, ddrm, noise_map


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_noise_map_is_the_noise_s_own_level():
    """Of complex noise each part has half the power."""
    noise = 3 * normal(1, 2, 200, 300)
    speech = normal(1, 2, 200, 300, seed=1)
    found = noise_map(speech + noise, speech)
    assert found.shape == (1, 1, 200, 300)
    assert found.square().mean().sqrt().item() == pytest.approx(3, rel=0.01)
    torch.testing.assert_close(noise_map(speech + noise, speech, 1.0), 2**0.5 * found)


class SpectraOfVariance(torch.nn.Module):
    """The ε-network of independent bins of variance S."""

    multiple, n_fft, hop, tilt = 1, 512, 256, None

    def __init__(self, variance, betas):
        super().__init__()
        self.variance, self.alpha_bar = variance, torch.cumprod(1 - betas, 0)

    def forward(self, x, step):
        alpha_bar = self.alpha_bar[step].float()[:, None, None, None]
        return (1 - alpha_bar).sqrt() * x / (self.variance * alpha_bar + 1 - alpha_bar)


def spectrogram_prior(variance):
    betas = torch.linspace(2e-5, 0.01, 3000, dtype=torch.float64)
    return SpectrogramPrior(SpectraOfVariance(variance, betas), betas, 16000, variance**0.5)


PRIORS = {"spectra": spectrogram_prior, "waveforms": lambda s: WaveformPrior(WhitePrior(s**0.5))}


@pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)
def test_one_call_at_the_noise_s_level_is_a_wiener_filter(make):
    """x = y at σ = σ_n with η_b = 1, and D(y; σ_n) = y S/(S + σ_n²)."""
    prior, deviation = make(2.0), 0.7
    y = prior.bins.analyse(1.5 * normal(2, 5120))
    sigmas = torch.tensor([deviation * (1 + 1e-6), 0.0])
    found = ddrm(prior, y, torch.full_like(y, deviation), sigmas, Diffiner(eta_b=1.0),
                 prior.noise([0, 1]))
    torch.testing.assert_close(found, y * 2 / (2 + deviation**2), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("make", PRIORS.values(), ids=PRIORS)
def test_small_steps_draw_from_the_posterior_of_every_bin(make):
    """Wiener's mean S y/(S + σ_n²) and variance Sσ_n²/(S + σ_n²), σ_n rising with frequency.

    On a geometric grid of ratio η_A, and with η_B = 1, the steps of Diffiner+ are ancestral ones;
    what is left of an error is that a bin changes sides up to one step late.
    """
    prior, ratio, steps = make(2.0), 0.95, 50
    noise_std = torch.linspace(0.8, 2.0, prior.bins.rows)[:, None].expand(1, 1, -1, -1)
    y = prior.bins.analyse(1.5 * normal(1, 4096, seed=3))
    grid = geometric_grid(steps, 2.2, 2.2 * ratio ** (steps - 1))
    draws = torch.cat([ddrm(prior, y, noise_std, grid, DiffinerPlus(ratio, 1.0), prior.noise([i]))
                       for i in range(12)])
    gain = 2 / (2 + noise_std.square())
    found = draws.mean(0, keepdim=True), draws.var(0, keepdim=True)
    wanted = gain * y, (gain * noise_std.square()).expand_as(y)
    # in bands of frequency, without the edges, where windows are cut
    bands = [[part[:, :, 10:250, 5:-5].split(60, 2) for part in pair] for pair in (found, wanted)]
    for mean, exact in zip(bands[0][0], bands[1][0]):
        assert ((mean * exact).sum() / exact.square().sum()).item() == pytest.approx(1, abs=0.1)
    for variance, exact in zip(bands[0][1], bands[1][1]):
        assert (variance.mean() / exact.mean()).item() == pytest.approx(1, abs=0.12)


@pytest.mark.parametrize("update", [Diffiner(), Diffiner(0.3, 1.0), DiffinerPlus(),
                                    DiffinerPlus(0.3, 0.8)])
def test_mean_and_variance_of_a_bin_follow_the_recursion(update):
    """For a Gaussian bin all is linear: x' = a x + b y + c z, so mean and variance are known."""
    variance, deviation, y = 2.0, 0.6, 1.3
    grid = karras_grid(8, 5.0, 0.05)
    levels = grid.tolist()
    mean, spread = update.eta_b * y, levels[0] ** 2 - (update.eta_b * deviation) ** 2
    for sigma, lower in pairwise(levels):
        shrink = variance / (variance + sigma**2)
        if lower > deviation:
            a, b = (1 - update.eta_b) * shrink, update.eta_b
            c = (lower**2 - (update.eta_b * deviation) ** 2) ** 0.5
        elif isinstance(update, Diffiner):
            b = (1 - update.eta_a**2) ** 0.5 * lower / deviation
            a, c = (1 - b) * shrink, update.eta_a * lower
        else:
            a = shrink + update.eta_a * lower * (1 - shrink) / sigma
            b, c = 0.0, (1 - update.eta_a**2) ** 0.5 * lower
        mean, spread = a * mean + b * y, a**2 * spread + (c**2 if lower else 0)
    bins = torch.full((1, 2, 200, 400), y)
    found = ddrm(lambda x, sigma: x * variance / (variance + sigma**2), bins,
                 torch.full_like(bins, deviation), grid, update, lambda like: normal(
                     *like.shape, seed=int(torch.randint(1 << 30, (1,)))))
    assert found.mean().item() == pytest.approx(mean, abs=0.01)
    assert found.var().item() == pytest.approx(spread, rel=0.03)


def test_the_angle_is_that_of_an_item():
    """Two items in a batch are what each is by itself, with η_C as well."""
    update, shape = DiffinerPlus(0.4, 0.6, 0.3), (2, 2, 8, 8)
    x, x0, y, z = (normal(*shape, seed=i) for i in range(4))
    y[1] *= 10
    level = torch.tensor(0.5)
    both = update(x, x0, torch.tensor(0.8), level, y, torch.full(shape, 0.7), z)
    for i in (0, 1):
        one = update(*(t[i:i + 1] for t in (x, x0)), torch.tensor(0.8), level, y[i:i + 1],
                     torch.full((1, *shape[1:]), 0.7), z[i:i + 1])
        torch.testing.assert_close(one[0], both[i])
    with pytest.raises(ValueError, match="at most 1 together"):
        DiffinerPlus(0.8, 0.6, 0.3)


def test_bins_without_noise_stay():
    prior = WaveformPrior(WhitePrior(1.0))
    y = prior.bins.analyse(normal(1, 4096))
    found = ddrm(prior, y, torch.zeros_like(y), karras_grid(6, 5.0, 0.01), Diffiner(eta_b=1.0),
                 prior.noise([0]))
    torch.testing.assert_close(found, y, atol=0.05, rtol=0)


# The release's own steps, where $VOXMEND_VECTORS names the folder that has them.

UPDATES = {"diffiner": diffiner.METHODS["diffiner-release"].update,
           "diffiner_plus_release_etaB0p4": diffiner.METHODS["diffiner+-release"].update,
           "diffiner_plus_paper_etaB0p6": diffiner.METHODS["diffiner+"].update,
           "diffiner_plus_etaC0p3": DiffinerPlus(eta_c=0.3)}


@pytest.mark.skipif("VOXMEND_VECTORS" not in os.environ,
                    reason="set VOXMEND_VECTORS to the folder of parity vectors")
@pytest.mark.parametrize("case", ["i150", "i60_59", "i10", "i1_0"])
@pytest.mark.parametrize("name", UPDATES)
def test_steps_are_the_release_s(case, name):
    """Both items as one, since the release's angle is that of the whole batch."""
    v = load_file(Path(os.environ["VOXMEND_VECTORS"]) / "diffiner_ddrm_step.safetensors")
    mapped = noise_map(v["in/noisy"], v["in/processed"], diffiner.METHODS["diffiner-release"].share)
    torch.testing.assert_close(mapped.expand(-1, 2, -1, -1), v["out/noise_map"])
    kept = betas_to_sigmas(linear_betas(4000, 2.5e-5, 0.005))[::20]
    y, mapped = (t.reshape(1, -1, 24, 20) for t in (v["in/noisy"], v["out/noise_map"]))
    alpha_bar = v[f"out/{case}/alpha_bar_and_prev"]
    x = v[f"in/{case}/x_t"].reshape(y.shape) / alpha_bar[0, 0].sqrt().float()
    for j, index in enumerate(v[f"out/{case}/step_index"].tolist()):
        sigma, lower = kept[index], kept[index - 1] if index else kept.new_zeros(())
        torch.testing.assert_close(torch.stack([sigma, lower]),
                                   ((1 - alpha_bar[j]) / alpha_bar[j]).sqrt())
        epsilon, large, small = (v[f"in/{case}/{n}"][j].reshape(y.shape)
                                 for n in ("eps", "noise_large", "noise_small"))
        z = torch.where(v[f"out/{case}/mask_large"][j].reshape(y.shape).bool(), large, small)
        sigma, lower = sigma.float(), lower.float()
        x = UPDATES[name](x, x - sigma * epsilon, sigma, lower, y, mapped, z)
    ours = x * alpha_bar[-1, 1].sqrt().float()
    theirs = v[f"out/{case}/{name}"].reshape(y.shape)
    assert (ours - theirs).norm() < 1e-5 * theirs.norm()


# The refiner.

def noisy_voice(seconds=2.0, rate=16000, channels=1, snr=5.0):
    clean = voice(seconds, rate, channels)
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    noise *= clean.std() / noise.std() * 10 ** (-snr / 20)
    return clean, (clean + noise).astype(np.float32)


def test_the_true_noise_makes_it_right(tmp_path):
    """With the default prior on speech, even of a machine, the ideal map takes the noise away."""
    demo = Path(voxmend.__file__).parent / "demo" / "clean.flac"
    clean = audio.load(demo, 16000)[:1, :32000]
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    noisy = (clean + noise * clean.std() / 10 ** 0.25).astype(np.float32)  # 5 dB
    refiner = Refiner(device="cpu", steps=6)
    gains = {name: METRICS["si_snr"](refiner(noisy, front, 16000)[0].astype(float),
                                     clean[0].astype(float)) - 5
             for name, front in (("ideal", clean), ("none", noisy))}
    assert gains["ideal"] > 8 and abs(gains["none"]) < 1


@pytest.mark.parametrize("rate, channels", [(16000, 1), (8000, 1), (44100, 2)])
@pytest.mark.parametrize("length", [1, 300, 20000])
def test_any_rate_length_and_number_of_channels(prior, rate, channels, length):
    clean, noisy = noisy_voice(3.0, rate, channels)
    clean, noisy = clean[:, :length], noisy[:, :length]
    refined = Refiner(prior=prior, steps=2, device="cpu")(noisy, clean, rate)
    assert refined.shape == noisy.shape and np.isfinite(refined).all()


def test_above_the_prior_s_band_the_enhanced_is_kept(prior):
    clean, noisy = noisy_voice(2.0, 44100)
    refined = Refiner(prior=prior, steps=2, device="cpu")(noisy, clean, 44100)
    spectra = [np.fft.rfft(wave[0] * np.hanning(wave.shape[1])) for wave in (clean, refined)]
    hertz = np.fft.rfftfreq(clean.shape[1], 1 / 44100)
    change = np.abs(spectra[1] - spectra[0])
    assert change[hertz > 8300].max() < 1e-2 * change[hertz < 7000].max()


def test_segments_join_without_a_trace(prior, monkeypatch):
    """A long recording in segments, away from overlaps, is what it is in one piece."""
    clean, noisy = noisy_voice(9.0)
    outs = []
    for seconds in (4, 100):
        monkeypatch.setattr(diffiner, "SEGMENT_SECONDS", seconds)
        outs.append(Refiner(prior=prior, steps=3, device="cpu")(noisy, clean, 16000)[0])
    inside = np.r_[:46000, 66000:94000, 114000:144000]
    np.testing.assert_allclose(outs[0][inside], outs[1][inside], atol=1e-5)
    assert np.abs(outs[0] - outs[1]).max() < 0.1 * outs[1].std()


def test_seed_channels_and_silence(prior):
    clean, noisy = noisy_voice(1.0, channels=2)
    noisy[1] = clean[1] = 0
    refine_ = {seed: Refiner(prior=prior, steps=2, seed=seed, device="cpu") for seed in (0, 1)}
    one, two = (refine_[seed](noisy, clean, 16000) for seed in (0, 1))
    np.testing.assert_array_equal(one, refine_[0](noisy, clean, 16000))
    assert np.abs(one - two).max() > 1e-4 and one[0].any() and not one[1].any()
    assert not refine_[0](noisy, 0 * clean, 16000).any()


def test_a_soft_channel_is_refined_as_well(prior):
    clean, noisy = noisy_voice(1.0)
    refiner = Refiner(prior=prior, steps=2, device="cpu")
    alone = refiner(noisy, clean, 16000)
    both = refiner(np.concatenate([noisy, 0.03 * noisy]), np.concatenate([clean, 0.03 * clean]),
                   16000)
    np.testing.assert_allclose(both[:1], alone, atol=1e-5)
    np.testing.assert_allclose(both[1:] / 0.03, alone, atol=1e-4)


def test_steps_are_the_method_s_or_those_of_the_schedule(prior, tmp_path):
    assert Refiner(prior=prior).steps == 6 and Refiner("diffiner", prior).steps == 200
    torch.manual_seed(0)
    config = dict(channels=4, multiples=(1, 2, 2, 2), blocks=1, attention=(), heads=1, groups=2)
    path = tmp_path / "spectra.safetensors"
    hub.save_prior(path, hub.build_network("DDPMUNet", config).state_dict(), {
        "network": "DDPMUNet", "config": config, "prediction": "spectrogram", "sigma_data": 1.0,
        "betas": {"schedule": "linear", "steps": 5, "start": 0.02, "end": 0.8},
        "sample_rate": 16000})
    clean, noisy = noisy_voice(2.1, 22050)
    refiner = Refiner("diffiner+", path, device="cpu")
    assert refiner.steps == 5 and refiner.entry["steps"] == 5
    refined = refiner(noisy, clean, 22050)
    assert refined.shape == clean.shape and np.abs(refined - clean).max() > 1e-3
    with pytest.raises(ValueError, match="6 steps, but the prior's schedule has 5"):
        Refiner(prior=path, steps=6)


def test_unknown_method(prior):
    with pytest.raises(ValueError, match="unknown method 'ddpm'; known: voxmend, diffiner"):
        Refiner("ddpm", prior)


def test_a_refiner_offers_what_it_takes():
    with pytest.raises(hub.PriorError,
                       match="no such prior.* or: denoiser16k, diffiner_compact, enhancer16k, "
                             "speech16k$"):
        Refiner(prior="nobody", device="cpu")
