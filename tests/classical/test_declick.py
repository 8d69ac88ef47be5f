"""Clicks are found and bridged; a voice's own pulses are not clicks."""

import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from helpers.speech import speech
from voxmend.classical.declick import (
    certain_clicks,
    declick,
    prediction_error,
    prediction_filters,
)
from voxmend.metrics.si_snr import si_snr

RATE = 16000


def test_prediction_filters_solve_the_normal_equations():
    frames = np.random.default_rng(0).standard_normal((3, 400)).cumsum(1)
    for frame, a in zip(frames, prediction_filters(frames, 8)):
        windowed = frame * np.hanning(402)[1:-1]
        r = np.array([windowed[:400 - lag] @ windowed[lag:] for lag in range(9)])
        r[0] = r[0] * (1 + 1e-9) + 1e-12
        np.testing.assert_allclose(a, [1, *-solve_toeplitz(r[:-1], r[1:])], atol=1e-6)


def test_the_error_of_an_autoregressive_process_is_what_drives_it():
    drive = np.random.default_rng(1).standard_normal(RATE)
    wave = lfilter([1], [1, -1.6, 0.8], drive)
    wave[8000] += 50
    error = prediction_error(wave, RATE)
    assert error[8000] > 30 and np.median(error) < 1
    assert error[8040:8400].max() < 6  # it does not ring on
    assert not error[:32].any() and not error[-32:].any()


def clicked(wave, count, seed=0):
    rng = np.random.default_rng(seed)
    places = rng.choice(np.arange(20, len(wave) // 100 - 20), count, replace=False) * 100
    noisy = wave.copy()
    noisy[places] += rng.choice([-1, 1], count) * rng.uniform(0.8, 1.6, count)
    return noisy


def test_clicks_are_bridged():
    wave = speech()[0, :3 * RATE].astype(np.float64)
    noisy = clicked(wave, 30)
    assert si_snr(noisy, wave) < 10
    assert si_snr(declick(noisy, RATE), wave) > 20


@pytest.mark.parametrize("rate", [16000, 44100])
def test_certain_clicks_are_where_they_were_made(rate):
    time = np.arange(2 * rate) / rate
    wave = 0.1 * np.sin(2 * np.pi * 200 * time) + 1e-3 * np.random.default_rng(0).standard_normal(
        len(time))
    wave[[rate // 2, rate]] += 0.5
    places, errors = certain_clicks(wave, rate)
    np.testing.assert_allclose(places, [rate // 2, rate], atol=rate // 1000)
    np.testing.assert_allclose(errors, 0.5, rtol=0.1)


@pytest.mark.parametrize("seed", range(2))
def test_speech_has_no_certain_clicks(seed):
    wave = speech(seed)[0]
    wave[20000:20400] = 0  # a gap's edges are none either
    _, errors = certain_clicks(wave, RATE)
    assert not np.count_nonzero(errors > 0.5 * wave.std())


def test_silence_and_scraps():
    np.testing.assert_array_equal(declick(np.zeros(4000), RATE), 0)
    np.testing.assert_array_equal(declick(np.ones(100), RATE), 1)
    assert not len(certain_clicks(np.ones(100), RATE)[0])


def test_only_a_mono_signal_is_taken():
    with pytest.raises(ValueError, match="mono"):
        declick(np.zeros((2, 9000)), 16000)
