"""Loudness against the calibration of BS.1770 and what the gate is there for."""

import math

import numpy as np
import pytest

from helpers.speech import voice
from voxmend.audio.loudness import loudness


def sine(rate, seconds=5.0):
    return np.sin(2 * np.pi * 997 * np.arange(round(seconds * rate)) / rate)[None]


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_a_sine_of_full_scale_has_its_calibrated_loudness(rate):
    assert loudness(sine(rate), rate) == pytest.approx(-3.01, abs=0.1)
    assert loudness(0.1 * sine(rate), rate) == pytest.approx(-23.01, abs=0.1)


def test_two_channels_are_3_db_louder_than_one():
    both = np.repeat(sine(16000), 2, 0)
    assert loudness(both, 16000) - loudness(sine(16000), 16000) == pytest.approx(3.01, abs=0.05)


def test_pauses_do_not_count_and_short_signals_are_measured():
    wave = voice(4.0)
    pause = np.zeros_like(wave)
    assert loudness(np.concatenate([wave, pause], 1), 16000) == pytest.approx(
        loudness(wave, 16000), abs=0.3)
    assert loudness(sine(16000, 0.1), 16000) == pytest.approx(-3.01, abs=0.3)


def test_silence_and_wrong_shapes():
    assert loudness(np.zeros((1, 16000)), 16000) == -math.inf
    for shape in ((16000,), (3, 16000), (1, 0)):
        with pytest.raises(ValueError, match=r"\[C, T\]"):
            loudness(np.zeros(shape), 16000)
