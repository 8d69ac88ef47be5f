"""The frame-wise separator's recipe: its loss, its mixtures, its training, its card."""

import json
import math

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio
from voxmend.models import hub
from voxmend.networks.frame_separator import FrameSeparator
from voxmend.systems import frame_separator, separator, weights
from voxmend.systems.frame_separator import FrameSeparationRecipe
from voxmend.training import loop
from voxmend.training.corpus import Corpus
from voxmend.training.recipes import load_recipe

TINY = dict(channels=64, blocks=2, kernel=3, dilations=[1], expansion=1, n_fft=64, hop=32)


def recipe(**changes):
    options = dict(name="tiny", config=TINY, steps=6, batch=2, seconds=0.25, warmup=2, easy=2)
    return FrameSeparationRecipe(**{**options, **changes})


@pytest.fixture
def speech(tmp_path, monkeypatch):
    """Speakers, of whom 1, 3 and 5 are women, and noise beside them; validation is cut short."""
    held_out = FrameSeparationRecipe.held_out
    monkeypatch.setattr(FrameSeparationRecipe, "held_out",
                        lambda *args: held_out(*args)[:2, :, :8000])
    for split, speakers in (("train", "123"), ("val", "45")):
        for who in speakers:
            folder = tmp_path / "speech" / split / who
            folder.mkdir(parents=True)
            audio.save(folder / "a.flac", voice(2.0, seed=int(who)), 16000)
        folder = tmp_path / "noise" / split
        folder.mkdir(parents=True)
        hiss = 0.1 * np.random.default_rng(len(split)).normal(size=(1, 32000))
        audio.save(folder / "a.flac", hiss, 16000)
    rows = "\n".join(f"{who},{'FM'[who % 2 == 0]}" for who in range(1, 6))
    (tmp_path / "speech" / "manifest.csv").write_text(f"speaker,sex\n{rows}\n")
    return tmp_path / "speech"


