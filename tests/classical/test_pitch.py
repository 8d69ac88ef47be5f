"""Gaps in voiced speech, filled along its pitch."""

import numpy as np
import pytest

from voxmend import classical
from voxmend.classical.pitch import find_edge, periods_between


def glide(rate: int, seconds: float = 0.3, pitch: float = 120.0, share: float = 2.0) -> tuple:
    """A buzz of twelve harmonics whose pitch rises by `share` of it a second, and its phase."""
    time = np.arange(round(seconds * rate)) / rate
    phase = pitch * (time + share * time**2 / 2)
    return sum(np.cos(2 * np.pi * k * phase + k * k) / k for k in range(1, 13)), phase


def holed(wave: np.ndarray, rate: int, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    missing = np.zeros(len(wave), bool)
    missing[round(start * rate):round(stop * rate)] = True
    return np.where(missing, 0, wave), missing


def snr(found: np.ndarray, wave: np.ndarray, missing: np.ndarray) -> float:
    error = np.sum((found - wave)[missing] ** 2)
    return 10 * np.log10(np.sum(wave[missing] ** 2) / error)


@pytest.mark.parametrize("share", [-1.0, 0.0, 3.0])
def test_the_pitch_beside_a_gap_and_its_slope_are_found(share):
    wave, _ = glide(16000, share=share)
    edge = find_edge(wave, 16000)
    pitch = 120 * (1 + share * 0.3)
    now = share / (1 + share * 0.3)
    assert edge.frequency * 16000 == pytest.approx(pitch, rel=0.01)
    assert edge.slope * 16000 == pytest.approx(now, abs=0.7)
    assert edge.likeness > 0.97


def test_as_many_periods_are_counted_as_a_glide_has():
    wave, phase = glide(16000)
    before, after = find_edge(wave[:2000], 16000), find_edge(wave[:2799:-1], 16000)
    periods, foretold = periods_between(before, after, 800)
    assert periods == pytest.approx(phase[2800] - phase[2000], abs=0.03)
    assert foretold == pytest.approx(periods, abs=0.2)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("share", [-1.5, 3.0])
def test_a_gliding_voice_goes_on_in_step(rate, share):
    wave, _ = glide(rate, share=share)
    damaged, missing = holed(wave, rate, 0.12, 0.17)
    plain = classical.ar_interpolate(damaged, missing, round(0.016 * rate), round(0.0625 * rate))
    found = classical.pitch_interpolate(damaged, missing, rate)
    assert snr(found, wave, missing) > max(9, snr(plain, wave, missing) + 4)
    np.testing.assert_array_equal(found[~missing], wave[~missing])


def test_a_faint_voice_is_followed_as_well():
    wave, _ = glide(16000, share=3.0)
    damaged, missing = holed(1e-4 * wave, 16000, 0.12, 0.17)
    found = classical.pitch_interpolate(damaged, missing, 16000)
    assert snr(found, 1e-4 * wave, missing) > 9


def test_a_voice_that_ends_in_a_gap_goes_on_at_its_pitch():
    wave, _ = glide(16000, share=3.0)
    noise = 0.3 * np.random.default_rng(0).normal(size=len(wave))
    wave = np.where(np.arange(len(wave)) < 2600, wave, noise)
    damaged, missing = holed(wave, 16000, 0.12, 0.17)
    plain = classical.ar_interpolate(damaged, missing)
    found = classical.pitch_interpolate(damaged, missing, 16000)
    assert snr(found, wave, missing) > snr(plain, wave, missing) + 1


def test_what_has_no_pitch_keeps_the_other_guess():
    noise = np.random.default_rng(1).normal(size=6000)
    tone, _ = glide(16000, 0.6)
    for wave, hole in ((noise, (0.12, 0.17)), (0 * noise, (0.12, 0.17)),
                       (tone, (0.0, 0.05)), (tone, (0.58, 0.6)), (tone, (0.2, 0.36))):
        damaged, missing = holed(wave, 16000, *hole)
        guess = np.where(missing, 0.25, damaged)
        found = classical.pitch_interpolate(damaged, missing, 16000, guess)
        np.testing.assert_array_equal(found, guess)


def test_gaps_side_by_side_are_filled_with_care():
    """The pitch beside a gap that follows another is that of what was guessed there."""
    wave, _ = glide(16000)
    damaged, missing = holed(wave, 16000, 0.10, 0.13)
    missing |= holed(wave, 16000, 0.15, 0.18)[1]
    damaged = np.where(missing, np.nan, damaged)
    plain = classical.ar_interpolate(damaged, missing)
    found = classical.pitch_interpolate(damaged, missing, 16000)
    assert snr(found, wave, missing) > snr(plain, wave, missing) + 1
