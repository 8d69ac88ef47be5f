"""Training survives a kill and repeats itself."""

import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file

from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.diffusion.schedules import linear_betas
from voxmend.models import hub
from voxmend.systems.diffsep import EnhancementRecipe
from voxmend.training import loop, recipes
from voxmend.training.corpus import Corpus

RECIPE = '''
from voxmend.training.recipes import PriorRecipe
recipe = PriorRecipe(name="tiny", network="FrameConvNeXt", steps={steps}, batch=2, seconds=0.25,
    warmup=3, config=dict(channels=8, blocks=1, kernel=3, dilations=[1], expansion=2))
'''


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """A folder to train on; validation is cut short."""
    held_out = recipes.PriorRecipe.held_out
    monkeypatch.setattr(recipes.PriorRecipe, "held_out",
                        lambda *args: held_out(*args)[:4, :, :8000])
    for split, seeds in (("train", (0, 1, 2)), ("val", (3,))):
        (tmp_path / "data" / split).mkdir(parents=True)
        for seed in seeds:
            audio.save(tmp_path / "data" / split / f"{seed}.flac", voice(3.0, seed=seed), 16000)
    return tmp_path / "data"


def recipe_file(tmp_path, steps):
    path = tmp_path / "tiny.py"
    path.write_text(RECIPE.format(steps=steps))
    return path


def losses(folder):
    entries = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(e["step"], e["loss"]) for e in entries if "loss" in e]


def test_killed_and_resumed_equals_unbroken(tmp_path, corpus):
    """SIGKILL in mid-run, then --resume: the same steps and losses as a run left alone."""
    recipe = recipes.load_recipe(recipe_file(tmp_path, 60))
    loop.train(recipe, corpus, tmp_path / "whole")
    script = ("import sys; from pathlib import Path; from voxmend.training.loop import train; "
              "from voxmend.training.recipes import load_recipe; "
              "train(load_recipe(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), resume=True, "
              "save_every=0.0)")
    command = [sys.executable, "-c", script, str(tmp_path / "tiny.py"), str(corpus),
               str(tmp_path / "killed")]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    log = tmp_path / "killed" / "log.jsonl"
    while child.poll() is None and not (log.exists() and log.read_text().count("\n") >= 15):
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    broken = log.read_text().count("\n")
    assert 15 <= broken < 60, "the kill came too late to show anything"
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    resumed, whole = losses(tmp_path / "killed"), losses(tmp_path / "whole")
    assert [s for s, _ in resumed] == [s for s, _ in whole] == list(range(1, 61))
    np.testing.assert_allclose([v for _, v in resumed], [v for _, v in whole], rtol=1e-5)
    for folder in ("whole", "killed"):
        assert hub.load_prior(str(tmp_path / folder / "prior.safetensors")).sample_rate == 16000


def test_training_learns_and_logs_its_gains(tmp_path, corpus):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 120))
    run = loop.train(recipe, corpus, tmp_path / "run", validate_every=60)
    entries = [json.loads(line) for line in run.log.read_text().splitlines()]
    gains = [(e["step"], e["gain_db"]) for e in entries if "gain_db" in e]
    assert [step for step, _ in gains] == [60, 120, 120]
    clean = torch.from_numpy(voice(2.0, seed=3))[None]
    untrained = recipe.validate(recipe.build(), clean)
    assert gains[-1][1]["0.1"] > untrained["0.1"] + 1
    card = hub.read_card(run.folder / "prior.safetensors")
    assert card["training"]["steps"] == 120 and card["parameters"] > 0
    modes = {path.suffix: path.stat().st_mode for path in run.folder.glob("prior.*")}
    assert modes[".safetensors"] == modes[".json"]  # whoever may read the card may use the prior


def test_validation_gain_of_the_identity_is_zero(tmp_path):
    """A denoiser that returns its input has MSE = σ², a gain of 0 dB, in closed form."""
    recipe = recipes.load_recipe(recipe_file(tmp_path, 1))
    gains = recipe.validate(lambda x, sigma: x, torch.zeros(64, 1, 4000))
    assert all(abs(gain) < 0.05 for gain in gains.values())


