"""Clippers of one side, before an offset, and of peaks so sharp that few neighbours are equal."""

import numpy as np
import pytest
import torch

from helpers.speech import speech
from voxmend import audio
from voxmend.operators import Clip
from voxmend.restore.analysis import analyse
from voxmend.restore.detectors.clipping import find_pile

RATE = 16000


def pcm(wave):
    return (np.round(wave * 32768) / 32768).astype(np.float32)


def only(wave, rate=RATE):
    [found] = analyse([pcm(np.atleast_2d(wave))], rate)
    return found


@pytest.mark.parametrize("offset", [0.02, 0.08, -0.08, 0.13])
def test_levels_on_one_side_of_zero(offset):
    """Behind the clipper everything was shifted; the share is that of samples that are not 0."""
    wave = 2 * speech()[0].clip(-0.05, 0.05)
    [part], share = only(wave + offset).clipping, only(wave).clipped
    assert part.levels == pytest.approx((offset - 0.1, offset + 0.1), abs=2e-4)
    assert only(wave + offset).clipped == pytest.approx(share, rel=0.03)


@pytest.mark.parametrize("low, high", [(-0.1, 0.06), (-0.04, 0.1)])
def test_levels_at_different_distances_from_zero(low, high):
    [part] = only((2 * speech()[0]).clip(low, high)).clipping
    assert part.levels == pytest.approx((low, high), abs=2e-4)


@pytest.mark.parametrize("side", [-1, 1])
def test_what_passes_the_level_on_the_other_side_is_sound(side):
    wave = side * np.minimum(2 * side * speech()[0], 0.1)
    found = only(wave)
    assert {part.side for part in found.clipping} == {side}
    assert found.clipped == pytest.approx(np.mean(side * pcm(wave) > 0.0995), rel=0.03)
    assert str(side * 0.1) in found.describe()[0]


def test_sound_speech_with_an_offset_is_not_clipped():
    assert not only(speech()[0] + 0.1).clipping


def noise(rms=0.2, size=2 * RATE):
    return rms * np.random.default_rng(0).standard_normal(size)


def test_peaks_of_single_samples_are_clipped():
    """White noise passes 1.5 times its RMS for 3 samples or more in one run of 200."""
    assert not find_pile(pcm(noise()), RATE)
    assert find_pile(pcm(noise().clip(-0.3, 0.3)), RATE).level == pytest.approx(0.3, abs=1e-4)


def test_single_equal_samples_may_be_a_limiters():
    """Peaks that are all turned down to a ceiling, which no two samples in a row reach."""
    wave = noise()
    peaks = np.flatnonzero((wave[1:-1] > np.maximum(wave[:-2], wave[2:])) & (wave[1:-1] > 0.3)) + 1
    for peak in peaks:
        wave[peak - 1:peak + 2] *= 0.3 / wave[peak]
    assert not find_pile(pcm(wave.clip(-1, 0.3)), RATE)


def test_of_a_coarse_recording_equal_neighbours_say_nothing():
    """Of 100 steps up to its level."""
    assert not find_pile(np.round(noise().clip(-0.3, 0.3) / 0.003) * 0.003, RATE)


def test_what_comes_before_the_first_pile_counts():
    """A block that touches the level in a few samples is of the stretch that starts behind it."""
    wave = 2 * speech()[0]
    wave[:2 * RATE] *= 0.1
    wave[5000:5002] = 1.0
    found = only(wave.clip(-0.1, 0.1))
    assert found.clipping[0].start == 0


@pytest.mark.parametrize("rate, samples", [(44100, 352_768), (16000, 128_000)])
def test_stretches_begin_where_their_first_block_does(rate, samples):
    """The views that the detectors see of 44.1 kHz end in the midst of a half second."""
    wave = np.tile(audio.resample(speech(), 16000, rate)[0], 4)
    wave[samples:] = wave[samples:].clip(-0.3 * wave.max(), 0.3 * wave.max())
    [stretch] = only(wave, rate).clipping
    assert stretch.start == samples / rate and stretch.end >= len(wave) / rate


@pytest.mark.parametrize("side, low, high", [(0, -0.1, 0.5), (1, -torch.inf, 0.5),
                                             (-1, -0.1, torch.inf)])
def test_a_clipper_with_an_offset_is_two_bounds(side, low, high):
    operator = Clip(0.3, 0.0, offset=0.2, side=side)
    x, guess = torch.randn(2, 1, 1, 2000, generator=torch.Generator().manual_seed(0),
                           dtype=torch.float64)
    y = operator(x)
    torch.testing.assert_close(y, x.clamp(low, high))
    torch.testing.assert_close(operator(operator.project(guess, y)), y)
    torch.testing.assert_close(operator.project(x, y), x)
    marks = operator.evidence(y, guess).marks[:, :, 0]
    torch.testing.assert_close(marks, (x > high).double() - (x < low).double())
