"""Noise at random: what each kind keeps of what it is made of, and that no item heeds another."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend import audio
from voxmend.training import noises
from voxmend.training.corpus import Corpus
from voxmend.training.damages import power
from voxmend.training.pool import Draws, Pool

RATE = 16000


def pool(folder, waves):
    for k, wave in enumerate(waves):
        (folder / f"{k}").mkdir(parents=True)
        audio.save(folder / f"{k}" / "one.wav", wave, RATE)
    return Pool(Corpus(folder, folder.parent / f"{folder.name} cache", RATE), "cpu")


@pytest.fixture(scope="module")
def pools(tmp_path_factory):
    """Eight voices, and noise of which one file in two is silent."""
    folder, rng = tmp_path_factory.mktemp("pools"), np.random.default_rng(0)
    hiss = [0.1 * k * rng.normal(size=(1, 2 * RATE)) for k in (0, 1)]
    return {"speech": pool(folder / "speech", [voice(2.0, seed=k) for k in range(8)]),
            "noise": pool(folder / "noise", hiss)}


KINDS = {
    "recorded": lambda pools, draws: noises.recorded(pools["noise"], draws, RATE),
    "babble": lambda pools, draws: noises.babble(pools["speech"], draws, RATE),
    "varied": lambda pools, draws: noises.varied(pools, draws, RATE)}


@pytest.mark.parametrize("name", KINDS)
def test_noise_has_unit_power_even_of_silent_files(name, pools):
    found, again = (KINDS[name](pools, Draws(40, "cpu", 1)) for _ in range(2))
    assert torch.equal(found, again) and found.shape == (40, RATE)
    np.testing.assert_allclose(power(found), 1, rtol=1e-3)
    alike = torch.corrcoef(found) - torch.eye(40)
    assert alike.abs().max() < 0.5


@pytest.mark.parametrize("length", [RATE, RATE - 1])
def test_a_texture_keeps_the_spectrum_and_forgets_when(length):
    """A click becomes as stationary as white noise is: its kurtosis is 3, a click's is T."""
    clicks = torch.zeros(20, length)
    clicks[:, 5000] = 1
    found = noises.texture(clicks, Draws(20, "cpu", 0))
    inner = slice(1, (length - 1) // 2)  # a real signal has no phase at 0 and half the rate
    np.testing.assert_allclose(torch.fft.rfft(found).abs()[:, inner], 1, atol=1e-3)
    kurtosis = found.pow(4).mean(1) / found.square().mean(1).square()
    np.testing.assert_allclose(kurtosis, 3, atol=0.2)


def test_babble_is_of_several_voices(pools):
    """The envelope of many voices is steadier than that of one."""
    def unsteadiness(x):
        return (x[:, :RATE].unflatten(1, (50, -1)).square().mean(2).log().std(1)).mean()

    draws = Draws(30, "cpu", 2)
    alone = pools["speech"].cut(pools["speech"].pick(draws), RATE, draws)
    found = noises.babble(pools["speech"], Draws(30, "cpu", 2), RATE)
    assert unsteadiness(found) < 0.8 * unsteadiness(alone + 1e-4)


def test_swelling_is_linear_in_decibels_and_bounded():
    level = 20 * noises.swelling(torch.ones(50, 7 * RATE // 2), Draws(50, "cpu", 0)).log10()
    assert 9 < level.abs().max() <= 12 and level.abs().amax(1).min() < 3
    bends = level.diff(2).abs() > 1e-4
    assert (bends.sum(1) <= 2 * 4).all()  # between the six places of 3.5 s


def test_rumble_is_below_speech():
    """Of exp(−(f/t)²) up to t = 60 Hz nothing is left at 200 Hz, and some is of every t."""
    found, again = (noises.rumble(torch.empty(40, 4 * RATE), Draws(40, "cpu", 2)) for _ in range(2))
    assert torch.equal(found, again)
    np.testing.assert_allclose(power(found), 1, rtol=1e-3)
    energy = torch.fft.rfft(found).abs().square()
    hertz = torch.fft.rfftfreq(4 * RATE, 1 / RATE)
    assert energy[:, hertz > 200].sum() < 1e-4 * energy.sum()
    centroids = (energy * hertz).sum(1) / energy.sum(1)
    assert centroids.min() < 10 and centroids.max() > 20


def test_tones_are_few_lines_that_move_or_are_switched():
    """Nearly all energy of a steady one is in six lines at most; some are silent for long."""
    found, again = (noises.tones(torch.empty(60, 2 * RATE), Draws(60, "cpu", 3)) for _ in range(2))
    assert torch.equal(found, again)
    np.testing.assert_allclose(power(found), 1, rtol=1e-3)
    energy = torch.fft.rfft(found * torch.hann_window(2 * RATE)).abs().square()
    lines = energy.sort(descending=True).values[:, :6 * 4].sum(1) / energy.sum(1)
    assert 0.15 < (lines > 0.999).float().mean() < 0.5  # neither moved nor switched: a quarter
    frames = found.unfold(1, 160, 160).square().mean(-1)
    assert 0.3 < (frames.min(1).values < 1e-6).float().mean() < 0.7
    hertz = torch.fft.rfftfreq(2 * RATE, 1 / RATE)
    assert (energy * (hertz < 30)).sum() < 1e-3 * energy.sum()


def test_of_varied_noise_the_named_shares_are_of_each_kind(pools, monkeypatch):
    """Every kind a constant, nothing else changed: 20, 17 and the remaining 63 %."""
    for name, level in (("recorded", 1.0), ("texture", 2.0), ("babble", 3.0)):
        monkeypatch.setattr(noises, name,
                            lambda *given, level=level: torch.full((4000, 8), level))
    monkeypatch.setattr(noises, "damages", SimpleNamespace(coloured=lambda x, *_: x))
    monkeypatch.setattr(noises, "swelling", lambda x, *_: x)
    monkeypatch.setattr(noises, "at_unit_power", lambda x: x)
    found = noises.varied(pools, Draws(4000, "cpu", 0), 8)[:, 0]
    shares = [(found == level).float().mean().item() for level in (1, 2, 3)]
    np.testing.assert_allclose(shares, [0.63, 0.2, 0.17], atol=0.03)
