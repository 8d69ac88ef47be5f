"""Damage made on purpose is found again, and nothing is found in sound recordings."""

import os
from pathlib import Path

import numpy as np
import pytest

from helpers.speech import speech
from voxmend import audio
from voxmend.benchmarks import restoration
from voxmend.dsp import degrade
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Damage


def pcm(wave):
    return np.round(wave * 32768).astype(np.float32) / 32768


def only(wave):
    """The damage of a recording's only channel."""
    [damage] = analyse([wave], 16000)
    return damage


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_found_in_sound_speech(seed):
    assert not only(pcm(speech(seed)))


@pytest.mark.parametrize("sdr", [3, 10])
def test_clip_level(sdr):
    wave = speech()
    level = degrade.clip_level_for_sdr(wave, sdr)
    found = only(pcm(degrade.clip(wave, level)))
    assert found.clipping[0].level == pytest.approx(level, rel=0.01)
    assert not found.cutoff and not found.gaps and not found.noise


@pytest.mark.parametrize("cutoff", [3000, 4000])
def test_cutoff(cutoff):
    found = only(pcm(degrade.lowpass(speech(), cutoff, 16000)))
    assert found.cutoff == pytest.approx(cutoff, rel=0.05)
    assert not found.clipping and not found.gaps


def test_gaps():
    damaged, present = degrade.gaps(speech(), 16000, 50, 500)
    found = only(pcm(damaged))
    edges = np.flatnonzero(np.diff(np.pad(~present, 1).astype(int))).reshape(-1, 2) / 16000
    matched = sum(any(abs(a - c) < 0.002 and abs(b - d) < 0.002 for c, d in found.gaps)
                  for a, b in edges)
    assert matched >= 0.7 * len(edges) and len(found.gaps) <= len(edges)
    assert not found.clipping and not found.cutoff and not found.noise


def test_gaps_are_found_behind_a_lowpass():
    damaged = degrade.lowpass(degrade.gaps(speech(), 16000)[0], 4000, 16000)
    found = only(pcm(damaged))
    assert len(found.gaps) >= 3 and found.cutoff == pytest.approx(4000, rel=0.05)


def test_words_that_fade_into_digital_silence_are_no_gaps():
    wave = speech()
    phase = np.arange(wave.shape[-1]) / 16000 % 1
    gate = np.clip((phase - 0.2) / 0.04, 0, 1) * np.clip((0.96 - phase) / 0.04, 0, 1)
    assert not only(pcm(wave * gate.astype(np.float32))).gaps


def test_cutoff_under_noise():
    """What was lost before the noise came is still found, and the noise too."""
    dull = degrade.lowpass(speech(), 4000, 16000)
    found = only(pcm(degrade.white_noise(dull, 20, seed=1)))
    assert found.cutoff == pytest.approx(4000, rel=0.1) and found.noise


@pytest.mark.parametrize("snr", [0, 10, 20])
def test_noise(snr):
    wave = speech()
    damaged = degrade.white_noise(wave, snr, seed=1)
    found = only(pcm(damaged))
    assert found.noise == pytest.approx(np.std(damaged - wave), rel=0.15)
    assert not found.clipping and not found.cutoff and not found.gaps


def test_composed_damage_in_blocks_and_channels():
    """All three at once; the result does not depend on how the stream is cut into blocks."""
    wave = speech(channels=2)
    dull = degrade.lowpass(wave, 4000, 16000)
    damaged = pcm(degrade.gaps(degrade.clip(dull, 0.12), 16000)[0])
    whole = analyse([damaged], 16000)
    for channel in whole:
        assert channel.clipping[0].level == pytest.approx(0.12, rel=0.01)
        assert channel.cutoff == pytest.approx(4000, rel=0.05) and len(channel.gaps) >= 5
        assert len(channel.describe()) == 3
    assert analyse(np.array_split(damaged, 37, axis=1), 16000) == whole


@pytest.mark.parametrize("rate", [999, 3999, 384_001, np.nan, np.inf])
def test_rates_that_are_not_handled_are_refused(rate):
    with pytest.raises(ValueError, match=f"{rate} Hz"):
        analyse([np.zeros((1, 4000), np.float32)], rate)


@pytest.mark.parametrize("block, said", [
    (np.full((1, 4000), np.nan, np.float32), "NaN or infinity at 0.00 s"),
    (np.ones((1, 4000), np.int16), "convert it to float")])
def test_what_is_no_sound_is_refused(block, said):
    with pytest.raises(audio.AudioError, match=said):
        analyse([block], 16000)


def test_a_whole_rate_may_be_a_float_and_a_block_a_list():
    wave = speech()
    wave[:, 16000:16800] = 0
    [found] = analyse([wave], 16000)
    assert found.gaps and analyse([wave], 16000.0) == analyse([wave.astype(float).tolist()], 16000
                                                              ) == (found,)


def test_a_gap_ends_after_its_start():
    with pytest.raises(ValueError, match="from 1 to 0.5 s"):
        Damage(gaps=((1.0, 0.5),))


