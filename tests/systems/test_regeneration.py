"""A DiffSep that corrects a separator: its posterior, its loss, its training, how it is loaded."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from helpers.commands import run
from helpers.speech import voice
from voxmend import audio
from voxmend.diffusion.processes import MixingSDE
from voxmend.models import hub, precision
from voxmend.systems import diffsep, separator
from voxmend.systems.diffsep import DiffSepRecipe, normalise
from voxmend.systems.export import function_of
from voxmend.systems.regeneration import RegenerationRecipe
from voxmend.systems.score_models import RegenerationModel
from voxmend.training import loop

PROCESS = {"sources": 3, "gamma": 4.0, "sigma_min": 0.05, "sigma_max": 5.0}
LIGHT = dict(channels=8, blocks=1, kernel=3, dilations=[1], expansion=2, inputs=3)
FRAMES = dict(channels=64, blocks=2, kernel=3, dilations=[1], expansion=1)


class Says(nn.Module):
    """The same voices whatever the mixture, or those of a function of it."""

    def __init__(self, voices):
        super().__init__()
        self.voices = voices

    def forward(self, mixture):
        voices = self.voices(mixture) if callable(self.voices) else self.voices
        return voices.expand(len(mixture), -1, -1)


class Corrects(nn.Module):
    """Says nothing, or a share of the error that it hears."""

    def __init__(self, share=0.0):
        super().__init__()
        self.share, self.calls, self.unused = share, 0, nn.Parameter(torch.zeros(1))

    def forward(self, heard, noise):
        self.calls += 1
        return self.share * heard[:, :1]


def model(voices, network=None, error_rms=0.2):
    return RegenerationModel(network or Corrects(), MixingSDE(**PROCESS), 8000, Says(voices),
                             error_rms)


def mixture_and_parts(length=10000):
    """A mixture, and uncorrelated voices in it. Shape: `[1, 1, T]`, `[1, 2, T]`."""
    rng = torch.Generator().manual_seed(0)
    mixture = normalise(torch.randn(1, 1, length, generator=rng))[0]
    return mixture, 0.6 * torch.randn(1, 2, length, generator=rng)


@pytest.mark.parametrize("sampler, steps", [("predictor_corrector", 40), ("ancestral", 60),
                                            ("heun", 30)])
def test_draws_are_the_estimates_and_errors_of_the_level_that_is_told(sampler, steps):
    """A network that says nothing stands for errors that are white noise of three sources whose
    sum is known: each voice has √(2/3) of the level of their components."""
    mixture, voices = mixture_and_parts()
    made = model(voices)
    drawn = diffsep.draw(made, mixture, sampler, steps)
    assert drawn.shape == (1, 2, 10000)
    error = drawn - voices
    expected = 0.2 * (2 / 3) ** 0.5
    assert error.std(-1).flatten().tolist() == pytest.approx([expected] * 2, rel=0.12)
    assert np.corrcoef(*error[0])[0, 1] == pytest.approx(-0.5, abs=0.07)


def test_one_call_of_a_network_that_says_nothing_gives_back_the_estimates():
    mixture, voices = mixture_and_parts()
    made = model(voices)
    drawn = diffsep.draw(made, mixture, "ancestral", 1)
    sigma = made.process.sigmas(torch.ones(1))[0, 1].item()
    kept = 0.2**2 / sigma * (2 / 3) ** 0.5  # c_skip of the noise
    assert made.network.calls == 1
    assert (drawn - voices).std().item() < 2 * kept < 0.02


def test_a_voice_is_corrected_by_itself():
    """Exchanged estimates give exchanged voices."""
    torch.manual_seed(0)
    network = hub.build_network("FrameConvNeXt", LIGHT)
    nn.init.normal_(network.leave.weight, std=0.3)
    mixture, voices = mixture_and_parts(4000)
    noisy = torch.randn(1, 3, 4000, generator=torch.Generator().manual_seed(1))

    def drawn(order):
        made = model(voices[:, order[:2]], network)
        v = made.process.components(noisy[:, order], 0.0)
        with torch.no_grad():
            found = made.denoise(made.process, mixture)(v, torch.full((1, 3), 0.5))
        return made.process.stack(found, 0.0)

    straight, crossed = drawn([0, 1, 2]), drawn([1, 0, 2])
    torch.testing.assert_close(crossed, straight[:, [1, 0, 2]], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(straight.sum(1, keepdim=True), mixture, atol=1e-4, rtol=1e-4)
    assert (straight[:, :2] - voices).std() > 0.01


def test_what_is_no_voice_is_left_out():
    mixture, _ = mixture_and_parts()
    made = model(lambda y: torch.cat([0.5 * y, 0.3 * y], 1), error_rms=1e-4)
    found = diffsep.separate(made, 0.1 * mixture[0, 0].numpy(), "ancestral", 3)
    np.testing.assert_allclose(found, 0.1 * np.outer([0.5, 0.3], mixture[0, 0]), atol=1e-3)
    silent = diffsep.separate(made, np.full(50, 0.4), "ancestral", 3)
    np.testing.assert_allclose(silent, np.full((2, 50), 0.2), rtol=1e-6)


def test_both_networks_multiply_as_is_chosen():
    made = model(None)
    made.separator = Corrects()
    for network in (made.network, made.separator):
        vars(network)["precision"] = "fp32"
    assert precision.choose(made, "bf16") == "bf16"
    assert vars(made.network)["precision"] == vars(made.separator)["precision"] == "bf16"


# Training.

@pytest.fixture
def base(tmp_path):
    """Weights of a separator that has learnt nothing."""
    torch.manual_seed(0)
    path = tmp_path / "weights" / "parts.safetensors"
    path.parent.mkdir()
    hub.save_prior(path, hub.build_network("FrameSeparator", FRAMES).state_dict(), {
        "network": "FrameSeparator", "config": FRAMES, "sample_rate": 16000,
        "prediction": "sources", "sources": 2, "open_levels": False})
    return path


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Speech and noise to train on; validation is cut short."""
    held_out = DiffSepRecipe.held_out
    monkeypatch.setattr(DiffSepRecipe, "held_out", lambda *args: held_out(*args)[:2, :, :8000])
    for part, speakers in (("train", "135"), ("val", "79")):
        for who in speakers:
            (tmp_path / "speech" / part / who).mkdir(parents=True)
            audio.save(tmp_path / "speech" / part / who / "a.flac", voice(2.0, seed=int(who)),
                       16000)
        (tmp_path / "noise" / part).mkdir(parents=True)
        hiss = 0.1 * np.random.default_rng(len(part)).normal(size=(1, 32000))
        audio.save(tmp_path / "noise" / part / "a.flac", hiss, 16000)
    return tmp_path


