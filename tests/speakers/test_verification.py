"""Speaker verification: error rates in closed form, and the training of encoders."""

import json
from math import erf, sqrt

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from scipy.stats import norm

from voxmend import audio
from voxmend.benchmarks import encoders
from voxmend.cli import main as cli
from voxmend.models import hub
from voxmend.networks.xvector import XVector
from voxmend.speakers.encoders import load_encoder
from voxmend.speakers.verification import (
    SpeakerRecipe,
    cut,
    equal_error_rate,
    margin_logits,
    reverberate,
    spread,
    verification_error,
)
from voxmend.training import loop
from voxmend.training.corpus import Corpus

TINY = dict(mels=20, channels=32, mixed=48, dim=16)


def test_equal_error_rate_of_gaussians():
    """Scores of unit variance whose means are d apart: Φ(−d/2)."""
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)
    for distance in (0.0, 1.0, 3.0):
        scores = np.concatenate([quantiles, quantiles + distance])
        found = equal_error_rate(scores, np.arange(40000) >= 20000)
        assert found == pytest.approx((1 + erf(-distance / 2 / sqrt(2))) / 2, abs=1e-4)


@pytest.mark.parametrize("scores, same, expected", [
    ([3, 2, 1, 0], [1, 1, 0, 0], 0.0), ([0, 1, 2, 3], [1, 1, 0, 0], 1.0),
    ([1, 1, 1], [1, 0, 0], 0.5), ([4, 2, 3, 1, 0], [1, 1, 0, 0, 0], 1 / 3)])
def test_equal_error_rate_of_few(scores, same, expected):
    """Parted, parted the wrong way round, all alike; of two and three, one line crosses at ⅓."""
    assert equal_error_rate(np.array(scores), np.array(same, bool)) == pytest.approx(expected)


def test_equal_error_rate_needs_both_kinds_of_pairs():
    with pytest.raises(ValueError, match="pairs of one speaker"):
        equal_error_rate(np.zeros(3), np.ones(3, bool))


def test_verification_looks_at_directions():
    embeddings = np.array([[1, 0], [9, 1], [0, 1], [1, 9]], float)
    assert verification_error(embeddings, np.array([0, 0, 1, 1])) == 0
    assert verification_error(embeddings, np.array([0, 1, 0, 1])) == 0.5


def test_margin_is_an_angle():
    angles = torch.tensor([[0.5, 1.0], [3.1, 2.0]])
    logits = margin_logits(angles.cos(), torch.tensor([0, 0]), 0.2, 30.0)
    expected = torch.tensor([[0.7, 1.0], [torch.pi, 2.0]])  # an angle of more than π is none
    torch.testing.assert_close(logits, 30 * expected.cos())
    exact = torch.eye(2, requires_grad=True)  # where an angle has no slope
    margin_logits(exact, torch.tensor([0, 1]), 0.2, 30.0).sum().backward()
    assert exact.grad.isfinite().all()


def test_a_room_answers_an_impulse():
    """Direct sound, then echoes of the energy asked for, 60 dB lower after the time asked for."""
    impulse = np.zeros(16000)
    impulse[0] = 1
    heard = reverberate(impulse, 0.5, 6.0, np.random.default_rng(0))
    assert heard[0] == pytest.approx(1) and not heard[8000:].round(9).any()
    assert 10 * np.log10(np.sum(heard[1:] ** 2)) == pytest.approx(-6, abs=0.01)
    early, late = (np.sum(heard[k:k + 800] ** 2) for k in (1, 4001))
    assert 10 * np.log10(early / late) == pytest.approx(30, abs=1.5)


def test_pieces_and_their_spread():
    assert cut(np.array([1, 2, 3, 0, 0, 0, 4, 5, 6, 7]), 3).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert spread("abcdefghi", 3) == ["a", "e", "i"] and spread("ab", 3) == ["a", "b"]


def speak(formant, seed, seconds):
    """Bursts of noise through a resonance that belongs to a speaker, and hisses between them.

    Without the hisses removing the mean would remove the speaker.
    """
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * formant / 16000
    sound = lfilter([1], [1, -1.9 * np.cos(angle), 0.9025], rng.normal(size=round(16000 * seconds)))
    rhythm = np.repeat(rng.random(int(10 * seconds)) < 0.6, 1600)
    return (0.02 * np.where(rhythm, sound, rng.normal(size=len(sound)))).astype(np.float32)[None]


@pytest.fixture
def folders(tmp_path):
    """Speech of three speakers to train on and two others, and noise."""
    for split, formants in (("train", (500, 1500, 3500)), ("val", (900, 2500))):
        for formant in formants:
            folder = tmp_path / "data" / split / str(formant)
            folder.mkdir(parents=True)
            for n in range(2):
                audio.save(folder / f"{n}.flac", speak(formant, formant + n, 6.0), 16000)
    (tmp_path / "noise").mkdir()
    hiss = 0.1 * np.random.default_rng(0).normal(size=(1, 32000)).astype(np.float32)
    audio.save(tmp_path / "noise" / "hiss.flac", hiss, 16000)
    return tmp_path / "data", tmp_path / "noise"


def tiny_recipe(steps, **changes):
    options = dict(name="tiny", network="XVector", config=TINY, steps=steps, speakers=3, batch=8,
                   seconds=0.6, warmup=5, speeds=(1.0,))
    return SpeakerRecipe(**options | changes)


@pytest.fixture
def corpus(folders, tmp_path):
    corpus = Corpus(folders[0] / "train", tmp_path / "cache")
    corpus.noise = Corpus(folders[1], tmp_path / "cache")
    return corpus


