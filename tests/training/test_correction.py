"""First guesses prepared in advance, and how a prior learns to correct them."""

import numpy as np
import pytest
import torch

from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.diffusion.told import GuessDenoiser
from voxmend.models import hub
from voxmend.operators import Evidence
from voxmend.training import first_guesses, loop
from voxmend.training.corpus import Corpus
from voxmend.training.correction import (
    NARROW,
    CorrectionRecipe,
    log_spectral,
    narrowed,
    unknown,
)
from voxmend.training.disturbance import disturbance
from voxmend.training.first_guesses import KINDS, SCALE, FirstGuesses
from voxmend.training.pool import Draws


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Speech in train/ and val/, and two shards of six guesses."""
    root = tmp_path_factory.mktemp("data")
    for part, seeds in (("train", (0, 1)), ("val", (2,))):
        (root / part).mkdir()
        for seed in seeds:
            audio.save(root / part / f"{seed}.wav", voice(2.0, seed=seed), 16000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first_guesses, "CLIPS", 6)
        patch.setattr(first_guesses, "SECONDS", 1)
        for part, shards in (("train", 2), ("val", 1)):
            corpus = Corpus(root / part, root / "cache")
            first_guesses.prepare(corpus, root / "guesses" / part, shards * 6 / 3600)
    return root


def recipe(data, **options):
    sizes = CONFIG | {"channels": 8, "blocks": 1, "dilations": [1], "inputs": 2, "marks": 2}
    return CorrectionRecipe(**{"name": "tiny", "network": "FrameConvNeXt", "steps": 4, "batch": 8,
                               "seconds": 0.25, "warmup": 2, "config": sizes,
                               "guesses": str(data / "guesses")} | options)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_what_it_is_called(kind):
    """The operator makes the observation of clean speech, and the guess explains it."""
    clean = voice(1.0)[0]
    y, operator = first_guesses.damage(clean, kind, 16000, np.random.default_rng(3))
    evidence = operator.evidence(y)
    marks = evidence.marks[0, 0]
    assert evidence.guess.shape == (1, 1, 16000) and marks.shape == (2, 16000)
    if kind == "mel":
        assert (marks[1] == -1).all() and not marks[0].any()
        return
    known = (marks == 0).all(0)
    assert known.any() and not known.all()
    torch.testing.assert_close(evidence.guess[0, 0, known], y[0, 0, known])
    if kind in ("clip", "gap"):
        torch.testing.assert_close(y[0, 0, known], torch.from_numpy(clean)[known])
    if kind == "clip":  # the signal lies beyond its bound, on the side that is marked
        beyond = marks[0] != 0
        assert (torch.from_numpy(clean)[beyond] * marks[0, beyond] > 0).all()
        assert (evidence.guess[0, 0, beyond].abs() >= 0.99 * y.abs().max()).all()


def test_shards_go_on_where_they_stopped(data, tmp_path, monkeypatch):
    monkeypatch.setattr(first_guesses, "CLIPS", 2)
    monkeypatch.setattr(first_guesses, "SECONDS", 1)
    corpus = Corpus(data / "train", data / "cache")
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    first_guesses.prepare(corpus, whole, 6 / 3600)
    first_guesses.prepare(corpus, resumed, 2 / 3600)
    before = (resumed / "0-0000.npz").stat().st_mtime_ns
    first_guesses.prepare(corpus, resumed, 6 / 3600)
    assert (resumed / "0-0000.npz").stat().st_mtime_ns == before
    assert [f.name for f in sorted(resumed.iterdir())] == [f"0-000{k}.npz" for k in range(3)]
    for file in whole.iterdir():
        with np.load(file) as one, np.load(resumed / file.name) as other:
            assert all(np.array_equal(one[name], other[name]) for name in one.files)


def test_only_the_newest_shards_stay_and_are_heard(data, tmp_path, monkeypatch):
    monkeypatch.setattr(first_guesses, "CLIPS", 2)
    monkeypatch.setattr(first_guesses, "SECONDS", 1)
    corpus = Corpus(data / "train", data / "cache")
    first_guesses.prepare(corpus, tmp_path, 6 / 3600, seed=5)
    every, last = FirstGuesses(tmp_path), FirstGuesses(tmp_path, newest=2)
    assert len(every) == 6 and len(last) == 4
    first_guesses.prepare(corpus, tmp_path, 8 / 3600, seed=5, keep=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["5-0002.npz", "5-0003.npz"]
    numbers, length = torch.arange(4), every.length
    expected = [np.load(tmp_path / f"5-000{k}.npz")["clean"] for k in (2, 3)]
    for guesses in (every, last):
        guesses.refresh()
        clean = guesses.take(numbers, 0 * numbers, length).clean[:, 0].numpy()
        assert len(guesses) == 4
        assert np.array_equal(clean, np.concatenate(expected) / SCALE)


def test_clips_are_those_of_the_shards(data):
    guesses = FirstGuesses(data / "guesses" / "train")
    assert len(guesses) == 12
    found = guesses.take(torch.tensor([0, 7]), torch.tensor([10, 0]), 100)
    with np.load(data / "guesses" / "train" / "0-0001.npz") as shard:
        assert np.array_equal(found.clean[1, 0].numpy(), shard["clean"][1, :100] / SCALE)
        assert np.array_equal(found.marks[1].numpy(), shard["marks"][1, :, :100])
        assert found.kind[1] == shard["kind"][1]
    with pytest.raises(audio.AudioError, match="first_guesses.py"):
        FirstGuesses(data / "train")


def test_examples_are_told_or_plain(data):
    made = recipe(data, plain=0.25, narrow=0.2, top=0.5, batch=40)
    source = made.prepare(Corpus(data / "train", data / "cache"), torch.device("cpu"))
    clean, guess, marks, lost, sigma, noise, aim, kind = made.examples(source, 0)
    assert torch.equal(aim, clean)
    assert clean.shape == guess.shape == lost.shape == noise.shape == (40, 1, 4000)
    assert marks.shape == (40, 2, 4000) and sigma.shape == (40, 1, 1)
    assert not guess[30:].any() and not marks[30:].any() and guess[:30].flatten(1).any(1).all()
    assert (kind[:24] < NARROW).all() and (kind[24:30] == NARROW).all() and (kind[30:] == -1).all()
    assert not marks[24:30].any() and not lost[24:30].any() and lost[30:].all()
    assert 0.3 < (sigma[:30] == made.sigma_max).float().mean() < 0.7
    assert (sigma[30:] < made.sigma_max).all() and sigma.min() >= made.sigma_min
    exact = lost[:24] == 0
    torch.testing.assert_close(guess[:24][exact], clean[:24][exact], atol=1e-4, rtol=0)
    for one, again in zip(made.examples(source, 3), made.examples(source, 3), strict=True):
        assert torch.equal(one, again)


def test_a_narrowed_band_ends_at_a_cutoff():
    """White noise through it: whole from 500 to 900 Hz, and nearly gone at 8 kHz."""
    draws = Draws(64, "cpu", 0)
    clean = draws.normal(16000)
    power = torch.fft.rfft(narrowed(clean, draws, 16000)).abs().square() / 16000
    assert (power[:, 500:900].mean(1) > 0.8).all() and (power[:, 7900:].mean(1) < 0.3).all()
    lows = power[:, :50].mean(1)
    assert 5 < (lows < 0.1).sum() < 30  # a quarter has lost its lows, too
    middle = power[:, 4000:5000].mean(1)
    assert 0.1 < (middle < 0.1).float().mean() < 0.9


def test_log_spectral_distance_of_a_gain():
    """Half the amplitude is 20 log₁₀ 2 dB in every bin, and equal signals are next to 0 apart."""
    clean = torch.randn(3, 1, 16000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(log_spectral(clean / 2, clean), torch.full((3,), 6.0206),
                               atol=0.01, rtol=0)
    assert (log_spectral(clean, clean) < 0.05).all()


def test_the_floor_is_the_guess(data):
    """A network that says nothing gives back the guess at σ_max, no better and no worse."""
    denoiser = recipe(data).build()
    guess = 0.1 * torch.randn(1, 1, 4000)
    told = denoiser.told(Evidence.of(guess))
    found = told(guess + 2 * torch.randn(1, 1, 4000), 2.0)
    assert ((found - guess).square().mean().sqrt() < 0.01)
    exact = recipe(data, spectral=0.0, weight=0.0)
    held = exact.held_out(Corpus(data / "val", data / "cache"))
    gains = exact.validate(denoiser, held)
    assert set(gains) >= {"clip", "narrow", "0.1"}
    assert all(abs(gains[kind]) < 1.5 for kind in KINDS if kind in gains)


def test_loss_counts_relative_errors(data):
    """Halving the guess's error in what is lost is ln(1/4), however large it was."""
    made = recipe(data, plain=0.0, spectral=0.0, floor=1e-9)

    class Halves(torch.nn.Module):
        def __call__(self, x, sigma, evidence):
            return (clean + evidence.guess) / 2

    generator = torch.Generator().manual_seed(0)
    clean = 0.1 * torch.randn(2, 1, 4000, generator=generator)
    lost = torch.zeros(2, 1, 4000)
    lost[..., 1000:2000] = 1
    guess = clean + lost * torch.tensor([0.03, 0.003]).view(2, 1, 1)
    # where all else is known exactly the last term is its floor
    floor = 0.1 * np.log(1e-10)
    for weight in (1.0, 7.0):
        made.weight = weight
        sigma = torch.full((2, 1, 1), 2.0)
        with torch.no_grad():
            loss = made.loss(Halves(), clean, guess, torch.zeros(2, 2, 4000), lost, sigma, clean,
                             clean, torch.zeros(2, dtype=torch.long))
        # rows of 9e-1 and 9e-3 of energy; the second is small beside the guard of 1e-6
        assert loss.item() == pytest.approx(np.log(0.25) + floor, abs=0.01)