def recipe(base, **changes):
    options = dict(name="tiny", config=LIGHT, steps=3, batch=4, seconds=0.25, warmup=2,
                   speeds=(1.0,), separator=str(base))
    return RegenerationRecipe(**{**options, **changes})


@pytest.mark.parametrize("start", [False, True])
def test_the_loss_of_a_network_that_says_nothing_is_that_of_the_linear_estimate(start, base):
    """The squared error over c_out², and no spectra."""
    plan, rng = recipe(base, spectral=0.0, floor=1e-9), torch.Generator().manual_seed(0)
    parts, guess, z = torch.randn(3, 2, 3, 4000, generator=rng)
    parts[:, 2] += guess.sum(1) - parts.sum(1)  # of one mixture
    t, starts = torch.tensor([0.3, 0.9]), torch.tensor([start, start])
    loss = plan.loss(Corrects(), parts, guess, t, starts, z)
    basis = torch.tensor([[0.5, -0.5, 0.0], [1, 1, -2]]) * torch.tensor([[2**0.5], [6**-0.5]])
    expected = []
    for s, g, noise, sigma in zip(parts, guess, z, MixingSDE(**plan.process).sigmas(t)[:, 1],
                                  strict=True):
        seen = (0.0 if start else 1.0) * basis @ s + sigma * noise[1:]  # differences
        share = 0.2**2 / (0.2**2 + sigma**2)
        found = g + share * basis.T @ (seen - basis @ g)
        error = (found - s)[:2].square().mean(-1) * (0.2**2 + sigma**2) / (0.2 * sigma) ** 2
        expected.append(error.log().mean())
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)


