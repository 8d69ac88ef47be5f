"""SEGAN against its paper, and its training: who learns from which loss, and what is kept."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from helpers.speech import voice
from voxmend import audio
from voxmend.models import hub
from voxmend.networks.segan import KERNEL, SEGAN, Discriminator
from voxmend.systems import segan
from voxmend.systems.segan import SEGANRecipe, deemphasise, emphasise
from voxmend.training import loop, recipes

TINY = (4, 8, 8)


def recipe(steps=6, **changes):
    options = dict(name="tiny", config={"channels": TINY}, discriminator=TINY, steps=steps, batch=2,
                   seconds=0.256)
    return SEGANRecipe(**{**options, **changes})


@pytest.fixture
def data(tmp_path):
    """Speech and noise."""
    for split, seed in (("train", 1), ("val", 3)):
        (tmp_path / "data" / split / "1").mkdir(parents=True)
        audio.save(tmp_path / "data" / split / "1" / "a.flac", voice(3.0, seed=seed), 16000)
    (tmp_path / "noise").mkdir()
    noise = 0.1 * np.random.default_rng(0).normal(size=(1, 48000)).astype(np.float32)
    audio.save(tmp_path / "noise" / "a.flac", noise, 16000)
    return tmp_path / "data"


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_the_published_ones():
    """97.47 M of both networks, with a latent of 1024 channels beside the narrowest layer."""
    with torch.device("meta"):
        both = count(SEGAN(**SEGAN.PRESETS["paper"])) + count(Discriminator())
        scaled = SEGAN(**SEGAN.PRESETS["scaled"])
    assert round((both + KERNEL * 1024 * 512) / 1e6, 2) == 97.47
    assert max(layer.out_channels for layer in scaled.encoder) == 256
    assert 2 * count(scaled) < 10e6  # bytes in half precision


def test_parameters_in_closed_form():
    steps = list(zip((1, *TINY), TINY))
    encoder = sum(KERNEL * a * b + 2 * b for a, b in steps)  # a bias and a slope each
    decoder = sum(KERNEL * a * b * (1 if b is steps[-1][1] and a == steps[-1][0] else 2) + a
                  for a, b in steps) + sum(TINY[:-1])
    assert count(SEGAN(TINY)) == encoder + decoder
    judge = sum(KERNEL * a * b + 3 * b for a, b in zip((2, *TINY), TINY))
    assert count(Discriminator(TINY, 4096)) == judge + TINY[-1] + 1 + 4096 // 8 + 1


def test_any_length_and_every_item_by_itself():
    torch.manual_seed(0)
    network = SEGAN(TINY)
    for length in (1, 7, 8, 1000, 1003):
        noisy = torch.randn(3, 1, length)
        enhanced = network(noisy)
        assert enhanced.shape == noisy.shape and enhanced.abs().max() <= 1
        torch.testing.assert_close(network(noisy[1:2]), enhanced[1:2])
    judge, speech = Discriminator(TINY, 1024), torch.randn(3, 1, 1024)
    scores = judge(speech, -speech)
    assert scores.shape == (3,)
    torch.testing.assert_close(judge(speech[1:2], -speech[1:2]), scores[1:2])


def test_it_starts_from_the_noisy_signal_with_every_layer_awake():
    torch.manual_seed(0)
    network, noisy, levels = SEGAN(**SEGAN.PRESETS["scaled"]), torch.randn(2, 1, 5000), []
    for layer in (*network.encoder, *network.decoder):
        layer.register_forward_hook(lambda layer, _, out: levels.append(out.std().item()))
    torch.testing.assert_close(network(noisy), noisy.tanh())
    assert all(0.3 < level < 3 for level in levels)
    with pytest.raises(ValueError, match="two layers, the first of 4 channels"):
        SEGAN((2, 8))


def test_every_layer_halves_the_rate():
    rates = []
    network = SEGAN(**SEGAN.PRESETS["scaled"])
    for layer in (*network.encoder, *network.decoder):
        layer.register_forward_hook(lambda layer, _, out: rates.append(tuple(out.shape[1:])))
    network(torch.randn(1, 1, 16384))
    channels = SEGAN.PRESETS["scaled"]["channels"]
    down = [(c, 16384 >> i + 1) for i, c in enumerate(channels)]
    assert rates == [*down, *down[-2::-1], (1, 16384)]


def test_pre_emphasis_and_its_inverse():
    wave = torch.randn(2, 1, 500)
    flat = wave[1, 0].numpy()
    expected = [flat[0], *(flat[t] - 0.95 * flat[t - 1] for t in range(1, 500))]
    np.testing.assert_allclose(emphasise(wave)[1, 0], expected, atol=1e-6)
    torch.testing.assert_close(deemphasise(emphasise(wave)), wave)


def test_each_network_learns_from_its_own_loss():
    torch.manual_seed(0)
    plan, voices = recipe(l1=7.0), 0.1 * torch.randn(3, 2, 4096)
    model = plan.build()
    model.zero_grad()
    loss = plan.loss(model, voices)
    loss.backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters()}

    noisy, clean = emphasise(voices.sum(1, keepdim=True)), emphasise(voices[:, :1])
    judge, enhanced = model.discriminator, model.network(noisy)
    of_judge = sum((judge(noisy[i:i + 1], clean[i:i + 1])[0] - 1)**2 / 6
                   + judge(noisy[i:i + 1], enhanced[i:i + 1])[0]**2 / 6 for i in range(3))
    of_generator = (sum((judge(noisy[i:i + 1], enhanced[i:i + 1])[0] - 1)**2 / 6
                        for i in range(3)) + 7 * (enhanced - clean).abs().sum() / (3 * 4096))
    torch.testing.assert_close(loss, of_judge + of_generator)
    for loss, network, name in ((of_judge, judge, "discriminator"),
                                (of_generator, model.network, "network")):
        names, parameters = zip(*network.named_parameters())
        for own, grad in zip(names, torch.autograd.grad(loss, parameters, retain_graph=True)):
            torch.testing.assert_close(found[f"{name}.{own}"], grad, rtol=1e-4, atol=1e-6)


def test_mixtures_have_the_asked_ratio_and_level(tmp_path, data):
    plan = recipe(snr_db=(5.0, 5.0), gain_db=0.0, seconds=3.0)
    corpus = loop.open_corpus(plan, data / "train", tmp_path / "cache", tmp_path / "noise")
    (voices,) = plan.examples(corpus, 0)
    speech, noise = voices.double().square().mean(-1).T
    np.testing.assert_allclose(10 * torch.log10(speech / noise), 5.0, atol=0.01)
    np.testing.assert_allclose((speech + noise).sqrt(), segan.LEVEL, rtol=1e-3)


def test_training_learns_and_ships_the_generator(tmp_path, data):
    run = loop.train(recipe(40, learning_rate=5e-3, ema=0.9), data, tmp_path / "run",
                     noise=tmp_path / "noise")
    losses = [e["loss"] for e in map(json.loads, run.log.read_text().splitlines()) if "loss" in e]
    assert len(losses) == 40 and np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    card = hub.read_card(run.product)
    assert run.product.name == "enhancer.safetensors" and card["prediction"] == "speech"
    assert math.isfinite(card["validation_gain_db"]["speech"])
    assert card["parameters"] == count(SEGAN(TINY))

    enhancer = segan.load_enhancer(run.product)
    mixture = torch.randn(2, 1, 1000)
    parts = enhancer(mixture)
    torch.testing.assert_close(parts.sum(1, keepdim=True), mixture)
    own = deemphasise(enhancer.network(emphasise(0.1 * mixture)))
    torch.testing.assert_close(parts[:, :1], 10 * own)


def test_resumed_equals_unbroken(tmp_path, data):
    whole = loop.train(recipe(), data, tmp_path / "whole", noise=tmp_path / "noise")
    run = loop.Run(recipe(), tmp_path / "halves", torch.device("cpu"))
    corpus = loop.open_corpus(recipe(), data / "train", tmp_path / "cache", tmp_path / "noise")
    for _ in range(3):
        run.advance(run.batch(corpus))
    run.save()
    halves = loop.train(recipe(), data, tmp_path / "halves", noise=tmp_path / "noise",
                        resume=True)
    assert halves.step == whole.step == 6
    for name, weight in whole.weights.items():  # of both networks
        torch.testing.assert_close(halves.weights[name], weight)
    assert {name.split(".")[0] for name in whole.weights} == {"network", "discriminator"}


def test_ready_pairs_are_brought_to_the_level(tmp_path, data):
    for split in ("train", "val"):
        for name, gain in (("clean", 0.2), ("noisy", 0.4)):
            (tmp_path / "ready" / split / name).mkdir(parents=True)
            audio.save(tmp_path / "ready" / split / name / "a.wav", gain * voice(3.0), 16000)
    seen = []

    class Spy(SEGANRecipe):
        def loss(self, model: nn.Module, voices):
            seen.append(voices)
            return super().loss(model, voices)

    plan = Spy("tiny", {"channels": TINY}, 2, batch=2, seconds=1.024, discriminator=TINY)
    loop.train(plan, tmp_path / "ready", tmp_path / "run")
    np.testing.assert_allclose(seen[0].sum(1).square().mean(-1).sqrt(), segan.LEVEL, rtol=1e-3)
    np.testing.assert_allclose(seen[0][:, 0], seen[0][:, 1], atol=1e-2)  # half of each is noise


def test_noise_is_needed(tmp_path, data):
    with pytest.raises(ValueError, match="give a folder with --noise"):
        loop.train(recipe(), data, tmp_path / "run")


def test_other_weights_are_refused(prior):
    with pytest.raises(hub.PriorError, match="no SEGAN; train one with recipes/diffiner/segan.py"):
        segan.load_enhancer(prior)


@pytest.mark.parametrize("name", ["segan", "segan_paper"])
def test_recipes(name):
    plan = recipes.load_recipe(f"recipes/diffiner/{name}.py")
    with torch.device("meta"):
        model = plan.build()
        noisy = torch.zeros(1, 1, round(plan.seconds * plan.sample_rate))
        assert noisy.shape[-1] == 16384
        assert model.discriminator(noisy, model.network(noisy)).shape == (1,)