def test_steps_of_a_run_are_not_written_into_its_recipe(tmp_path, corpus):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 60))
    loop.train(recipe, corpus, tmp_path / "run", steps=2)
    assert recipe.steps == 60
    assert recipes.trapezoid(0, 10, 0, 0.5) == 1.0  # without a warm-up


def test_rate_rises_stays_and_falls(tmp_path):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 100))
    assert recipe.rate(0) == pytest.approx(1 / 3) and recipe.rate(30) == 1.0
    assert recipe.rate(80) == pytest.approx(0.5)


@pytest.mark.parametrize("text, says", [
    ("recipe = 3", "no recipe, it lacks name, network, config, .*…; give"),
    ("from voxmend.training.recipes import PriorRecipe as recipe",
     "lacks name, network, config, card, steps; give"),
    ("steps = 3", "defines no `recipe`"), ("recipe = 1 / 0", "ZeroDivisionError")])
def test_a_file_without_a_recipe_is_refused(tmp_path, text, says):
    path = tmp_path / "none.py"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"none.py: .*{says}"):
        recipes.load_recipe(path)


@pytest.mark.parametrize("change, says", [
    ({"steps": 0}, "steps=0: give at least 1"), ({"steps": "a"}, "steps='a': give a number"),
    ({"steps": math.nan}, "steps=nan: give at least 1"),
    ({"batch": 2.5}, "batch=2.5: give a whole number"), ({"batch": 0}, "batch=0: give at least 1"),
    ({"sample_rate": 1.5}, "sample_rate=1.5: give a whole number"),
    ({"sample_rate": 0}, "sample_rate=0: give at least 1"), ({"seed": -1}, "seed=-1: .* least 0"),
    ({"seconds": 0}, "seconds=0: give more than 0"),
    ({"seconds": math.nan}, "seconds=nan: give more than 0"),
    ({"sigma_min": 0.0}, "sigma_min=0.0: give more than 0"),
    ({"card": {"data": os}}, "config and card are written as JSON: .*module is not JSON.*"),
    ({"learning_rate": "1e-3"}, "learning_rate='1e-3': give a number")])
def test_a_recipe_s_numbers_are_checked(tmp_path, change, says):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 2))
    with pytest.raises(ValueError, match=f"^tiny: {says}$"):
        loop.train(dataclasses.replace(recipe, **change), tmp_path / "data", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_no_steps_are_refused_in_place_of_a_recipe_s(tmp_path):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 2))
    with pytest.raises(ValueError, match="tiny: steps=0: give at least 1"):
        loop.train(recipe, tmp_path / "data", tmp_path / "run", steps=0)


def test_a_finished_run_says_that_nothing_is_left(tmp_path, corpus, capsys):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 2))
    loop.train(recipe, corpus, tmp_path / "run")
    assert "nothing is left" not in capsys.readouterr().out
    for steps in (2, 1):
        assert loop.train(recipe, corpus, tmp_path / "run", steps=steps, resume=True).step == 2
        assert (f"checkpoint.pt: 2 steps are done and {steps} asked for: nothing is left to train"
                in capsys.readouterr().out)
    assert loop.train(recipe, corpus, tmp_path / "run", steps=3, resume=True).step == 3
    assert "nothing is left" not in capsys.readouterr().out


def test_a_run_is_not_overwritten_by_accident(tmp_path, corpus):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 2))
    loop.train(recipe, corpus, tmp_path / "run")
    with pytest.raises(FileExistsError, match="--resume"):
        loop.train(recipe, corpus, tmp_path / "run")


def test_two_runs_do_not_train_in_one_folder(tmp_path, corpus):
    recipe, folder = recipes.load_recipe(recipe_file(tmp_path, 2)), tmp_path / "run"
    folder.mkdir()
    with FileLock(folder / "training.lock"), pytest.raises(FileExistsError, match="another"):
        loop.train(recipe, corpus, folder)
    assert loop.train(recipe, corpus, folder).step == 2


