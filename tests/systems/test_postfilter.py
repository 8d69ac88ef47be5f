"""Leaks of other voices are attenuated as the gain says, what a voice has to itself stays."""

import numpy as np
import pytest

from voxmend.systems.postfilter import postfilter

RATE = 16000
TIMES = np.arange(2 * RATE) / RATE
ONE, OTHER = np.sin(2 * np.pi * np.array([[500.0], [3000.0]]) * TIMES).astype(np.float32)


def part_of(wave, tone):
    """How much of a tone there is, off the ends."""
    middle = slice(RATE // 2, 3 * RATE // 2)
    return float(wave[middle] @ tone[middle] / (tone[middle] @ tone[middle]))


@pytest.mark.parametrize("power", [0.15, 0.5, 1.0])
def test_a_leak_20_db_below_loses_what_its_share_says(power):
    voices = postfilter(np.stack([ONE + 0.1 * OTHER, OTHER + 0.1 * ONE]), RATE, power)
    assert part_of(voices[0], ONE) == pytest.approx((1 / 1.01) ** power, rel=1e-3)
    assert part_of(voices[0], OTHER) == pytest.approx(0.1 * (0.01 / 1.01) ** power, abs=1e-5)
    assert part_of(voices[1], ONE) == pytest.approx(part_of(voices[0], OTHER), abs=1e-5)


def test_voices_that_share_nothing_stay():
    voices = np.stack([ONE, 0 * ONE])
    np.testing.assert_allclose(postfilter(voices, RATE, 1.0), voices, atol=1e-5)
    np.testing.assert_allclose(postfilter(np.stack([ONE, OTHER]), RATE, 0.0), [ONE, OTHER],
                               atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 5), (3, 2, 1000), (2, 1, 44100)])
def test_channels_are_filtered_each_by_itself(shape):
    voices = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = postfilter(voices, 44100)
    assert found.shape == shape and found.dtype == np.float32
    if len(shape) == 3:
        alone = np.stack([postfilter(voices[:, c], 44100) for c in range(shape[1])], axis=1)
        np.testing.assert_allclose(found, alone, atol=1e-6)
    assert not postfilter(np.zeros(shape, np.float32), 44100).any()
