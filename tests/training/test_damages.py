"""Random damage against scipy and closed forms, and that no item heeds its neighbours."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.signal import butter, freqs, welch

from helpers.speech import voice
from voxmend.dsp import degrade
from voxmend.training import damages
from voxmend.training.pool import Draws

RATE = 16000


def speech(batch, seconds=1.0):
    return torch.from_numpy(np.concatenate([voice(seconds, seed=k) for k in range(batch)]))


def hiss(batch, length=RATE):
    return torch.randn(batch, length, generator=torch.Generator().manual_seed(0))


DAMAGES = {
    "lost_band": lambda x, draws: damages.lost_band(x, draws.log_uniform(1000, 7000), draws),
    "shelved": lambda x, draws: damages.shelved(x, draws, -6, 12),
    "coloured": damages.coloured, "noise": damages.noise, "reverberant": damages.reverberant,
    "clipped": damages.clipped}


@pytest.mark.parametrize("name", DAMAGES)
def test_an_item_s_damage_is_its_own(name):
    """Another neighbour, the same result; and no two items are harmed alike."""
    one, other = speech(3), speech(3)
    other[1:] = 0.3 * other[1:].flip(1)
    found, again, moved = (DAMAGES[name](x, Draws(3, "cpu", 4)) for x in (one, one, other))
    assert torch.equal(found, again) and found.shape == one.shape and found.isfinite().all()
    torch.testing.assert_close(moved[0], found[0], rtol=0, atol=1e-6)
    alike = DAMAGES[name](one[:1].expand(3, -1), Draws(3, "cpu", 4))
    assert all((alike[0] - item).abs().max() > 1e-3 for item in alike[1:])


@pytest.mark.parametrize("order", [1, 2, 5, 10])
def test_butterworth_is_scipy_s(order):
    ratio = torch.linspace(0, 4, 200)[None]
    found = damages.butterworth(ratio, torch.tensor([[float(order)]]))[0].numpy()
    expected = freqs(*butter(order, 1, analog=True), ratio[0].numpy())[1]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_above_a_cut_off_is_nothing():
    """Of an edge at most 800 Hz wide; a Butterworth of order n falls by 6n dB an octave."""
    x, cutoff = hiss(200), torch.full((200, 1), 2000.0)
    power = torch.fft.rfft(damages.lost_band(x, cutoff, Draws(200, "cpu", 0))).abs().square()
    before = torch.fft.rfft(x).abs().square()
    level = 10 * torch.log10(power / before + 1e-12)  # bins of 1 Hz
    steep = level[:, 3900:4100].mean(1) < -80
    assert 0.6 < steep.float().mean() < 0.8
    assert level[steep, 2401:].max() < -50 and level[steep, 2401:].mean() < -100
    assert level[steep, :1600].abs().max() < 0.01
    orders = -level[~steep, 4000] / 6.02
    np.testing.assert_allclose(orders, orders.round(), atol=0.15)
    assert orders.min() > 1.8 and orders.max() < 10.2
    np.testing.assert_allclose(level[~steep, 2000], -3.01, atol=0.01)


def test_a_microphone_bends_by_six_decibels():
    x = hiss(20)
    level = 20 * torch.log10(torch.fft.rfft(damages.coloured(x, Draws(20, "cpu", 1))).abs()
                             / torch.fft.rfft(x).abs())
    assert level.abs().max() < 6.01 and level.std(0).min() > 1
    assert level.diff(dim=1).abs()[:, 60:].max() < 0.3  # smooth


def test_a_shelf_raises_what_is_below_its_corner():
    """By 12 dB far below 60 Hz, not at all far above 400 Hz, and in between by ever less."""
    x = hiss(20)
    response = torch.fft.rfft(damages.shelved(x, Draws(20, "cpu", 1), 12, 12)) / torch.fft.rfft(x)
    level = 20 * torch.log10(response.abs())
    hertz = torch.fft.rfftfreq(x.shape[-1], 1 / RATE)
    np.testing.assert_allclose(level[:, hertz < 10], 12, atol=0.1)
    np.testing.assert_allclose(level[:, hertz > 4000], 0, atol=0.1)
    assert level.diff(dim=1).max() < 1e-2 and level[:, 150 * x.shape[-1] // RATE].std() > 1


def fixed(draws, **values):
    """Draws of which some numbers are told: `chance` by share, `uniform` by its bounds."""
    return SimpleNamespace(
        normal=draws.normal, integers=draws.integers, log_uniform=draws.log_uniform,
        chance=lambda share, *shape: torch.full((draws.batch, 1), values["chance"][share]),
        uniform=lambda low=0.0, high=1.0, *shape: (
            torch.full((draws.batch, 1), values["uniform"][low, high])
            if (low, high) in values["uniform"] else draws.uniform(low, high, *shape)))


@pytest.mark.parametrize("tilt", [-0.5, 0.0, 1.0, 2.5])
def test_noise_falls_as_its_colour_says(tilt):
    draws = fixed(Draws(4, "cpu", 0), chance={0.4: False, 0.15: False, 0.5: True},
                  uniform={(-0.5, 2.5): tilt})
    found = damages.noise(torch.empty(4, 4 * RATE), draws)
    np.testing.assert_allclose(damages.power(found), 1, rtol=1e-4)
    hertz, power = welch(found.numpy(), RATE, nperseg=2048)
    inside = (hertz > 100) & (hertz < 7000)
    slope = np.polyfit(np.log(hertz[inside]), np.log(power.mean(0)[inside]), 1)[0]
    assert slope == pytest.approx(-tilt, abs=0.1)


def test_hum_is_of_the_mains():
    draws = fixed(Draws(3, "cpu", 0), chance={0.4: False, 0.15: True, 0.5: True},
                  uniform={(49.8, 50.2): 50.0})
    found = damages.noise(torch.empty(3, RATE), draws)
    power = torch.fft.rfft(found).abs().square()
    lines = power[:, 50:501:50].sum(1) / power.sum(1)
    assert lines.min() > 0.999


def test_the_direct_path_comes_first_and_alone():
    """An impulse shows the room: 1 at once, nothing for half a millisecond, then a tail."""
    click = torch.zeros(64, RATE)
    click[:, 0] = 1
    room = damages.reverberant(click, Draws(64, "cpu", 0), RATE, (0.3, 0.9))
    np.testing.assert_allclose(room[:, 0], 1, atol=1e-5)
    assert room[:, 1:8].abs().max() < 1e-5
    tail = room[:, 1:]
    ratio = -10 * torch.log10(tail.square().sum(1))
    assert -3.01 < ratio.min() < -1 and 10 < ratio.max() < 12.01
    left = tail.square().flip(1).cumsum(1).flip(1)
    decay = 10 * torch.log10(left / left[:, :1])
    fell = (decay[:, :int(0.9 * RATE)] < -40).any(1)
    assert fell.all()  # 60 dB in at most 0.9 s
    assert (decay[:, int(0.05 * RATE)] > -30).all()


def test_decay_is_that_of_its_time():
    """Schroeder's integral of the low band falls by 60 dB per T60."""
    click = torch.zeros(8, RATE)
    click[:, 0] = 1
    room = damages.reverberant(click, Draws(8, "cpu", 0), RATE, (0.6, 0.6))
    soft = torch.nn.functional.avg_pool1d(room[:, None, 1:], 9, 1)[:, 0]
    left = soft.square().flip(1).cumsum(1).flip(1)
    for curve in (10 * torch.log10(left / left[:, :1])).numpy():
        time = np.flatnonzero((curve < -5) & (curve > -25)) / RATE
        slope = np.polyfit(time, curve[(curve < -5) & (curve > -25)], 1)[0]
        assert -60 / slope == pytest.approx(0.55, abs=0.1)


@pytest.mark.parametrize("sdr", [1.0, 3.0, 15.0])
def test_clip_level_is_degrade_s(sdr):
    x = speech(3)
    found = damages.clip_level(x, torch.tensor([[sdr]]).expand(3, 1))[:, 0]
    expected = [degrade.clip_level_for_sdr(wave[None], sdr) for wave in x.numpy()]
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_clipping_is_to_a_ratio_and_now_and_then_on_one_side():
    x = speech(1)[:, 4000:8000].expand(300, -1)
    found = damages.clipped(x, Draws(300, "cpu", 0), 4, 20)
    error = (x - found).square().sum(1)
    ratio = 10 * torch.log10(x.square().sum(1) / error)
    level, both = found.amax(1), (found.amin(1) + found.amax(1)).abs() < 1e-6
    assert 0.08 < 1 - both.float().mean() < 0.18
    assert ratio[both].min() > 3.9 and ratio[both].max() < 20.5
    assert torch.equal(found[both], x[both].clamp(-level[both, None], level[both, None]))
    assert torch.equal(found[~both], x[~both].minimum(level[~both, None]))
