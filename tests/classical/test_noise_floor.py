"""Floors of known noise, and speech without it."""

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from helpers.speech import speech
from voxmend.classical.noise_floor import (
    floor_denoise,
    floor_power,
    likeness,
    noise_floor,
    stretches,
)
from voxmend.metrics.si_snr import si_snr

RATE = 16000


def coloured(length, tilt, seed=0):
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(length))
    hertz = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 20)
    return np.fft.irfft(spectrum * hertz ** (-tilt / 2), length)


def mixed(wave, noise, snr):
    return wave + noise * np.linalg.norm(wave) / np.linalg.norm(noise) * 10 ** (-snr / 20)


def test_the_floor_of_exponential_powers_is_their_mean():
    power = np.random.default_rng(0).exponential([1.0, 4.0], (4000, 2))
    np.testing.assert_allclose(noise_floor(power), [1, 4], rtol=0.1)
    assert likeness(power) == pytest.approx(10 * np.log10(np.log(0.8) / np.log(0.95)), abs=0.4)


@pytest.mark.parametrize("tilt", [0, 1, 2])
def test_the_power_of_noise_of_any_colour(tilt):
    noise = coloured(4 * RATE, tilt)
    assert floor_power(noise, RATE) == pytest.approx(noise.var(), rel=0.25)


def test_rumble_in_few_bins_is_noise_as_surely_as_hiss_in_many():
    """Their spread scatters more, since fewer independent powers tell it."""
    low = butter(4, 80, fs=RATE, output="sos")
    found = [floor_power(sosfilt(low, np.random.default_rng(seed).standard_normal(3 * RATE)), RATE)
             for seed in range(60)]
    assert np.mean(np.array(found) > 0) > 0.95


def test_a_room_and_words_that_fade_are_no_noise():
    time = np.arange(4 * RATE) / RATE
    fading = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-2 * (time % 1))
    assert floor_power(fading, RATE) == 0
    assert floor_power(speech()[0].astype(float), RATE) < 1e-3 * speech().var()


@pytest.mark.parametrize("sets_in", [True, False])
def test_noise_that_sets_in_or_ends(sets_in):
    wave = speech()[0].astype(np.float64)
    there = (np.arange(len(wave)) > len(wave) / 2) == sets_in
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(wave)) * there
    power = np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(
        wave + noise, 1024)[::256] * np.hanning(1024))) ** 2
    parts = stretches(power)
    assert parts[0].start == 0 and parts[-1].stop == len(power)
    assert min(abs(part.start - len(power) / 2) for part in parts) <= 6
    assert floor_power(wave + noise, RATE) == pytest.approx(0.05**2, rel=0.5)
    assert si_snr(floor_denoise(wave + noise, RATE), wave) > si_snr(wave + noise, wave) + 2


@pytest.mark.parametrize("sets_in", [True, False])
def test_noise_that_sets_in_under_speech_without_a_pause(sets_in):
    """Its lows are louder than the noise in every frame until then; the highs tell."""
    rng = np.random.default_rng(0)
    speech = np.full((400, 200), 1e-2)
    speech[:, :80] = 10 ** rng.uniform(1, 2.5, (400, 1))
    speech[200::3, :80] = 1e-2
    power = (speech + (np.arange(400) >= 200)[:, None]) * rng.exponential(1, (400, 200))
    first, last = stretches(power if sets_in else power[::-1])
    assert first.stop == last.start == pytest.approx(200, abs=3)


@pytest.mark.parametrize("tilt, snr, gain", [(2, 5, 6), (2, 15, 2), (1, 5, 3)])
def test_speech_gains(tilt, snr, gain):
    wave = speech()[0].astype(np.float64)
    noisy = mixed(wave, coloured(len(wave), tilt), snr)
    assert si_snr(floor_denoise(noisy, RATE), wave) > snr + gain


def test_silence_and_scraps():
    np.testing.assert_array_equal(floor_denoise(np.zeros(4000), RATE), 0)
    for length in (1, 300, 3000):
        assert floor_denoise(np.ones(length), RATE).shape == (length,)
    with pytest.raises(ValueError, match="mono"):
        floor_denoise(np.zeros((2, 100)), RATE)