def test_minutes_end_a_run(tmp_path, corpus):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 10**6))
    assert loop.train(recipe, corpus, tmp_path / "run", minutes=0.02).step < 10**5
    assert math.isfinite(losses(tmp_path / "run")[-1][1])


def test_epsilon_loss_is_the_variational_one(corpus, tmp_path):
    """A network that answers x_t/√(1 − ᾱ) errs by √ᾱ/(1 − ᾱ)^½·x, and describe() rebuilds it."""
    recipe = recipes.EpsilonRecipe(name="tiny", network="DiffWave", steps=4, batch=4, seconds=0.25,
                                   config=dict(layers=2, channels=16, dilation_cycle=2))
    denoiser = recipe.build()
    clean, t, noise = recipe.examples(Corpus(corpus / "train", tmp_path / "cache"), 0)
    assert ((t >= 0) & (t < 200)).all() and len(set(t.tolist())) == 4
    alpha_bar = torch.cumprod(1 - linear_betas(200), 0)[t].view(-1, 1, 1)
    betas = linear_betas(200)[t].float()

    class Trivial(torch.nn.Module):
        def forward(self, x, beta):
            torch.testing.assert_close(beta, betas)
            return x / (1 - alpha_bar).sqrt()

    denoiser.network = Trivial()
    expected = (alpha_bar / (1 - alpha_bar) * clean.square()).mean()
    torch.testing.assert_close(recipe.loss(denoiser, clean, t, noise), expected, check_dtype=False,
                               rtol=1e-4, atol=0)


def test_trained_epsilon_prior_loads_with_its_buffers(corpus, tmp_path):
    recipe = recipes.EpsilonRecipe(name="tiny", network="DiffWave", steps=2, batch=2, seconds=0.25,
                                   config=dict(layers=2, channels=16, dilation_cycle=2))
    run = loop.train(recipe, corpus, tmp_path / "run")
    prior = hub.load_prior(tmp_path / "run" / "prior.safetensors")
    x = torch.randn(1, 1, 2000, generator=torch.Generator().manual_seed(0))
    run._put(run.ema)
    torch.testing.assert_close(prior(x, 0.5), run.denoiser(x, 0.5), rtol=1e-2, atol=1e-2)
    assert prior.sigma_max == pytest.approx(2.56, abs=0.01)


def test_crops_come_in_no_order(corpus, tmp_path):
    """The row of a batch, which sets the noise level, says nothing of the file."""
    for seed in range(4, 9):
        audio.save(corpus / "train" / f"{seed}.flac", voice(3.0, seed=seed), 16000)
    speech = Corpus(corpus / "train", tmp_path / "cache")
    drawn = []
    speech.cut = lambda file, length, rng: drawn.append(file) or np.zeros(length)
    rng = np.random.default_rng(0)
    for _ in range(400):
        speech.crops(8, 100, 0.1, 0.0, rng)
    rows = np.tile(np.arange(8), 400)
    assert abs(np.corrcoef(rows, drawn)[0, 1]) < 0.06


def test_speakers_are_drawn_by_a_power_of_what_there_is_of_them(tmp_path):
    """One has twelve seconds in two files, two have one second each."""
    for name, seconds in (("1/a", 9), ("1/b", 3), ("2/a", 1), ("3/a", 1)):
        (tmp_path / "speech" / name).parent.mkdir(parents=True, exist_ok=True)
        audio.save(tmp_path / "speech" / f"{name}.flac", voice(seconds, rate=4000), 4000)
    speech = Corpus(tmp_path / "speech", tmp_path / "cache", 2000)
    rng = np.random.default_rng(0)
    for balance, shares in ((1.0, [9 / 14, 3 / 14, 1 / 14, 1 / 14]),
                            (0.0, [1 / 4, 1 / 12, 1 / 3, 1 / 3])):
        speech.vary(balance)
        drawn = np.bincount([speech.pick(rng) for _ in range(3000)], minlength=4)
        np.testing.assert_allclose(drawn / 3000, shares, atol=0.03)