def test_where_phases_are_lost_loudness_counts(data):
    """What is given back at half its amplitude costs μ ln 6.02 more, by the kind."""
    made, clean = recipe(data, plain=0.0, texture=(1.0, 2.5, 0.5)), torch.randn(2, 1, 4000)
    shown = (clean, 0 * clean, torch.zeros(2, 2, 4000), torch.ones_like(clean),
             torch.full((2, 1, 1), 2.0), clean, clean)
    clipped, gap, mel, composed, narrow = (
        made.loss(lambda *_: clean / 2, *shown, torch.full((2,), kind))
        for kind in range(len(KINDS) + 1))
    assert gap == clipped
    assert mel - clipped == pytest.approx(np.log(6.0206), abs=0.01)
    assert composed - clipped == pytest.approx(2.5 * np.log(6.0206), abs=0.01)
    assert narrow - clipped == pytest.approx(0.5 * np.log(6.0206), abs=0.01)


def test_all_but_a_band_is_to_disturb_less(data):
    """κ·ln(p + 0.05) more, unless only the band was narrowed."""
    clean = 0.1 * torch.randn(2, 1, 4000, generator=torch.Generator().manual_seed(0))
    guess = clean + 0.02 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    found = clean + 0.5 * (guess - clean)
    shown = (clean, guess, torch.zeros(2, 2, 4000), torch.ones_like(clean),
             torch.full((2, 1, 1), 2.0), clean, clean)

    def more(kind):
        with_it, without = (recipe(data, perceptual=kappa).loss(
            lambda *_: found, *shown, torch.full((2,), kind)) for kappa in (0.6, 0.0))
        return (with_it - without).item()

    disturbed = (disturbance(found[:, 0], clean[:, 0]) + 0.05).log().mean().item()
    assert more(list(KINDS).index("gap")) == pytest.approx(0.6 * disturbed, abs=1e-4)
    assert more(NARROW) == 0


