"""DiffSep: drawing sources from exact posteriors, its loss, and its training."""

import shutil
from itertools import permutations

import numpy as np
import pytest
import torch

from helpers.diffsep import WhiteDifference, exact_model
from helpers.speech import voice
from voxmend import audio
from voxmend.diffusion.denoiser import edm_coefficients
from voxmend.diffusion.processes import MixingSDE
from voxmend.diffusion.samplers import SAMPLERS
from voxmend.models import hub
from voxmend.networks.conv_tasnet import ConvTasNet
from voxmend.networks.convnext import FrameConvNeXt
from voxmend.networks.score_tasnet import ScoreTasNet
from voxmend.systems import diffsep
from voxmend.systems.diffsep import DiffSepRecipe, EnhancementRecipe, normalise
from voxmend.systems.score_models import MODELS, DifferenceModel, ScoreModel
from voxmend.training import loop
from voxmend.training.corpus import Corpus, Mixtures, draw_noise

DEEP = dict(channels=4, multiples=[1] * 5, blocks=1, attention=0, n_fft=254)
LIGHT = dict(channels=8, blocks=1, kernel=3, dilations=[1], expansion=2, inputs=2)
MASKS = dict(N=16, L=16, B=8, H=12, Sc=8, P=3, X=2, R=1)


@pytest.mark.parametrize("sampler, steps, calls, bias", [
    ("predictor_corrector", 60, 120, 0.1), ("heun", 30, 59, 0.05), ("ancestral", 60, 60, 0.1)])
@pytest.mark.parametrize("kind, local_noise", [("score", False), ("score", True),
                                               ("differences", False)])
def test_separation_draws_from_the_posterior(sampler, steps, calls, bias, kind, local_noise):
    """Up to what steps of finite length leave of noise, or add to it."""
    model, rng = exact_model(kind, local_noise), np.random.default_rng(0)
    first, second = 0.2 * rng.normal(size=10000), 0.1 * rng.normal(size=10000)
    mixture = (first + second + 0.3).astype(np.float32)  # with an offset
    drawn = diffsep.separate(model, mixture, sampler, steps)
    assert drawn.shape == (2, 10000) and drawn.dtype == np.float32
    assert model.network.calls == calls
    np.testing.assert_allclose(drawn.sum(0), mixture, atol=0.02)
    rest = drawn[0] - 0.8 * (mixture - 0.3)
    assert rest.mean() == pytest.approx(0.15, abs=0.01)
    assert np.std(rest) == pytest.approx(0.4 * np.std(mixture), rel=bias)
    assert abs(np.corrcoef(rest, mixture)[0, 1]) < bias


