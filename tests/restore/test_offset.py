"""A DC offset changes nothing of what is found, nor of what is made of it."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.speech import speech
from voxmend.dsp import degrade
from voxmend.restore import Restorer
from voxmend.restore.analysis import analyse
from voxmend.restore.offset import offset_of

RATE = 16000


def pcm(wave):
    return (np.round(wave * 32768) / 32768).astype(np.float32)


def only(wave):
    [found] = analyse([pcm(np.atleast_2d(wave))], RATE)
    return found


def with_gaps(wave, value=0.0):
    wave = wave.copy()
    for first in range(RATE // 4, len(wave) - RATE // 2, RATE // 2):
        wave[first:first + RATE // 20] = value
    return wave


DAMAGED = {
    "none": lambda wave: wave,
    "clipping": lambda wave: degrade.clip(wave, degrade.clip_level_for_sdr(wave, 6)),
    "noise": lambda wave: degrade.white_noise(wave, 10, seed=1),
    "cutoff": lambda wave: degrade.lowpass(wave[None], 3000, RATE)[0],
    "gaps": with_gaps,
    "hum": lambda wave: wave + 0.02 * np.sin(2 * np.pi * 50 * np.arange(len(wave)) / RATE)}


@pytest.mark.parametrize("offset", [0.03, -0.3])
@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_found_behind_an_offset(kind, offset):
    wave = DAMAGED[kind](speech()[0])
    plain, moved = only(wave), only(wave + offset)
    assert moved.offset == pytest.approx(offset, abs=2e-3) and plain.offset == 0
    assert moved.speech and bool(moved) == bool(plain) == (kind != "none")
    for name in ("gaps", "hum", "clicks", "cutoff"):
        assert getattr(moved, name) == getattr(plain, name), name
    for name in ("noise", "coloured"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name), rel=0.02), name
    assert len(moved.clipping) == len(plain.clipping)
    for one, other in zip(moved.clipping, plain.clipping, strict=True):
        assert one.level == pytest.approx(other.level, rel=0.01)
        assert one.offset == pytest.approx(offset, abs=2e-3)


@pytest.mark.parametrize("offset", [0.1, 0.3])
def test_a_gap_of_zeros_in_what_has_an_offset(offset):
    """The packets were lost after the converter: no clipper cut off at zero."""
    found = only(with_gaps(pcm(speech()[0] + offset)))
    assert len(found.gaps) == len(only(with_gaps(speech()[0])).gaps) and not found.clipping


def test_a_short_vowel_has_no_offset():
    wave = speech()[0]
    for first in range(0, len(wave) - RATE // 2, RATE // 2):
        assert offset_of(wave[first:first + RATE // 5], RATE) == 0


def test_clipping_is_no_offset():
    """The median of such speech is up to 0.03 of its peak."""
    for seed in range(3):
        wave = speech(seed)[0]
        for sdr in (3, 10):
            assert offset_of(degrade.clip(wave, degrade.clip_level_for_sdr(wave, sdr)), RATE) == 0


@pytest.mark.parametrize("wave, offset", [([], 0), ([0.5], 0), (100 * [0.25], 0),
                                          (50 * [0.2, 0.4], 0.3)])
def test_the_offset_of_next_to_nothing(wave, offset):
    """A constant may be all that was recorded."""
    assert offset_of(np.array(wave), RATE) == pytest.approx(offset)


@pytest.mark.parametrize("offset", [0.02, 0.1, 0.3])
def test_noise_with_an_offset_is_mended_as_without(prior, offset):
    wave = pcm(degrade.white_noise(speech(), 10, seed=1))
    restorer = Restorer("mend", str(prior), device="cpu")
    found = replace(only(wave[0]), offset=0.0)
    plain, moved = restorer(wave, RATE, found), restorer(wave + np.float32(offset), RATE, found)
    assert np.std(plain - wave) > 0.1 * np.std(wave)  # something was done
    assert np.std(moved - offset - plain) < 0.01 * np.std(plain)