def test_silence_and_scraps():
    assert only(np.zeros((1, 16000), np.float32)) == Damage()
    assert not only(np.full((1, 1), 0.5, np.float32))


@pytest.mark.data
@pytest.mark.skipif("VOXMEND_DATA" not in os.environ, reason="set VOXMEND_DATA to a speech folder")
def test_real_speech():
    """Each kind on at least 90 % of real clips, false finds on at most 5 % of clean ones."""
    clips = restoration.load_clips(Path(os.environ["VOXMEND_DATA"]) / "val", None)
    found = restoration.detection(clips)
    for kind, field in (("clip 3 dB", "clipping"), ("low-pass 4 kHz", "cutoff"),
                        ("low-pass 2 kHz", "cutoff"), ("gaps", "gaps"), ("noise 10 dB", "noise")):
        assert found[kind][field] >= 0.9, kind
    assert max(found["clean"].values()) <= 0.05


@pytest.mark.parametrize("factor", [1e-4, 1e-3, 40.0])
def test_float_recordings_of_any_level_are_left_alone(factor):
    (found,) = analyse([(factor * speech()).astype(np.float32)], 16000)
    assert not found and found.speech


@pytest.mark.parametrize("level", [3e-9, 1e-12, 1e-30])
def test_next_to_nothing_has_no_damage(level):
    """Alone, and where speech fades to it."""
    faint = (level * np.random.default_rng(0).standard_normal((1, 48000))).astype(np.float32)
    assert not only(faint)
    fading = speech(0) * np.geomspace(1, level, speech(0).size)
    assert not only(fading.astype(np.float32)).clipping


def test_the_rounding_of_a_soft_channel_is_no_noise():
    """60 dB under full scale in 16 bits."""
    soft = (np.round(speech() * 0.01 * 32768) / 32768).astype(np.float32)
    (found,) = analyse([soft], 16000)
    assert not found.noise and not found.clipping


@pytest.mark.parametrize("size", [160, 8000])
def test_neither_a_bang_nor_a_cough_hides_the_noise(size):
    """A hundred times as loud as the speech; noise 21 dB below the speech."""
    rng = np.random.default_rng(0)
    noisy = speech() + 0.008 * rng.standard_normal((1, 96000))
    with_bang = noisy.copy()
    with_bang[:, 40000:40000 + size] += 10 * rng.uniform(-1, 1, size)
    (plain,), (found,) = (analyse([wave.astype(np.float32)], 16000) for wave in (noisy, with_bang))
    assert plain.noise and found.noise == pytest.approx(plain.noise, rel=0.05)
    assert found.rms == pytest.approx(plain.rms, rel=0.1)


@pytest.mark.parametrize("noise, said", [(0.1, "-20 dBFS, 19 dB below"), (1.4, "louder than")])
def test_how_loud_noise_is_beside_the_speech(noise, said):
    """Of noise in a part of a recording alone the RMS of all may be less."""
    assert said in " ".join(Damage(coloured=noise, rms=0.9).describe())


def rounded(wave, bits):
    """As a file of integers holds it. Shape: `[1, T]`."""
    return (np.round(wave * 2.0 ** (bits - 1)) / 2.0 ** (bits - 1) + 0.0).astype(np.float32)


@pytest.mark.parametrize("bits, gain", [(8, 1), (8, 0.3), (8, 0.1), (6, 1), (16, 3e-3)])
@pytest.mark.parametrize("seed", range(3))
def test_coarsely_rounded_speech_has_no_gaps_and_is_not_clipped(bits, gain, seed):
    """What is soft rounds to constants, and peaks end at few levels."""
    wave = speech(seed) * 0.7 / np.abs(speech(seed)).max()
    found = only(rounded(gain * wave, bits))
    assert not found.gaps and not found.ends and not found.clipping


@pytest.mark.parametrize("bits, gain", [(8, 1), (16, 3e-3)])
@pytest.mark.parametrize("size", [320, 800, 1280])
def test_a_gap_in_the_midst_of_loud_speech_is_found_however_coarse_it_is(bits, gain, size):
    wave = rounded(gain * speech() * 0.7 / np.abs(speech()).max(), bits)
    power = np.convolve(wave[0] ** 2, np.ones(size + 640), "same")
    first = int(power.argmax()) - size // 2
    wave[:, first:first + size] = 0
    assert only(wave).gaps == ((pytest.approx(first / 16000, abs=0.002),
                                pytest.approx((first + size) / 16000, abs=0.002)),)


def test_clipping_is_found_in_8_bits():
    wave = 2 * speech()
    found = only(rounded(wave.clip(-0.25, 0.25), 8))
    assert found.clipping[0].level == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("offset", [0.1, -0.3])
def test_the_level_of_speech_takes_no_notice_of_an_offset(offset):
    noisy = degrade.white_noise(speech(), 10, seed=1)
    plain, moved = only(pcm(noisy)), only(pcm(noisy + offset))
    assert plain.rms == pytest.approx(np.std(noisy), rel=0.01)
    assert moved.rms == pytest.approx(plain.rms, rel=0.01) and moved.noise