def test_examples_repeat_themselves_and_are_labelled(corpus):
    recipe = tiny_recipe(1, batch=64, speeds=(1.0, 0.9))
    (waves, labels), again = recipe.examples(corpus, 7), recipe.examples(corpus, 7)
    torch.testing.assert_close((waves, labels), again, rtol=0, atol=0)
    assert waves.shape[:2] == (64, 1) and 0.4 * 16000 <= waves.shape[2] <= 0.8 * 16000
    counts = np.bincount(labels, minlength=6)
    assert (counts > 2).all() and waves.isfinite().all() and (waves.std(-1) > 0).all()
    speakers = sorted(set(corpus.speakers))
    recipe = tiny_recipe(1, batch=50, seconds=0.05, noisy=0, reverberant=0, speeds=(1.0, 0.9))
    for chosen in range(len(corpus)):
        corpus.pick = lambda generator, chosen=chosen: chosen
        assert set(recipe.examples(corpus, 0)[1].tolist()) == {
            speakers.index(corpus.speakers[chosen]) + 3 * speed for speed in range(2)}


def test_a_faster_voice_is_higher(corpus):
    """A resonance at 3.5 kHz lies at 3.85 kHz when all goes by a tenth faster."""
    file = corpus.speakers.index("3500")
    peaks = []
    for speed in (1.0, 1.1):
        crop = tiny_recipe(1, noisy=0, reverberant=0)._heard(corpus, file, speed, 32000,
                                                             np.random.default_rng(0))
        power = lfilter(np.ones(200) / 200, 1, np.abs(np.fft.rfft(crop)) ** 2)
        peaks.append((np.argmax(power) - 100) / 2)
    assert peaks[1] / peaks[0] == pytest.approx(1.1, abs=0.02)


def test_training_parts_unseen_speakers(folders, tmp_path, capsys):
    data, noise = folders
    recipe = tiny_recipe(60)
    run = loop.train(recipe, data, tmp_path / "run", noise=noise)
    entries = [json.loads(line) for line in run.log.read_text().splitlines()]
    rate = entries[-1]["equal_error_rate_percent"]["2 s"]
    held_out = recipe.held_out(Corpus(data / "val", tmp_path / "cache"))
    assert held_out.shape == (2, 5, 1, 32000)
    assert rate < recipe.validate(recipe.build(), held_out)["2 s"] - 5 and rate < 20
    card = hub.read_card(run.product)
    assert card["validation_equal_error_rate_percent"]["2 s"] == rate
    encoder = load_encoder(run.product, "cpu")
    assert encoder.dim == card["dim"] == 16 and card["parameters"] == sum(
        p.numel() for p in encoder.networks[0].parameters())
    head = tiny_recipe(5, start=str(run.product), config=TINY | {"dim": 4}, name="head")
    run_head = loop.train(head, data, tmp_path / "head", noise=noise)
    shorter = load_encoder(run_head.product, "cpu")
    kept, trained = (e.networks[0].state_dict() for e in (encoder, shorter))
    for name, tensor in kept.items():
        if not name.startswith("fc."):
            torch.testing.assert_close(trained[name], tensor, rtol=0, atol=0)
    assert shorter.dim == 4
    table(run.product, data, noise, tmp_path, capsys)


def table(weights, data, noise, folder, capsys):
    """`bench speakers` of trained weights."""
    out = folder / "speakers.json"
    assert cli.main(["bench", "speakers", "--data", str(data), "--encoders", str(weights),
                     "--noise", str(noise), "--out", str(out), "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == out.with_suffix(".md").read_text().strip()
    cases = json.loads(out.read_text())["cases"]
    assert [case.split(", ")[0] for case in cases] == ["val"] * 3
    assert all([row["encoder"] for row in rows] == ["mean log-mel", "encoder"]
               for rows in cases.values())
    assert all(0 <= row[f"{length} s"] <= 60 for rows in cases.values() for row in rows
               for length in (1, 2, 4))


def test_more_speakers_than_the_recipe_has(corpus):
    with pytest.raises(ValueError, match="has 3 speakers and tiny 2: set speakers=3"):
        tiny_recipe(1, speakers=2).examples(corpus, 0)


def test_validation_needs_two_speakers(folders, tmp_path):
    with pytest.raises(ValueError, match="two speakers with 10 s each"):
        tiny_recipe(1).held_out(Corpus(folders[0] / "val" / "900", tmp_path / "cache"))


def test_gains_of_a_channel_deviate_by_6_db():
    rng, impulse = np.random.default_rng(0), np.zeros(512)
    impulse[0] = 1
    gains = np.array([20 * np.log10(np.abs(np.fft.rfft(
        encoders.through_channel(impulse, rng)))) for _ in range(300)])
    assert gains[:, ::32].std() == pytest.approx(6, abs=0.8)


def test_a_channel_reaches_the_mean_spectrum_alone():
    """Encoders remove it with the mean of the frames."""
    torch.manual_seed(0)
    network, wave = XVector(**TINY).eval(), speak(900, 0, 2.0)[0]
    heard = encoders.through_channel(wave, np.random.default_rng(1))
    embedded = network(torch.from_numpy(np.stack([wave, heard]))[:, None]).detach().numpy()
    spectra = [encoders.mean_log_mel(x) for x in (wave, heard)]
    encoder, spectrum = (np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in (embedded, spectra))
    assert encoder < 0.1 < 0.4 < spectrum