def test_crops_at_a_speed_are_as_much_higher(tmp_path):
    (tmp_path / "speech").mkdir()
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(32000) / 16000)
    audio.save(tmp_path / "speech" / "tone.flac", tone[None], 16000)
    speech = Corpus(tmp_path / "speech", tmp_path / "cache")
    rng = np.random.default_rng(0)

    def pitch(speed=None):
        crop = speech.cut(0, 8000, rng, speed)
        assert len(crop) == 8000 and crop.dtype == np.float32
        return 2 * np.abs(np.fft.rfft(crop * np.hanning(8000))).argmax()

    assert [pitch(speed) for speed in (0.8, 1.0, 1.1)] == [800, 1000, 1100]
    assert pitch() == 1000
    speech.vary(speed_range=(0.8, 1.25))
    drawn = np.array([pitch() for _ in range(200)])
    assert 800 <= drawn.min() < 820 and 1220 < drawn.max() <= 1250
    assert np.median(drawn) == pytest.approx(1000, abs=50)  # the middle of its logarithm


def test_training_varies_what_it_hears_and_validation_does_not(corpus, tmp_path, monkeypatch):
    heard, cut = {}, Corpus.cut

    def spy(speech, file, length, generator, speed=None):
        heard.setdefault(speech.folder.name, set()).add((speech.speed_range, speech.balance))
        return cut(speech, file, length, generator, speed)

    monkeypatch.setattr(Corpus, "cut", spy)
    (corpus / "hum").mkdir()
    audio.save(corpus / "hum" / "a.flac", voice(3.0, seed=9), 16000)
    options = dict(name="tiny", network="FrameConvNeXt", steps=1, batch=2, seconds=0.25,
                   balance=0.5, speed_range=(0.9, 1.1))
    loop.train(recipes.PriorRecipe(**options, config=CONFIG), corpus, tmp_path / "prior")
    assert heard == {"train": {((0.9, 1.1), 0.5)}, "val": {((1.0, 1.0), 1.0)}}
    recipe = EnhancementRecipe(**options, config={**CONFIG, "inputs": 2}, prediction="differences")
    loop.train(recipe, corpus, tmp_path / "enhancer", noise=corpus / "hum")
    assert heard["hum"] == {((0.9, 1.1), 1.0), ((1.0, 1.0), 1.0)}  # in training, in validation


def test_validation_leaves_running_statistics_alone(corpus, tmp_path):
    recipe = recipes.EpsilonRecipe(name="tiny", network="FFCAE", steps=2, batch=2, seconds=0.25,
                                   config=dict(channels=8, blocks=1))
    run = loop.train(recipe, corpus, tmp_path / "run")
    before = {n: b.clone() for n, b in run.denoiser.named_buffers()}
    run.validate(torch.randn(2, 1, 4000))
    assert any("running" in n for n in before)
    for name, buffer in run.denoiser.named_buffers():
        torch.testing.assert_close(buffer, before[name])


@pytest.mark.parametrize("path", sorted(hub.WEIGHTS.glob("*.safetensors")), ids=lambda p: p.stem)
def test_bundled_weights_fit_their_cards(path):
    card = hub.read_card(path)
    assert {"training", "data", "licence"} <= card.keys()
    if card.get("prediction") != "voices":
        model = hub.load_network(path, card)
        assert all(p.isfinite().all() and p.dtype == torch.float32 for p in model.parameters())


@pytest.mark.parametrize("kind", [recipes.PriorRecipe, recipes.EpsilonRecipe])
def test_a_prior_is_trained_further(kind, prior, corpus, tmp_path):
    """After a step of no length it is what it began with; a resumed run does not begin again."""
    recipe = kind(name="tiny", network="FrameConvNeXt", steps=1, batch=2, seconds=0.25,
                  config=CONFIG, learning_rate=0.0, begin=str(prior))
    run = loop.train(recipe, corpus, tmp_path / "run")
    expected = load_file(prior)
    for name, tensor in load_file(run.product).items():
        torch.testing.assert_close(tensor.float(), expected[name], rtol=1e-3, atol=1e-6)
    assert hub.read_card(run.product)["training"]["begin"] == prior.stem
    recipe.begin = "gone"
    loop.train(recipe, corpus, tmp_path / "run", steps=2, resume=True)
    with pytest.raises(hub.PriorError, match="gone: no such prior"):
        loop.train(recipe, corpus, tmp_path / "other")


