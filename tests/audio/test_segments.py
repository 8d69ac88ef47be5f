"""Segments: nothing is lost between them, memory is bounded, and voices keep their order."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from voxmend.audio import segments
from voxmend.audio.segments import Aligner, process

SEGMENT, OVERLAP = 1000, 200


def in_blocks(signal, size):
    return (signal[:, start:start + size] for start in range(0, signal.shape[1], size))


def ramp(samples, channels=2):
    return np.random.default_rng(0).standard_normal((channels, samples)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 10, 199, 999, 1000, 1001, 1199, 1200, 1201, 1799, 1800,
                                     1801, 2000, 2001, 7777, 12345])
@pytest.mark.parametrize("block", [1, 333, 100_000])
def test_identity_loses_nothing(samples, block):
    signal = ramp(samples)
    lengths = []

    def identity(chunk, start):
        np.testing.assert_array_equal(chunk, signal[:, start:start + chunk.shape[1]])
        lengths.append(chunk.shape[1])
        return chunk

    out = list(process(in_blocks(signal, block), identity, SEGMENT, OVERLAP))
    np.testing.assert_array_equal(np.concatenate(out, axis=1), signal)
    assert all(length == SEGMENT for length in lengths[:-1])
    assert lengths[-1] <= SEGMENT + OVERLAP
    assert len(lengths) == 1 if samples <= SEGMENT + OVERLAP else lengths[-1] > 2 * OVERLAP


def test_an_overlap_of_zero_is_allowed():
    out = process([ramp(5555)], lambda chunk, start: chunk, SEGMENT, 0)
    np.testing.assert_array_equal(np.concatenate(list(out), axis=1), ramp(5555))


def test_no_samples_give_no_blocks():
    assert list(process([], lambda chunk, start: chunk, SEGMENT, OVERLAP)) == []


def test_segments_are_cross_faded_in_the_middle_of_the_overlap():
    labels = process([ramp(4000, 1)], lambda chunk, start: np.full_like(chunk, start // 800),
                     SEGMENT, OVERLAP)
    label = np.concatenate(list(labels), axis=1)[0]
    for k in (1, 2, 3):
        fade = label[800 * k:800 * k + OVERLAP]
        assert (fade[:50] == k - 1).all() and (fade[-50:] == k).all()
        assert (np.diff(fade[50:-50]) > 0).all()
        assert (label[800 * (k - 1) + OVERLAP:800 * k] == k - 1).all()


@pytest.mark.parametrize("overlap", [0, 1, 2, 7, 200])
def test_crossfade_weights_of_both_segments_sum_to_one(overlap):
    weight = segments.crossfade(overlap)
    np.testing.assert_allclose(weight + weight[::-1], 1, atol=1e-6)


def test_a_function_may_change_its_chunk():
    def halve(chunk, start):
        chunk *= 0.5
        return chunk

    out = process([ramp(5000)], halve, SEGMENT, OVERLAP)
    np.testing.assert_array_equal(np.concatenate(list(out), axis=1), 0.5 * ramp(5000))


@pytest.mark.parametrize("ratio", [2, Fraction(1, 3), Fraction(160, 441), Fraction(441, 160)])
@pytest.mark.parametrize("samples", [5, 1001, 7777, 12345])
def test_another_output_rate(samples, ratio):
    def positions(n, start):
        return (np.arange(math.floor(n * ratio + Fraction(1, 2)))[None] + float(start * ratio))

    def function(chunk, start):
        assert (start * ratio).denominator == 1
        return positions(chunk.shape[1], start)

    out = process(in_blocks(ramp(samples), 500), function, SEGMENT, OVERLAP, Fraction(ratio))
    np.testing.assert_allclose(np.concatenate(list(out), axis=1), positions(samples, 0))


def test_starts_are_multiples():
    starts = []
    list(process([ramp(9999)], lambda chunk, start: starts.append(start) or chunk, SEGMENT,
                 OVERLAP, multiple=128))
    assert len(starts) > 5 and not any(start % 128 for start in starts)


def test_function_may_change_the_number_of_channels():
    out = process([ramp(5000)], lambda chunk, start: chunk[:1], SEGMENT, OVERLAP)
    np.testing.assert_array_equal(np.concatenate(list(out), axis=1), ramp(5000)[:1])


def test_progress_ends_at_the_end():
    seen = []
    list(process([ramp(5000)], lambda chunk, start: chunk, SEGMENT, OVERLAP, progress=seen.append))
    assert seen == sorted(seen) and seen[-1] == 5000


@pytest.mark.parametrize("segment, overlap", [(1000, 501), (0, 0), (100, -1)])
def test_impossible_segments_are_refused(segment, overlap):
    with pytest.raises(ValueError, match="overlap"):
        list(process([ramp(10)], lambda chunk, start: chunk, segment, overlap))


def test_a_function_that_loses_samples_is_refused():
    with pytest.raises(ValueError, match="expected"):
        list(process([ramp(10)], lambda chunk, start: chunk[:, 1:], SEGMENT, OVERLAP))


def test_memory_does_not_grow_with_length():
    def peak(blocks):
        tracemalloc.start()
        signal = (np.zeros((1, 5000), np.float32) for _ in range(blocks))
        for _ in process(signal, lambda chunk, start: chunk, 50_000, 5000):
            pass
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(800)[0] < 1.2 * peak(40)[0]


# The order of voices

def backwards(function, parts):
    """What others made, the last segment first, and what is beside it, in the right order."""
    outs = [function(chunk, start) for start, chunk in list(parts)[::-1]]
    return iter([np.concatenate([out, 2 * out]) for out in outs[::-1]])


@pytest.mark.parametrize("voices, channels", [(2, 1), (2, 2), (3, 2)])
def test_voices_keep_their_order(voices, channels):
    """Shuffled in every segment and channel, to the end, wherever segments are made."""
    rng = np.random.default_rng(0)
    true = rng.normal(size=(voices, 1, 9000)) * np.linspace(1, 0.3, channels)[:, None]
    align = Aligner(voices, channels, OVERLAP)

    def shuffled(chunk, start):
        out = np.empty((voices, channels, chunk.shape[1]))
        for channel in range(channels):
            out[:, channel] = true[rng.permutation(voices), channel,
                                   start:start + chunk.shape[1]]
        return out.reshape(voices * channels, -1)

    found = np.concatenate(list(process([true.sum(0)], shuffled, SEGMENT, OVERLAP, spread=backwards,
                                        arrange=align.arrange)), axis=1)
    found, beside = found.reshape(2, *true.shape)
    np.testing.assert_array_equal(beside, 2 * found)
    first = [next(k for k in range(voices) if np.allclose(voice, true[k])) for voice in found]
    assert sorted(first) == list(range(voices))


def test_where_one_voice_pauses_the_other_tells_the_order():
    """By where its larger share is, the rest having leaked."""
    voice = np.random.default_rng(0).normal(size=500)
    align = Aligner(2, 1, 200)
    assert align(np.stack([voice, 0 * voice])) == [0, 1]
    later = np.concatenate([voice[-200:], voice[:300]])
    assert align(np.stack([0.1 * later, 0.9 * later])) == [1, 0]


def test_where_nobody_speaks_channels_keep_one_order():
    """With residue in the shared samples and an order of its own in every channel."""
    rng = np.random.default_rng(0)
    voices = rng.normal(size=(2, 9000)) * [[1.0], [0.5]]
    step = SEGMENT - OVERLAP
    for start in range(step, 9000, step):
        voices[:, start:start + OVERLAP] = 0
    align, orders = Aligner(2, 2, OVERLAP), []
    for start in range(0, 9000 - SEGMENT, step):
        ways = [rng.permutation(2) for _ in range(2)]
        part = voices[:, start:start + SEGMENT]
        out = np.stack([part[way] for way in ways], 1).reshape(4, -1)
        found = align(out + 1e-4 * rng.normal(size=out.shape))
        orders.append([ways[row % 2][row // 2] for row in found])  # whose voice each row is
    assert len(orders) > 5 and all(o[0] == o[1] and o[2] == o[3] for o in orders)
