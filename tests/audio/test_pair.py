"""A recording and its enhancement side by side: what is made good, and what is refused."""

import numpy as np
import pytest

from helpers.speech import voice
from voxmend import audio
from voxmend.audio import ArrayReader, AudioError
from voxmend.audio.pair import Pair, correlate, side_by_side


def made(rate=16000, channels=1, seconds=2.0, noise=0.1, rate_of_it=None):
    """A noisy voice and a clean one."""
    clean = voice(seconds, rate, channels)
    noisy = clean + noise * np.random.default_rng(0).standard_normal(clean.shape)
    enhanced = audio.resample(clean, rate, rate_of_it or rate)
    return noisy.astype(np.float32), enhanced


def paired(noisy, enhanced, rate=16000, other=None):
    pair = Pair(ArrayReader(noisy, rate), ArrayReader(enhanced, other or rate))
    return pair, np.concatenate(list(pair.blocks()), axis=1)


def test_blocks_of_all_sizes_meet():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 1000)), rng.normal(size=(2, 900))
    for delay, expected in ((0, np.pad(other, ((0, 0), (0, 100)))),
                            (7, np.pad(other[:, 7:], ((0, 0), (0, 107)))),
                            (-7, np.pad(other, ((0, 0), (7, 93))))):
        blocks = list(side_by_side(np.split(one, [3, 400, 990], 1), np.split(other, [1, 5, 800], 1),
                                   delay))
        assert [b.shape[1] for b in blocks] == [3, 397, 590, 10]
        np.testing.assert_array_equal(np.concatenate(blocks, 1), np.concatenate([one, expected]))


def test_correlation_is_numpy_s():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 2, 500))
    products, energies = correlate([np.concatenate([one, other])], 20)
    expected = sum(np.correlate(b, a, "full")[499 - 20:499 + 21] for a, b in zip(one, other))
    np.testing.assert_allclose(products, expected)
    np.testing.assert_allclose(energies, [(one**2).sum(), (other**2).sum()])


@pytest.mark.parametrize("delay", [0, 40, -300])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_few_milliseconds_are_made_good(delay, channels):
    noisy, enhanced = made(channels=channels)
    moved = np.roll(enhanced, delay, axis=1)
    moved[:, slice(0, delay) if delay > 0 else slice(moved.shape[1] + delay, None)] = 0
    pair, both = paired(noisy, moved)
    assert pair.delay == delay and pair.channels == channels
    np.testing.assert_array_equal(both[:channels], noisy)
    inside = slice(300, -300)
    np.testing.assert_allclose(both[channels:, inside], enhanced[:, inside], atol=1e-6)


@pytest.mark.parametrize("theirs", [16000, 44100, 48000])
def test_another_rate_and_a_cut_end(theirs):
    noisy, enhanced = made(22050, rate_of_it=theirs)
    enhanced = enhanced[:, :-int(0.05 * theirs)]
    pair, both = paired(noisy, enhanced, 22050, theirs)
    assert both.shape == (2, noisy.shape[1]) and abs(pair.delay) <= 1
    there = both[1, 2000:40000]
    expected = audio.resample(audio.resample(voice(2.0, 22050), 22050, theirs), theirs, 22050)
    np.testing.assert_allclose(there, expected[0, 2000:40000], atol=2e-3)
    assert not both[1, -1000:].any()


def test_what_belongs_together_is_taken_as_it_is():
    noisy, enhanced = made()
    unlike = np.ascontiguousarray(-enhanced[:, ::-1])
    pair = Pair(*(ArrayReader(w, 16000) for w in (noisy, unlike)), aligned=True)
    np.testing.assert_array_equal(np.concatenate(list(pair.blocks()), axis=1)[1:], unlike)
    assert pair.delay == 0


def test_what_cannot_be_paired_is_said():
    noisy, enhanced = made(channels=2)
    late = np.pad(enhanced, ((0, 0), (640, 0)))[:, :-640]
    cases = [(enhanced[:1], "channels are 1, not 2"), (enhanced[:, :-3200], "lasts 1.80 s"),
             (voice(2.0, channels=2, seed=9)[:, ::-1], "hardly have anything in common"),
             (-enhanced, "sign is reversed"), (late, "begins 0.040 s later"),
             (np.pad(enhanced, ((0, 0), (0, 640)))[:, 640:], "begins 0.040 s earlier")]
    for other, word in cases:
        with pytest.raises(AudioError, match=word) as caught:
            paired(noisy, np.ascontiguousarray(other))
        assert "\n" not in str(caught.value)