@pytest.mark.parametrize("muon", [False, True])
def test_some_weights_alone_are_trained(tmp_path, corpus, prior, muon):
    """The others stay, to the bit, as those that a run begins with are in fp16."""
    recipe = recipes.PriorRecipe("some", "FrameConvNeXt", CONFIG, 6, batch=2, seconds=0.25,
                                 warmup=1, begin=str(prior), only=("blocks.1.", "leave"))
    if muon:
        recipe.optimizers = lambda model: recipes.muon_and_adamw(model, 1e-2, 1e-2, 0.1)
    run = loop.train(recipe, corpus, tmp_path / "out")
    before, after = load_file(prior), load_file(run.product)
    changed = {name for name in before
               if not torch.equal(before[name].half(), after[name].half())}
    assert {"leave.weight", "blocks.1.expand.weight"} <= changed
    assert all(name.startswith(("blocks.1.", "leave")) for name in changed)
    recipe.only = ("block.1",)
    with pytest.raises(ValueError, match="some: only: no weights begin with block.1"):
        recipe.build()


@pytest.mark.parametrize("muon", [False, True])
def test_some_units_alone_are_trained(tmp_path, corpus, prior, muon):
    """Rows of one matrix and columns of the other; all else stays, to the bit."""
    recipe = recipes.PriorRecipe("some", "FrameConvNeXt", CONFIG, 6, batch=2, seconds=0.25,
                                 warmup=1, begin=str(prior), weight_decay=0.0,
                                 only=("blocks.*.expand.weight[2:5]",
                                       "blocks.1.contract.weight[:,2:5]"))
    if muon:
        recipe.optimizers = lambda model: recipes.muon_and_adamw(model, 1e-2, 1e-2, 0.0)
    run = loop.train(recipe, corpus, tmp_path / "out")
    before, after = load_file(prior), load_file(run.product)
    for name, tensor in before.items():
        same = tensor.half() == after[name].half()
        if name.endswith("expand.weight"):
            assert same[:2].all() and same[5:].all() and not same[2:5].all(1).any(), name
        elif name == "blocks.1.contract.weight":
            assert same[:, :2].all() and same[:, 5:].all() and not same[:, 2:5].all(0).any()
        else:
            assert same.all(), name
    recipe.weight_decay = 0.01
    with pytest.raises(ValueError, match="some: .* give weight_decay=0"):
        recipe.build()
    for wrong in ("blocks.1.expand.weight[2]", "blocks.1.expand.weight[:,]", "", "[0:3]",
                  "blocks.1.expand.weight[900:950]", "blocks.1.scale[:,0:1]"):
        recipe.only = (wrong,)
        with pytest.raises(ValueError, match="some: "):
            recipe.build()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_asked_to_stop_goes_on_where_it_was(tmp_path, corpus, number, monkeypatch):
    recipe = recipes.load_recipe(recipe_file(tmp_path, 12))
    loop.train(recipe, corpus, tmp_path / "whole")
    handler, rate = signal.getsignal(number), recipes.PriorRecipe.rate

    def asked(self, step):
        if step == 6:
            signal.raise_signal(number)
        return rate(self, step)

    monkeypatch.setattr(recipes.PriorRecipe, "rate", asked)
    with pytest.raises(KeyboardInterrupt):
        loop.train(recipe, corpus, tmp_path / "stopped")
    assert signal.getsignal(number) == handler
    assert not (tmp_path / "stopped" / "prior.safetensors").exists()
    monkeypatch.undo()
    run = loop.Run(recipe, tmp_path / "stopped", torch.device("cpu"))
    run.resume()
    assert run.step == 7
    loop.train(recipe, corpus, tmp_path / "stopped", resume=True)
    assert losses(tmp_path / "stopped") == losses(tmp_path / "whole")
