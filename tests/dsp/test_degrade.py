"""Damage made on purpose has the measure that was asked for."""

import numpy as np
import pytest

from helpers.speech import speech
from voxmend.dsp import degrade


@pytest.mark.parametrize("cutoff", [2000, 3400, 5000])
def test_lowpass_has_its_gain(cutoff):
    taps = degrade.lowpass_taps(cutoff, 16000)

    def at(hz):
        return abs(np.exp(-2j * np.pi * hz / 16000 * np.arange(len(taps))) @ taps)

    assert at(cutoff) == pytest.approx(0.5, abs=0.01) and at(cutoff - 120) > 0.999
    assert max(at(hz) for hz in range(cutoff + 110, 8000, 20)) < 10 ** (-75 / 20)


@pytest.mark.parametrize("make", [
    lambda wave: degrade.clip_level_for_sdr(wave, -1), lambda wave: degrade.clip_level_for_sdr(
        wave, np.nan), lambda wave: degrade.clip_level_for_sdr(0 * wave, 3),
    lambda wave: degrade.white_noise(wave, -9999, 0), lambda wave: degrade.white_noise(
        wave, np.nan, 0), lambda wave: degrade.gaps(wave, 16000, every=np.inf),
    lambda wave: degrade.gaps(wave, 16000, np.nan), lambda wave: degrade.gaps(wave, 16000, 0.01),
    lambda wave: degrade.gaps(wave, 16000, 50, 50.01)])
def test_no_such_damage(make):
    with pytest.raises(ValueError, match="SDR|SNR|silence|gaps of"):
        make(speech())


def test_sdr_of_clipping():
    wave = speech()
    clipped = degrade.clip(wave, degrade.clip_level_for_sdr(wave, 7))
    ratio = np.linalg.norm(wave) / np.linalg.norm(wave - clipped)
    assert 20 * np.log10(ratio) == pytest.approx(7, abs=0.01)