class Fixed(torch.nn.Module):
    """Says the same parts whatever the mixture."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def parts(self, mixture):
        return self.found


def by_hand(found, parts, floor=1e-3):
    """The loss of one mixture, from its description. Shape: `[3, T]`, `[3, T]` to a number."""
    power = np.sum(parts.sum(0) ** 2)

    def level(estimate, truth):
        return 10 * math.log10(np.sum((estimate - truth) ** 2) / power + floor)

    def shape(estimate, truth):
        estimate, truth = estimate - estimate.mean(), truth - truth.mean()
        target = (estimate @ truth) / (truth @ truth) * truth
        ratio = 10 * math.log10(np.sum(target**2) / np.sum((estimate - target) ** 2))
        return 0.1 * level(estimate, truth) - min(ratio, 30)

    cost = shape if parts[1].any() else level
    orders = [np.mean([cost(found[i], parts[j]) for i, j in order])
              for order in (((0, 0), (1, 1)), ((0, 1), (1, 0)))]
    rest = 10 * math.log10(np.sum((found[2] - parts[2]) ** 2) / power + 10 * floor)
    return min(orders) + 0.1 * rest


@pytest.mark.parametrize("alone", [False, True])
def test_the_loss_is_what_it_says(alone):
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(2, 3, 200))
    parts -= parts.mean(-1, keepdims=True)
    parts[:, 1] *= not alone
    found = parts[:, [1, 0, 2]] + 0.3 * rng.normal(size=parts.shape)
    found -= found.mean(-1, keepdims=True)
    expected = np.mean([by_hand(*pair) for pair in zip(found, parts, strict=True)])
    loss = recipe().loss(Fixed(torch.from_numpy(found)), torch.from_numpy(parts))
    assert loss.item() == pytest.approx(expected, rel=1e-3)


def test_the_order_of_the_voices_is_free_but_not_that_of_the_rest():
    parts = torch.randn(3, 3, 400, generator=torch.Generator().manual_seed(0))
    found = parts + 0.2 * parts.roll(5, -1)

    def loss(found, parts):
        return recipe().loss(Fixed(found), parts).item()

    straight = loss(found, parts)
    assert loss(found[:, [1, 0, 2]], parts) == pytest.approx(straight, rel=1e-5)
    assert loss(found, parts[:, [1, 0, 2]]) == pytest.approx(straight, rel=1e-5)
    assert loss(found[:, [2, 1, 0]], parts) > straight + 1
    first = loss(found[:1, [1, 0, 2]], parts[:1]) + 2 * loss(found[1:], parts[1:])
    assert first / 3 == pytest.approx(straight, rel=1e-5)  # an order for every mixture


def test_a_silent_voice_asks_for_silence():
    parts = torch.randn(1, 3, 400, generator=torch.Generator().manual_seed(0))
    parts[:, 1] = 0
    plan = recipe()
    right = plan.loss(Fixed(parts), parts)
    leaks = torch.stack([0.9 * parts[:, 0], 0.1 * parts[:, 0], parts[:, 2]], 1).requires_grad_()
    leaky = plan.loss(Fixed(leaks), parts)
    assert right.item() == pytest.approx(10 * math.log10(1e-3) - 2, abs=0.1)
    assert leaky > right + 5
    leaky.backward()
    assert leaks.grad.isfinite().all() and (leaks[0, 1] * leaks.grad[0, 1]).sum() > 0


def test_first_come_a_woman_and_a_man_in_silence(speech, tmp_path):
    """Later noise and voices that are alone."""
    corpus = loop.open_corpus(recipe(), speech / "train", tmp_path / "cache",
                              speech.parent / "noise")
    plan = recipe(batch=16, easy=3, alone=0.5, noisy=0.5)
    pools = plan.prepare(corpus, torch.device("cpu"))
    assert pools["speech"].sex.tolist() == [0, 1, 0]
    (early,), (late,) = plan.examples(pools, 2), plan.examples(pools, 3)
    assert early.shape == (16, 3, 4000) and early[:, :2].any(-1).all() and not early[:, 2].any()
    silent, noisy = ~late[:, 1].any(-1), late[:, 2].any(-1)
    assert 2 < silent.sum() < 14 and 2 < noisy.sum() < 14
    ratio = 10 * (late[noisy, 2].square().mean(-1) / 0.01).log10()
    assert ratio.min() > -30.5 and ratio.max() < -4.5
    assert torch.equal(plan.examples(pools, 3)[0], late)


def test_speakers_of_a_mixture_differ(speech, tmp_path):
    corpus = Corpus(speech / "train", tmp_path / "cache")
    corpus.noise = corpus
    plan = recipe(batch=64)
    pool = plan.prepare(corpus, torch.device("cpu"))["speech"]
    for easy in (False, True):
        draws = frame_separator.Draws(64, "cpu", 0)
        one, two, same = plan._pairs(pool, draws, easy)
        different = pool.owner[one] != pool.owner[two]
        assert torch.equal(same, ~different) and same.sum() < 3
        sexes = pool.sex[pool.owner[one]] != pool.sex[pool.owner[two]]
        assert sexes[different].float().mean() > (0.9 if easy else 0.3)


def losses(folder):
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [e["loss"] for e in entries if "loss" in e]


def test_training_resumes_as_if_unbroken_and_says_what_it_made(speech, tmp_path):
    noise, half = speech.parent / "noise", recipe()
    whole = loop.train(recipe(), speech, tmp_path / "whole", noise=noise)
    run = loop.Run(half, tmp_path / "halves", torch.device("cpu"))
    corpus = loop.open_corpus(half, speech / "train", whole.folder / "cache", noise)
    corpus.vary(half.balance, half.speed_range)
    pools = half.prepare(corpus, run.device)
    first = [run.advance(run.batch(pools))[0].item() for _ in range(3)]
    run.save()
    halves = loop.train(half, speech, run.folder, resume=True, noise=noise)
    assert first + losses(halves.folder) == losses(whole.folder) and halves.step == 6
    assert np.isfinite(losses(whole.folder)).all()
    card = hub.read_card(whole.product)
    assert (card["prediction"], card["sources"], card["open_levels"]) == ("sources", 2, False)
    assert np.isfinite(card["validation_gain_db"]["2 voices"])
    network = frame_separator.load_separator(whole.product)
    mixture = torch.randn(1, 1, 3000)
    torch.testing.assert_close(network.parts(mixture).sum(1), mixture[:, 0], rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="give a folder with --noise"):
        loop.train(recipe(), speech, tmp_path / "quiet")


@pytest.mark.parametrize("name, words", [
    ("conv_tasnet", "separate --method conv-tasnet"), ("diffsep", "separate --method diffsep"),
    ("diffsep_enhancement", "train one with recipes/separation/frame_separator.py"),
    ("speech16k", "train one with recipes/separation/frame_separator.py")])
def test_other_weights_are_refused(name, words):
    with pytest.raises(hub.PriorError, match=f"{name}.safetensors: no frame-wise .*{words}"):
        frame_separator.load_separator(hub.find_prior(name))


def test_the_bundled_weights_are_what_separates_by_default():
    path = weights.find_weights("separate", "frame-separator")
    card = hub.read_card(path)
    assert path.stem == card["training"]["recipe"] == "frame_separator"
    loaded = separator.load("separate", device="cpu")
    assert (loaded.sources, loaded.sample_rate, loaded.enhances) == (2, 16000, False)
    assert loaded.entry["method"] == "frame-separator"
    assert (loaded.entry["polarities"], loaded.entry["speeds"]) == (1, [1.0, 0.97, 1.03])
    assert path.stat().st_size < 30e6


@pytest.mark.parametrize("ready", ["s1", "noisy"])
def test_ready_mixtures_are_refused(tmp_path, ready):
    """Else noisy speech would be taken for clean, and mixtures for voices."""
    for part in ("train", "val"):
        (tmp_path / "data" / part / ready).mkdir(parents=True)
        audio.save(tmp_path / "data" / part / ready / "a.wav", voice(1.0), 16000)
    recipe = load_recipe("recipes/separation/frame_separator.py")
    with pytest.raises(ValueError, match=f"holds ready mixtures .{ready}/., which frame_separator"):
        loop.train(recipe, tmp_path / "data", tmp_path / "run", steps=1, noise=tmp_path)


def test_compile_reaches_what_the_loss_calls():
    seen = []

    def backend(graph, inputs):
        seen.append(graph)
        return graph.forward

    torch._dynamo.reset()
    network = FrameSeparator(channels=64, blocks=2)
    network.compile(backend=backend)
    network.parts(torch.randn(1, 1, 2000))
    assert seen
