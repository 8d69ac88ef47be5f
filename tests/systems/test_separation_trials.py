"""The recipes of `recipes/separation/trials`, at toy sizes: they train, and their parts add up."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio, networks
from voxmend.training.corpus import Corpus
from voxmend.training.loop import Run
from voxmend.training.recipes import load_recipe

TRIALS = Path("recipes/separation/trials")
FRAMES = dict(channels=64, blocks=2, kernel=3, dilations=[1, 2], expansion=1, n_fft=64, hop=32)
TINY = {
    "conv_tasnet": dict(N=8, L=16, B=6, H=8, Sc=5, X=3, R=1),
    "early_split": dict(channels=64, before=2, after=1),
    "told": {**FRAMES, "attention": 2},
}


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """What recipes register is forgotten."""
    monkeypatch.setattr(networks, "_registered", networks.networks())


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    for who in "123":
        (folder / who).mkdir()
        audio.save(folder / who / "a.flac", voice(1.0, seed=int(who)), 16000)
    return folder


def tiny(name, **changes):
    options = dict(config=TINY.get(name, FRAMES), batch=2, seconds=0.25, speeds=(1.0,))
    return replace(load_recipe(TRIALS / f"{name}.py"), **options | changes)


def pools(recipe, speech):
    corpus = Corpus(speech, speech / "cache", recipe.sample_rate)
    corpus.noise = corpus
    return recipe.prepare(corpus, torch.device("cpu"))


@pytest.mark.parametrize("name", sorted(file.stem for file in TRIALS.glob("*.py")))
def test_a_step_changes_every_weight_and_parts_add_up(name, speech, tmp_path):
    recipe = tiny(name, warmup=1)
    assert recipe.name == name
    run = Run(recipe, tmp_path, torch.device("cpu"))
    before = {key: weight.detach().clone() for key, weight in run.weights.items()}
    loss, norm = run.advance(run.batch(pools(recipe, speech)))
    assert torch.isfinite(loss) and 0 < norm < np.inf
    still = [key for key, weight in run.weights.items() if torch.equal(weight, before[key])]
    last = f"body.blocks.{len(getattr(run.network.body, 'blocks', ())) - 1}.leave"
    assert all(key.startswith(last) for key in still)  # its residual leads nowhere
    mixture = torch.randn(1, 1, 1500)
    parts = run.network.parts(mixture)
    torch.testing.assert_close(parts.sum(1), mixture[:, 0], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(run.network(mixture), parts[:, :2])


def test_all_hear_the_same_mixtures(speech):
    """All but those at another rate, and but that one which has no curriculum begins otherwise."""
    names = [file.stem for file in TRIALS.glob("*.py") if file.stem != "narrow_band"]
    recipes = {name: load_recipe(TRIALS / f"{name}.py") for name in names}
    step = recipes["frames"].easy
    heard = {name: recipe.examples(pools(replace(recipe, speeds=(1.0,)), speech), step)[0]
             for name, recipe in recipes.items()}
    for parts in heard.values():
        torch.testing.assert_close(parts, heard["frames"])


def test_of_the_first_voice_less_and_less_is_told(speech):
    recipe = tiny("told", until=2, seconds=1.0)
    source = pools(recipe, speech)
    for step, samples in ((0, 16000), (1, 8000), (2, 0), (5, 0)):
        parts, told = recipe.examples(source, step)
        torch.testing.assert_close(told[..., :samples], parts[:, :1, :samples])
        assert not told[..., samples:].any()
