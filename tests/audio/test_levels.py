"""Running levels, against signals whose level is known."""

import numpy as np
import pytest

from voxmend.audio.levels import Levels, frame_powers, running_levels

RATE = 16000


def syllables(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise of unit RMS under an envelope of syllables and pauses. Shape: `[T]`."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    envelope = np.sin(2 * np.pi * 3 * time) + 0.6 * np.sin(2 * np.pi * 0.37 * time)
    envelope = np.clip(envelope, 0, None)
    wave = envelope * rng.standard_normal(len(time))
    return (wave / wave.std()).astype(np.float32)


def decibels(wave: np.ndarray, blocks: int = 1) -> np.ndarray:
    wave = np.atleast_2d(wave)
    levels = Levels(np.array_split(wave, blocks, axis=1), RATE)
    return 20 * np.log10(levels(0, wave.shape[1]))


def test_frame_powers_are_the_variances_of_frames_whatever_the_blocks():
    wave = np.random.default_rng(0).standard_normal((2, 1000))
    expected = [wave[:, i:i + 160].var(1) for i in range(0, 1000, 160)]
    for blocks in (1, 3, 17):
        powers = frame_powers(np.array_split(wave, blocks, axis=1), 160)
        np.testing.assert_allclose(powers, np.stack(expected, 1))


def test_steady_speech_has_its_own_level():
    assert np.abs(decibels(0.05 * syllables(20)) - 20 * np.log10(0.05)).max() < 3


@pytest.mark.parametrize("step", [-30, -12, 12, 30])
def test_a_step_stays_a_step(step):
    wave = syllables(24)
    plain = decibels(wave)
    wave[12 * RATE:] *= 10 ** (step / 20)
    change = (decibels(wave) - plain)[0]
    assert np.abs(change[:10 * RATE]).max() < 3
    assert np.abs(change[14 * RATE:] - step).max() < 3


def test_a_bang_and_a_cough_change_little():
    wave, rng = syllables(20), np.random.default_rng(1)
    plain = decibels(wave)
    wave[5 * RATE:5 * RATE + 160] += 30
    wave[12 * RATE:12 * RATE + RATE // 2] += 20 * rng.standard_normal(RATE // 2).astype(np.float32)
    assert np.abs(decibels(wave) - plain).max() < 8  # in the cough itself, of 26 dB
    assert np.median(np.abs(decibels(wave) - plain)) < 0.5


def test_every_channel_has_a_level_of_its_own():
    wave = syllables(10)
    both = decibels(np.stack([wave, 0.01 * wave]))
    np.testing.assert_allclose(both[1], both[0] - 40, atol=1e-3)
    np.testing.assert_array_equal(both[0], decibels(wave)[0])


def test_silence_has_level_one_and_pauses_are_no_speech():
    assert (decibels(np.zeros(RATE)) == 0).all()
    wave = np.concatenate([syllables(8), 1e-5 * syllables(20)])
    assert decibels(wave).min() > -45  # not the 100 dB of the hiss


def test_levels_do_not_depend_on_blocks_or_segments():
    wave = np.stack([syllables(9), syllables(9, 1)])
    levels = Levels([wave], RATE)
    np.testing.assert_array_equal(levels(0, 9 * RATE)[:, 5000:9000], levels(5000, 4000))
    np.testing.assert_allclose(decibels(wave, 7), decibels(wave), atol=1e-6)


def test_no_samples_and_one_frame():
    assert running_levels(np.zeros((1, 0))).shape == (1, 0)
    assert Levels([np.ones((1, 5), np.float32)], RATE)(0, 5).shape == (1, 5)
