"""Sounds beside speech are found, each as what it is, and what is not speech is left alone."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import fftconvolve

from helpers.speech import speech
from voxmend import audio
from voxmend.benchmarks import restoration
from voxmend.dsp import degrade
from voxmend.metrics.si_snr import si_snr
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Damage
from voxmend.restore.detectors.base import View
from voxmend.restore.detectors.speech import Speech
from voxmend.restore.interference import without_interference

RATE = 16000
SOUNDS = ("coloured", "hum", "clicks", "reverberation")


def words(seed=0):
    """A voice in words of a quarter of a second."""
    phase = np.arange(6 * RATE) / RATE % 0.5
    gate = np.clip(phase / 0.01, 0, 1) * np.clip((0.26 - phase) / 0.01, 0, 1)
    room_noise = 1e-4 * np.random.default_rng(seed).standard_normal(len(phase))
    return (speech(seed)[0] * gate + room_noise).astype(np.float32)[:3 * RATE]


def only(wave):
    [damage] = analyse([np.asarray(wave, np.float32)[None]], RATE)
    return damage


def found(wave):
    damage = only(wave)
    return {name for name in SOUNDS if getattr(damage, name)}


def mixed(wave, other, snr):
    return wave + other * np.linalg.norm(wave) / np.linalg.norm(other) * 10 ** (-snr / 20)


def hum(length, mains=50.0):
    time = np.arange(length) / RATE
    return sum(np.sin(2 * np.pi * k * mains * time + k) / k for k in range(1, 11))


def brown(length):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(length))
    return np.fft.irfft(spectrum / np.maximum(np.fft.rfftfreq(length, 1 / RATE), 20), length)


def pink(length):
    spectrum = np.fft.rfft(np.random.default_rng(1).standard_normal(length))
    places = np.maximum(np.fft.rfftfreq(length, 1 / RATE), 50)
    return np.fft.irfft(spectrum / np.sqrt(places), length)


def clicks(length):
    rng, wave = np.random.default_rng(0), np.zeros(length)
    wave[rng.integers(1000, length - 1000, 30)] = rng.choice([-1, 1], 30)
    return wave


def room(wave, seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    tail = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    tail /= np.linalg.norm(tail)
    tail[0] = 1
    return fftconvolve(wave, tail)[:len(wave)]


OTHERS = {"hum": hum, "coloured": brown, "clicks": clicks}


@pytest.mark.parametrize("kind, snr", [("hum", 0), ("hum", 15), ("coloured", 5), ("coloured", 12),
                                       ("clicks", 8.7)])
def test_each_is_found_as_what_it_is_and_goes(kind, snr):
    wave = words()
    noisy = mixed(wave, OTHERS[kind](len(wave)), snr).astype(np.float32)
    assert found(noisy) == {kind}
    mended = without_interference(noisy[None], RATE, only(noisy))
    assert si_snr(mended[0], wave) > snr + 4


def test_coloured_noise_of_a_short_recording_is_loud():
    """Speech of 1.5 s may lack a pause that tells its softest sounds from noise."""
    wave = speech()[0]
    for length, snr, expected in ((1.5, 9, True), (1.5, 17, False), (6, 17, True)):
        piece = wave[:round(length * RATE)]
        assert ("coloured" in found(mixed(piece, pink(len(piece)), snr))) == expected


def test_one_channel_is_mended_and_the_other_stays():
    wave = speech(channels=2)
    wave[0] = mixed(wave[0], hum(wave.shape[1], 60.0), 5)
    left, right = analyse([wave], RATE)
    assert left.hum == 60 and not right
    np.testing.assert_array_equal(without_interference(wave[1:], RATE, right), wave[1:])


def test_hum_that_nobody_hears_is_none():
    wave = words()
    low = np.sin(2 * np.pi * 50 * np.arange(len(wave)) / RATE)
    assert not found(mixed(wave, low, 25))
    assert found(mixed(wave, low, 10)) == {"hum"}


@pytest.mark.parametrize("seconds", [0.5, 0.8])
def test_a_room_is_told_with_the_verb_that_helps(seconds):
    damage = only(room(words(), seconds))
    assert damage.reverberation == pytest.approx(seconds, rel=0.4)
    assert "dereverb" in " ".join(damage.describe())
    assert not only(words()).reverberation


def not_speech():
    time = np.arange(2 * RATE) / RATE
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    notes = sum(0.1 * np.sin(2 * np.pi * hz * time) for hz in (262, 330, 392))
    return {"tone": tone, "clipped tone": tone.clip(-0.2, 0.2), "square": 0.3 * np.sign(tone),
            "saw": 0.3 * (2 * (220 * time % 1) - 1), "chord": notes,
            "plucked": notes * np.exp(-4 * (time % 0.5)),
            "tone with gaps": tone * (time % 0.5 > 0.05), "dial": tone * (time % 0.5 < 0.25),
            "vibrato": 0.3 * np.sin(2 * np.pi * 440 * time + 3 * np.sin(2 * np.pi * 5 * time)),
            "sweep": 0.3 * np.sin(2 * np.pi * (100 + 400 * time) * time),
            "hum": 0.1 * hum(len(time)),
            "noise": 0.1 * np.random.default_rng(0).standard_normal(len(time)),
            "brown noise": 0.1 * brown(len(time)) / brown(len(time)).std()}


@pytest.mark.parametrize("name", not_speech())
def test_what_is_not_speech_is_left_alone(name):
    damage = only(not_speech()[name])
    assert not damage and not damage.speech
    assert "does not sound like speech" in damage.describe()[0]
    assert not Damage(noise=0.1, rms=0.2, speech=False).describe()[0].startswith("does not")


@pytest.mark.parametrize("damaged", [
    lambda x: x, lambda x: degrade.clip(x, degrade.clip_level_for_sdr(x, 3.0)),
    lambda x: degrade.white_noise(x, 0.0, 1), lambda x: room(x, 0.8),
    lambda x: degrade.lowpass(x, 3000, RATE), lambda x: mixed(x, hum(len(x)), 0)])
def test_damaged_speech_is_speech(damaged):
    wave = speech()[0]
    assert only(damaged(wave)).speech and only(damaged(wave[8000:24000])).speech


@pytest.mark.data
@pytest.mark.skipif("VOXMEND_DATA" not in os.environ, reason="set VOXMEND_DATA to a speech folder")
def test_real_speech():
    """Nothing is found in sound clips, and all sound like speech."""
    files = sorted((Path(os.environ["VOXMEND_DATA"]) / "val").iterdir())
    clips = [restoration.loudest(audio.load(f, RATE).mean(0), 4 * RATE) for f in files]
    assert not [name for clip in clips for name in found(clip)]
    for clip in clips:
        assert only(clip).speech and only(degrade.white_noise(clip, 0.0, 1)).speech


def test_speech_masked_by_noise_that_swells_is_named():
    """By rain or a saw: where neither floors nor a room say why the pauses are so loud."""
    wave = words()
    time = np.arange(len(wave)) / RATE
    noise = np.random.default_rng(0).standard_normal(len(wave)) * (
        1 + 0.4 * np.sin(2 * np.pi * 1.7 * time))

    def masked(wave, **known):
        detector = Speech(RATE)
        detector.update(View(wave, 0, 0, len(wave)))
        return detector.find(Damage(rms=0.1, **known))

    [line] = masked(mixed(wave, noise, 0)).describe()
    assert "masked" in line and "voxmend enhance" in line
    assert not masked(wave).masked and not masked(mixed(wave, noise, 20)).masked
    assert not masked(mixed(wave, noise, 0)[:RATE]).masked  # too short for a pause
    assert not masked(mixed(wave, noise, 0), noise=0.05).masked


@pytest.mark.parametrize("below, said, pointed", [
    (12, "12 dB below", False), (3, "3 dB below", True), (-3, "3 dB above", True),
    (-9, "louder", True)])
def test_loud_noise_is_pointed_to_enhance(below, said, pointed):
    noise = 0.1 * 10 ** (-below / 20)
    for kind in ("noise", "coloured"):
        [line] = Damage(rms=math.hypot(0.1, noise), **{kind: noise}).describe()
        assert said in line
        assert ("voxmend enhance" in line) == (pointed or kind == "coloured")