@pytest.mark.parametrize("sampler", ["predictor_corrector", *SAMPLERS])
def test_same_seed_same_sources(sampler):
    model, mixture = exact_model("differences"), voice(0.1)[0]
    first, again, other = (diffsep.separate(model, mixture, sampler, 5, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(other - first).max() > 0.01 * np.abs(mixture).max()


def test_differences_in_units_of_the_local_level():
    """With noise that follows the mixture's level the model sees its signals over that level."""
    model = DifferenceModel(WhiteDifference(2 * 0.5**0.5), MixingSDE(), 8000, True)
    mixture = normalise(torch.randn(1, 1, 4000) * torch.linspace(0.1, 5, 4000))[0]
    process, seen = model.process_of(mixture), []
    model.network.forward = lambda told, noise: seen.append(told) or told[:, :1]
    x = process.mean(mixture * torch.tensor([[0.5], [0.5]]), 1.0)
    model.score(process, mixture)(x, torch.ones(1))
    early, late = (part.square().mean() for part in seen[0][:, 1].split(2000, -1))
    assert 0.8 < early < 1.25 and 0.8 < late < 1.25


def test_each_input_of_the_light_network_has_a_gain_for_each_output():
    network = FrameConvNeXt(**LIGHT | {"outputs": 3})
    x = torch.randn(1, 2, 4000, generator=torch.Generator().manual_seed(0))
    gains = torch.tensor([[1.0, 0.0], [0.5, -2.0], [0.0, 0.0]])
    with torch.no_grad():
        bias = network.leave.bias.view(-1, network.stft.bins, 2)  # residuals, gains; real, imag
        bias[3:, :, 0] = gains.view(-1, 1)
    torch.testing.assert_close(network(x, torch.zeros(1)), gains @ x, rtol=1e-4, atol=1e-5)


def test_the_logarithm_of_the_magnitude_is_an_input():
    network = FrameConvNeXt(**LIGHT, log_magnitude=True)
    told, x = [], torch.randn(1, 2, 4000, generator=torch.Generator().manual_seed(0))
    network.enter.register_forward_hook(lambda layer, inputs, out: told.append(inputs[0]))
    for gain in (1e3, 1e5):
        network(gain * x, torch.zeros(1))
    bins = network.stft.bins
    quiet, loud = (t[..., 8 * bins:] for t in told)
    assert quiet.shape[-1] == 2 * bins
    torch.testing.assert_close(loud - quiet, torch.full_like(loud, np.log(100) / 2),
                               atol=1e-3, rtol=0)
    silence = torch.zeros(1, 2, 4000, requires_grad=True)
    network(silence, torch.zeros(1)).sum().backward()
    assert torch.isfinite(silence.grad).all()
    first = network.stft.forward(1e3 * x)[0, :, 0].abs().log() / 2  # both signals, first frame
    torch.testing.assert_close(quiet[0, 0], first.flatten(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("sources", [2, 3])
def test_a_score_tasnet_begins_with_what_a_separator_knows(sources, tmp_path):
    """Before it has learnt more it denoises noise that hides the voices as the separator would,
    whatever the noise; after that it heeds it."""
    config = {**MASKS, "sources": sources}
    separator = hub.build_network("ConvTasNet", config).requires_grad_(False)
    hub.save_prior(tmp_path / "a.safetensors", separator.state_dict(), {})
    own = recipe(network="ScoreTasNet", config=config, process={"sources": sources})
    fresh = own.build().network.state_dict()
    model = own.build().requires_grad_(False)
    hub.begin_with(model.network, str(tmp_path / "a.safetensors"))
    begun, known = model.network.state_dict(), separator.state_dict()
    for name, weight in fresh.items():
        assert torch.equal(begun[name], known.get(name, weight)), name
    mixture = normalise(torch.randn(2, 1, 999))[0]
    v, sigma = 1e4 * torch.randn(2, sources, 999), torch.full((1, sources), 1e4)
    found = model.process.stack(model.denoise(model.process, mixture)(v, sigma), 0.0)
    voices = (parts := separator(mixture)) + (mixture - parts.sum(1, keepdim=True)) / sources
    c_skip = 1 / sources / 1e8  # what the denoiser keeps of the noisy differences
    kept = model.process.stack(c_skip * v * torch.tensor([0.0] + [1.0] * (sources - 1))[:, None], 0)
    torch.testing.assert_close(found - kept, voices, atol=1e-3, rtol=1e-3)
    with pytest.raises(hub.PriorError, match="FrameConvNeXt cannot begin with it"):
        hub.begin_with(recipe().build().network, str(tmp_path / "a.safetensors"))
    with pytest.raises(hub.PriorError, match="ScoreTasNet cannot begin with it .*size mismatch"):
        hub.begin_with(ScoreTasNet(**{**config, "B": 6}), str(tmp_path / "a.safetensors"))
    (tmp_path / "a.safetensors").write_bytes(b"damaged")
    with pytest.raises(hub.PriorError, match="a.safetensors: ScoreTasNet cannot begin with it"):
        hub.begin_with(ScoreTasNet(**config), str(tmp_path / "a.safetensors"))
    network = ScoreTasNet(**config)
    x, noise = torch.randn(2, sources, 1001, requires_grad=True), torch.tensor([0.1, 0.2])
    with torch.no_grad():
        for layer in (network.tell, network.gains, *network.modulate):
            layer.weight.normal_(0, 0.1)
    out = network(x, noise)
    assert out.shape == (2, sources - 1, 1001)
    out[0].square().sum().backward()
    assert (x.grad[0].abs().amax(-1) > 0).all() and not x.grad[1].any()
    assert not torch.allclose(network(x, noise + 1), out)


def test_the_presets_of_the_light_networks_fit_together():
    fresh = ScoreTasNet(**ScoreTasNet.PRESETS["diffsep"])
    begun = fresh.load_state_dict(ConvTasNet(**ConvTasNet.PRESETS["small"]).state_dict(), False)
    assert not begun.unexpected_keys
    assert sum(p.numel() for p in fresh.parameters()) == 1_670_369


@pytest.mark.parametrize("kind", ["score", "differences"])
def test_odd_signals(kind):
    model = exact_model(kind)
    for constant in (np.zeros(500), np.full(1, 0.5), np.full(30, -0.3)):
        sources = diffsep.separate(model, constant)
        np.testing.assert_allclose(sources, np.tile(constant / 2, (2, 1)), rtol=1e-6)
    short = np.float32([0.1, -0.1, 0.3])
    np.testing.assert_allclose(diffsep.separate(model, short).sum(0), short, atol=0.02)


def test_what_is_no_signal_is_refused():
    model = exact_model()
    with pytest.raises(ValueError, match="mono"):
        diffsep.separate(model, np.zeros((2, 500)))
    for wave in (np.zeros(0), np.array([0.1, np.nan]), np.array([0.1, np.inf])):
        with pytest.raises(ValueError, match="one sample or more without NaN"):
            diffsep.separate(model, wave)
    with pytest.raises(ValueError, match="unknown sampler 'ddim'; known: predictor_corrector, "):
        diffsep.separate(model, voice(0.1)[0], "ddim")


# Training.

def recipe(kind=DiffSepRecipe, **changes):
    options = dict(name="tiny", network="FrameConvNeXt", config=LIGHT, prediction="differences",
                   steps=3, batch=2, seconds=0.25, sample_rate=16000)
    return kind(**{**options, **changes})


@pytest.fixture
def speech(tmp_path, monkeypatch):
    """A folder to train on; validation is cut short."""
    held_out = DiffSepRecipe.held_out
    monkeypatch.setattr(DiffSepRecipe, "held_out", lambda *args: held_out(*args)[:2, :, :16000])
    for split, speakers in (("train", "135"), ("val", "79")):
        for speaker in speakers:
            (tmp_path / "data" / split / speaker).mkdir(parents=True)
            audio.save(tmp_path / "data" / split / speaker / "a.flac",
                       voice(3.0, seed=int(speaker)), 16000)
    return tmp_path / "data"


@pytest.fixture
def noise(tmp_path):
    """A short loud recording and a silent long one."""
    (tmp_path / "noise").mkdir()
    rng = np.random.default_rng(0)
    audio.save(tmp_path / "noise" / "a.flac", 0.1 * rng.normal(size=(1, 3000)), 16000)
    audio.save(tmp_path / "noise" / "b.flac", np.zeros((1, 9000)), 16000)
    return tmp_path / "noise"


@pytest.mark.parametrize("sources", [2, 3])
@pytest.mark.parametrize("kind", [DiffSepRecipe, EnhancementRecipe])
def test_loss_is_the_formula(sources, kind):
    """By matrices, item by item, with every order tried."""
    class Affine(torch.nn.Module):
        def forward(self, x, t):
            return 0.3 * x[:, :-1] - 0.2 * x[:, -1:] * t.view(-1, 1, 1)

    process = {"sources": sources, "gamma": 2.0, "sigma_min": 0.05, "sigma_max": 0.5}
    tiny = recipe(kind, process=process, local_noise=False)
    model = ScoreModel(Affine(), MixingSDE(**process), 16000)
    rng = torch.Generator().manual_seed(0)
    voices, z = (torch.randn(4, sources, 50, generator=rng, dtype=torch.float64) for _ in range(2))
    t, starts = torch.tensor([0.1, 1.0, 0.7, 1.0]).double(), torch.tensor([False, True] * 2)
    p = torch.full((sources, sources), 1 / sources, dtype=torch.float64)
    rest, rho, losses = torch.eye(sources) - p, 10.0, []
    for s, noise, time, start in zip(voices, z, t, starts):
        y = s.sum(0, keepdim=True)
        first = 0.05**2 * (rho ** (2 * time) - 1)
        second = (0.05**2 * (rho ** (2 * time) - (-4 * time).exp()) * np.log(rho)
                  / (2 + np.log(rho)))
        root, decay = first.sqrt() * p + second.sqrt() * rest, p + (-2 * time).exp() * rest
        x = (p @ s if start else decay @ s) + root @ noise
        residual = root @ (0.3 * x - 0.2 * y * time) + noise
        orders = [tuple(range(sources))] if kind is EnhancementRecipe else (
            list(permutations(range(sources))))
        losses.append(min(
            (residual + torch.linalg.inv(root) @ (p @ s - decay @ s[list(order)])).square().mean()
            for order in orders) if start else residual.square().mean())
    if kind is EnhancementRecipe and sources == 3:
        tiny.orders = lambda: [(0, 1, 2)]
    losses = torch.stack(losses)
    torch.testing.assert_close(tiny.loss(model, voices, t, starts, z), losses.mean())
    tiny.log_loss = True
    found = tiny.loss(model, voices, t, starts, z)
    torch.testing.assert_close(found, (losses + 1e-3).log().mean())


def test_mismatched_loss_does_not_heed_the_order():
    model = recipe().build()
    torch.nn.init.normal_(model.network.leave.weight, std=0.1)
    voices, z = torch.randn(2, 2, 4000), torch.randn(2, 2, 4000)
    t, starts = torch.ones(2), torch.ones(2, dtype=torch.bool)
    loss = recipe().loss(model, voices, t, starts, z)
    torch.testing.assert_close(recipe().loss(model, voices.flip(1), t, starts, z), loss)
    fixed = recipe(EnhancementRecipe, local_noise=False)
    assert (fixed.loss(model, voices.flip(1), t, starts, z)
            - fixed.loss(model, voices, t, starts, z)).abs() > 1e-4


def test_difference_loss_is_the_error_of_the_network():
    """With its weight the loss is ‖F − (d − c_skip x)/c_out‖² / K, for d and x at level σ₂."""
    tiny = recipe()
    model = tiny.build()
    torch.nn.init.normal_(model.network.leave.weight, std=0.1)
    z, t = torch.randn(3, 2, 4000), torch.tensor([0.1, 0.5, 0.9])
    voices = tiny._normal(torch.randn(3, 2, 4000))
    d, noise = ((s[:, :1] - s[:, 1:]) / 2**0.5 for s in (voices, z))
    sigma = model.process.sigmas(t)[:, 1].view(-1, 1, 1)
    c_skip, c_out, c_in = edm_coefficients(sigma, 0.5**0.5)
    x, y = d + sigma * noise, voices.sum(1, keepdim=True)
    f = model.network(torch.cat([c_in * x, y], 1), sigma.flatten().log() / 4)
    expected = (f - (d - c_skip * x) / c_out).square().mean() / 2
    loss = tiny.loss(model, voices, t, torch.zeros(3, dtype=torch.bool), z)
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-3)


def test_examples_have_unit_mixtures_and_the_asked_share_of_starts(speech, tmp_path):
    corpus, tiny = Corpus(speech / "train", tmp_path / "cache"), recipe(batch=200, mismatch=0.3)
    voices, t, starts, z = tiny.examples(corpus, 5)
    torch.testing.assert_close(voices.sum(1).std(-1), torch.ones(200))
    assert (t[starts] == 1).all() and starts.float().mean() == pytest.approx(0.3, abs=0.1)
    assert t.min() >= 0.03 and t[~starts].mean() == pytest.approx(0.515, abs=0.05)
    again = tiny.examples(corpus, 5)
    assert all(torch.equal(a, b) for a, b in zip((voices, t, starts, z), again))


def test_only_the_first_voice_speaks_in_the_asked_share(speech, tmp_path):
    corpus = Corpus(speech / "train", tmp_path / "cache")
    voices = recipe(batch=200, alone=0.3).examples(corpus, 5)[0]
    alone = voices[:, 1].abs().amax(-1) == 0
    assert alone.float().mean() == pytest.approx(0.3, abs=0.1)
    torch.testing.assert_close(voices[alone, 0].std(-1), torch.ones(int(alone.sum())))


def test_noise_is_mixed_at_the_asked_levels(speech, noise, tmp_path):
    tiny = recipe(EnhancementRecipe, snr_db=(5.0, 6.0), seconds=1.0)
    corpus = Corpus(speech / "train", tmp_path / "cache")
    corpus.noise = Corpus(noise, tmp_path / "cache")
    pairs = tiny._voices(corpus, 50, 3.0, np.random.default_rng(0))
    level = 20 * (pairs[:, 0].std(-1) / pairs[:, 1].std(-1)).log10()
    assert ((level > 4.5) & (level < 6.5)).all()
    (noise / "a.flac").unlink()
    silent = Corpus(noise, tmp_path / "cache")
    with pytest.raises(ValueError, match="nothing but silence"):
        draw_noise(silent, 100, np.random.default_rng(0))


@pytest.mark.parametrize("kind, prediction, network, config", [
    (DiffSepRecipe, "differences", "FrameConvNeXt", LIGHT),
    (DiffSepRecipe, "differences", "ScoreTasNet", MASKS),
    (EnhancementRecipe, "differences", "FrameConvNeXt", LIGHT),
    (EnhancementRecipe, "score", "NCSNpp", DEEP)])
def test_training_runs_resumes_and_separates(kind, prediction, network, config, speech, noise,
                                             tmp_path):
    options = {"noise": noise} if kind is EnhancementRecipe else {}

    def tiny():
        return recipe(kind, prediction=prediction, network=network, config=config)

    whole = loop.train(tiny(), speech, tmp_path / "whole", **options)
    loop.train(tiny(), speech, tmp_path / "halves", steps=2, **options)
    halves = loop.train(tiny(), speech, tmp_path / "halves", resume=True, **options)
    assert halves.step == whole.step == 3
    card = hub.read_card(halves.product)
    assert list(card["validation_gain_db"]) == ["2 voices" if kind is DiffSepRecipe else "speech"]
    model = diffsep.load_model(halves.product)
    assert type(model) is MODELS[prediction]
    assert model.local_noise == (kind is EnhancementRecipe)
    diffsep.load_model(halves.product, task=kind.task)
    other = ({"separate", "enhance"} - {kind.task}).pop()
    with pytest.raises(hub.PriorError, match=f"made to {kind.task}, not to {other}"):
        diffsep.load_model(halves.product, task=other)
    x, t = torch.randn(1, 3, 4000), torch.tensor([0.5])
    whole._put(whole.ema)
    theirs, ours = (m.score(m.process_of(x[:, 2:]), x[:, 2:])(x[:, :2], t)
                    for m in (whole.denoiser, model))
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-2 * theirs.abs().max().item())
    sources = diffsep.separate(model, voice(0.3)[0], "dpmpp_2m", steps=3)
    assert sources.shape == (2, 4800) and np.isfinite(sources).all()


def test_training_learns_to_separate(speech, tmp_path):
    """A voice from a lower and quieter one, with a few seconds of training."""
    tiny = recipe(steps=300, config=LIGHT | {"channels": 32}, learning_rate=5e-3, batch=4)
    run = loop.train(tiny, speech, tmp_path / "run")
    untrained = recipe().validate(recipe().build(), tiny.held_out(
        Corpus(speech / "val", tmp_path / "cache")))
    assert hub.read_card(run.product)["validation_gain_db"]["2 voices"] > untrained["2 voices"] + 1


def test_noise_is_asked_for_where_it_is_needed(speech, noise, tmp_path):
    with pytest.raises(ValueError, match="tiny: mixes speech with noise; give .* --noise"):
        loop.train(recipe(EnhancementRecipe), speech, tmp_path / "run")
    with pytest.raises(ValueError, match="tiny: has no use for --noise"):
        loop.train(recipe(), speech, tmp_path / "run", noise=noise)


def test_validation_has_noise_of_its_own_where_there_is_some(speech, noise, tmp_path):
    tiny = recipe(EnhancementRecipe)
    for part in ("train", "val"):
        (tmp_path / "split" / part).mkdir(parents=True)
        audio.save(tmp_path / "split" / part / "a.flac", 0.1 * voice(1.0, seed=len(part)), 16000)
    (tmp_path / "split" / "test").mkdir()
    shutil.copytree(tmp_path / "split", tmp_path / "unheard")
    shutil.move(tmp_path / "unheard" / "val", tmp_path / "elsewhere")
    for folder, expected in ((noise, [noise, noise]),
                             (tmp_path / "unheard", [tmp_path / "unheard" / "train"] * 2),
                             (tmp_path / "split", [tmp_path / "split" / "train",
                                                   tmp_path / "split" / "val"])):
        found = [loop.open_corpus(tiny, speech / part, tmp_path / "cache", folder)
                 for part in ("train", "val")]
        assert [corpus.noise.folder for corpus in found] == expected


def ready(folder, kind):
    """Ready mixtures, s1 and s2 or clean and noisy, alike in length; returns the sources."""
    sources = {}
    for part, seed in (("train", 1), ("val", 2)):
        one = [0.3 * voice(2.0, seed=seed + 10 * k) for k in range(3)]
        two = [0.1 * np.random.default_rng(seed + k).normal(size=(1, 32000)) for k in range(3)]
        for k, (a, b) in enumerate(zip(one, two)):
            files = {"s1": a, "s2": b, "mix": a + b} if kind is DiffSepRecipe else (
                {"clean": a, "noisy": a + b})
            for name, wave in files.items():
                (folder / part / name).mkdir(parents=True, exist_ok=True)
                audio.save(folder / part / name / f"{k}.wav", wave, 16000)
        sources[part] = np.stack([np.concatenate(one), np.concatenate(two)])
    return sources


@pytest.mark.parametrize("kind", [DiffSepRecipe, EnhancementRecipe])
def test_training_on_ready_mixtures(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(DiffSepRecipe, "held_out", lambda self, corpus: self._normal(
        self._voices(corpus, 2, 1.0, np.random.default_rng(1))))
    sources, tiny = ready(tmp_path / "data", kind), recipe(kind)
    run = loop.train(tiny, tmp_path / "data", tmp_path / "run")
    assert run.step == 3
    corpus = Mixtures(tmp_path / "data" / "train", tiny.ready, tmp_path / "cache")
    for crop in tiny._voices(corpus, 5, 0.5, np.random.default_rng(0)).numpy():
        places = [np.correlate(wave, crop[0], "valid") for wave in sources["train"][0]]
        number = int(np.argmax([p.max() for p in places]))
        start = int(np.argmax(places[number]))
        expected = sources["train"][:, number, start:start + 8000]
        np.testing.assert_allclose(crop, expected, atol=3e-4)  # 16 bits of both, twice
    longer = tiny._voices(corpus, 1, 3.0, np.random.default_rng(0))
    assert longer.shape == (1, 2, 48000) and not longer[..., 32000:].any()


def test_mixtures_whose_files_do_not_fit_are_refused(tmp_path, noise):
    ready(tmp_path / "data", EnhancementRecipe)
    with pytest.raises(ValueError, match="has no use for --noise"):
        loop.train(recipe(EnhancementRecipe), tmp_path / "data", tmp_path / "run", noise=noise)
    clean = tmp_path / "data" / "train" / "clean"
    audio.save(clean / "0.wav", np.zeros((1, 31000)), 16000, overwrite=True)
    with pytest.raises(audio.AudioError, match="noisy: its files are not called like, or not as"):
        Mixtures(tmp_path / "data" / "train", ("clean", "noisy"), tmp_path / "cache")
    (clean / "0.wav").rename(clean / "other.wav")
    with pytest.raises(audio.AudioError, match="noisy: its files are not called like"):
        Mixtures(tmp_path / "data" / "train", ("clean", "noisy"), tmp_path / "cache")
