"""Signals in blocks."""

import numpy as np
import pytest

from voxmend.audio.blocks import after, mean_of


@pytest.mark.parametrize("first", [0, 3, 10, 14, 25, 40])
def test_what_comes_after_a_sample(first):
    signal = np.arange(50.0).reshape(2, 25)
    found = [*after(first, np.split(signal, [10, 14], axis=1))]
    assert all(block.shape[1] for block in found)
    np.testing.assert_array_equal(np.concatenate([signal[:, :0], *found], 1), signal[:, first:])


def test_a_mean_is_that_of_what_has_begun():
    ones, twos = np.ones((2, 700), np.float32), np.full((2, 500), 2, np.float32)
    found = np.concatenate(list(mean_of(
        {0: iter(np.split(ones, [100, 450], axis=1)), 200: iter(np.split(twos, [7, 300], axis=1))},
        100)), axis=1)
    assert found.shape == (2, 700)
    assert (found[:, :225] == 1).all()  # the ramp's first quarter is 0
    np.testing.assert_allclose(found[:, 250], 4 / 3, atol=0.02)  # weights 1 and 1/2
    assert (found[:, 275:] == 1.5).all()