def test_the_voices_come_in_the_order_of_the_estimates(base, data, tmp_path):
    plan = recipe(base, batch=32, mismatch=0.4, noisy=0.5)
    corpus = loop.open_corpus(plan, data / "speech" / "train", tmp_path / "cache", data / "noise")
    pools, network = plan.prepare(corpus, torch.device("cpu"))
    parts, guess, t, starts, z = plan.examples((pools, network), 4)
    assert parts.shape == guess.shape == z.shape == (32, 3, 4000)
    torch.testing.assert_close(parts.sum(1), guess.sum(1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(parts.sum(1).std(-1), torch.ones(32), atol=1e-3, rtol=1e-3)
    straight, crossed = ((parts[:, order] * guess[:, :2]).sum((1, 2)) for order in ([0, 1], [1, 0]))
    assert (straight >= crossed).all()
    assert (t[starts] == 1).all() and 4 < starts.sum() < 22 and t.min() >= 0.03
    assert all(torch.equal(*pair) for pair in zip(
        (parts, guess, t, starts, z), plan.examples((pools, network), 4), strict=True))


def test_training_resumes_on_a_separator_and_leaves_it_alone(base, data):
    before = base.read_bytes()
    whole = loop.train(recipe(base), data / "speech", data / "whole", noise=data / "noise")
    loop.train(recipe(base), data / "speech", data / "halves", steps=2, noise=data / "noise")
    halves = loop.train(recipe(base), data / "speech", data / "halves", resume=True,
                        noise=data / "noise")
    assert halves.step == whole.step == 3 and base.read_bytes() == before
    card = hub.read_card(halves.product)
    assert (card["prediction"], card["separator"], card["sources"]) == ("regeneration", "parts", 2)
    assert card["separator_sha256"] == hub.file_hash(base)
    assert card["parameters"] == sum(p.numel() for p in halves.network.parameters())
    assert np.isfinite(card["validation_gain_db"]["2 voices"])


@pytest.fixture
def weights(base):
    """A correction of it, beside it."""
    path = base.with_name("small.safetensors")
    hub.save_prior(path, hub.build_network("FrameConvNeXt", LIGHT).state_dict(), {
        "network": "FrameConvNeXt", "config": LIGHT, "sample_rate": 16000,
        "prediction": "regeneration", "task": "separate", "sources": 2, "process": PROCESS,
        "error_rms": 0.2, "separator": "parts",
        "sampling": {"sampler": "ancestral", "steps": 1, "polarities": 1}})
    return path


def test_the_command_writes_as_many_voices_as_the_separator_has(base, weights, tmp_path, capsys):
    audio.save(tmp_path / "in.wav", 0.1 * voice(1.0), 16000)
    code, text = run(capsys, "separate", tmp_path / "in.wav", tmp_path / "out", "--method",
                     "diffsep", "--weights", weights, "--device", "cpu")
    assert code == 0, text
    names = sorted(path.name for path in (tmp_path / "out").glob("*.wav"))
    assert names == ["speaker1.wav", "speaker2.wav"]
    entry = json.loads((tmp_path / "out" / "speaker1.wav.voxmend.json").read_text())
    assert entry["separator"] == "parts" and entry["separator_sha256"] == hub.file_hash(base)
    assert entry["separator_heard"] == {"polarities": 1, "speeds": [1.0]}


@pytest.fixture
def faster_and_slower(base):
    """The separator's card says that it suits it to hear three speeds; lengths heard are noted."""
    base.with_suffix(".json").write_text(json.dumps(
        hub.read_card(base) | {"sampling": {"speeds": [1.0, 0.9, 1.1]}}))

    def noted(separator):
        separator.register_forward_hook(lambda _, args, out: heard.append(args[0].shape[-1]))
        return heard

    heard = []
    return noted


def test_the_separator_hears_the_mixture_as_its_card_says(base, weights, faster_and_slower):
    model = diffsep.load_model(weights)
    heard = faster_and_slower(model.separator)
    diffsep.separate(model, voice(1.0)[0], "ancestral", steps=2)
    assert heard == [16000, 17778, 14545]  # once, whatever the steps


def test_in_training_it_hears_the_same(base, data, tmp_path, faster_and_slower):
    plan = recipe(base)
    corpus = loop.open_corpus(plan, data / "speech" / "train", tmp_path / "cache", data / "noise")
    source = plan.prepare(corpus, torch.device("cpu"))
    heard = faster_and_slower(source[1])
    plan.examples(source, 0)
    assert heard == [4000, 4444, 3636]


def test_a_missing_separator_is_named(base, weights):
    base.unlink()
    with pytest.raises(hub.PriorError, match="small.safetensors: corrects what the separator parts "
                                             "makes; put parts.safetensors"):
        diffsep.load_model(weights)
    with pytest.raises(hub.PriorError, match="a separator, not a prior"):
        hub.load_prior(str(weights))
    with pytest.raises(hub.PriorError, match="use it with voxmend separate --method diffsep"):
        separator.load("separate", weights=weights, device="cpu")


def test_another_separator_of_that_name_is_refused(base, weights, tmp_path, capsys):
    told, card = hub.file_hash(base), hub.read_card(weights)
    weights.with_suffix(".json").write_text(json.dumps(card | {"separator_sha256": told}))
    assert diffsep.find_separator(weights, hub.read_card(weights)) == base
    network = hub.build_network("FrameSeparator", FRAMES)
    hub.save_prior(base, network.state_dict(), hub.read_card(base))
    audio.save(tmp_path / "in.wav", 0.1 * voice(0.5), 16000)
    code, text = run(capsys, "separate", tmp_path / "in.wav", tmp_path / "out", "--method",
                     "diffsep", "--weights", weights, "--device", "cpu")
    assert code == 2 and len(text.err.splitlines()) == 1 and not (tmp_path / "out").exists()
    assert (f"{weights}: corrects the separator parts of SHA-256 {told}, but {base} has "
            f"{hub.file_hash(base)}; put the one that it was trained with beside it") in text.err


def test_what_is_exported_is_the_network(weights):
    function = function_of(str(weights))
    assert function.inputs == {"signals": ("batch", 3, "samples"), "noise_level": ("batch",)}
    assert (function.output, function.about["prediction"]) == ("regeneration", "regeneration")
