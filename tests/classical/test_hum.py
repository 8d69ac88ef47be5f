"""Hum is taken away and speech is not."""

import numpy as np
import pytest

from helpers.speech import speech
from voxmend.classical.hum import MAINS, dehum, find_phasors
from voxmend.metrics.si_snr import si_snr

RATE = 16000


def hum(length, mains, rate=RATE, harmonics=12):
    time = np.arange(length) / rate
    return sum(np.sin(2 * np.pi * k * mains * time + k * k) / k for k in range(1, harmonics + 1))


def mixed(wave, other, snr):
    return wave + other * np.linalg.norm(wave) / np.linalg.norm(other) * 10 ** (-snr / 20)


@pytest.mark.parametrize("mains, snr", [(50.03, 0), (59.9, 10), (49.95, 20)])
def test_hum_goes_and_the_voice_stays(mains, snr):
    """A clock or a net that is off by a part in a thousand does not matter."""
    wave = speech()[0].astype(np.float64)
    noisy = mixed(wave, hum(len(wave), mains), snr)
    assert si_snr(dehum(noisy, RATE, round(mains)), wave) > snr + 12


@pytest.mark.parametrize("rate", [8000, 44100])
def test_the_phasors_of_a_known_sinusoid(rate):
    time = np.arange(4 * rate) / rate
    found = find_phasors(0.3 * np.cos(2 * np.pi * 60.05 * 3 * time + 1), rate, 60, highest=400)
    assert found.mains == pytest.approx(60.05, abs=0.003)
    third = found.values[50:-50, 2]
    np.testing.assert_allclose(np.abs(third), 0.3, rtol=0.01)
    turned = np.angle(third * np.exp(2j * np.pi * 3 * (found.mains - 60.05)
                                     * np.arange(50, 50 + len(third)) * 0.02))
    np.testing.assert_allclose(turned, 1, atol=0.03)
    assert found.powers[2] == pytest.approx(0.045, rel=0.02)
    assert np.argmax(found.certainty) == 2


@pytest.mark.parametrize("mains", MAINS)
def test_a_low_voice_is_no_hum(mains):
    """Its pitch of 90 to 150 Hz passes every harmonic, but stays at none."""
    wave = speech()[0].astype(np.float64)
    assert si_snr(dehum(wave, RATE, mains), wave) > 30
    assert find_phasors(wave, RATE, mains, highest=1000).certainty.max() < 6


def test_silence_and_scraps():
    np.testing.assert_array_equal(dehum(np.zeros(8000), RATE, 50), 0)
    for length in (1, 100, 2000):
        assert np.isfinite(dehum(np.ones(length), RATE, 60)).all()


def test_only_a_mono_signal_is_taken():
    with pytest.raises(ValueError, match="mono"):
        dehum(np.zeros((2, 9000)), 16000, 50.0)