def test_a_teacher_gives_the_aims_of_plain_examples(data, tmp_path):
    made = recipe(data)
    loop.train(made, data, tmp_path / "teacher", steps=1, device="cpu")
    teacher = hub.load_prior(str(tmp_path / "teacher" / "prior.safetensors"))
    pupil = recipe(data, teacher=str(tmp_path / "teacher" / "prior.safetensors"), plain=0.5)
    source = pupil.prepare(Corpus(data / "train", data / "cache"), torch.device("cpu"))
    clean, _, _, _, sigma, noise, aim, _ = pupil.examples(source, 0)
    assert torch.equal(aim[:4], clean[:4])
    torch.testing.assert_close(aim[4:], teacher(clean + sigma * noise, sigma)[4:])


def test_all_is_unknown_where_the_band_is(data):
    guesses = FirstGuesses(data / "guesses" / "train")
    clips = guesses.take(torch.arange(12), torch.zeros(12, dtype=torch.long), 16000)
    every = list(KINDS).index("composed")
    assert (unknown(clips)[clips.kind == every] == 1).all()
    clip = clips.kind == list(KINDS).index("clip")
    assert torch.equal(unknown(clips)[clip][:, 0] == 1, (clips.marks[clip] != 0).any(1))


def test_it_trains_and_is_loaded(data, tmp_path):
    made = recipe(data)
    run = loop.train(made, data, tmp_path / "run", device="cpu")
    prior = hub.load_prior(str(run.product))
    assert isinstance(prior, GuessDenoiser)
    x = torch.randn(1, 1, 3000)
    assert torch.equal(prior(x, 0.3), prior(x, 0.3, None))
