"""Conversations: everybody stays in one place, however the network swaps, for any length."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from voxmend import audio
from voxmend.systems.conversation import Conversation
from voxmend.systems.places import Piece, Places, likeliest, states
from voxmend.systems.separator import Separator
from voxmend.systems.takes import cuts, put

RATE = 8000
KEYS = np.array([0.9, 0.0, -0.9])  # how each person's noise is coloured


def spoken(person, seconds, seed=0):
    """Noise of somebody's own colour."""
    noise = np.random.default_rng([person, seed]).standard_normal(round(seconds * RATE))
    wave = lfilter([1], [1, -KEYS[person]], noise)
    return (0.1 * wave / wave.std()).astype(np.float32)


def tracks(turns, seconds, people=2):
    """Who speaks from when to when: `[(person, begin, end), ...]`, in silence otherwise."""
    voices = np.zeros((people, round(seconds * RATE)), np.float32)
    for number, (person, begin, end) in enumerate(turns):
        wave = spoken(person, end - begin, number)
        voices[person, round(begin * RATE):][:len(wave)] = wave
    return voices


def embed(wave):
    """A unit vector that turns with the colour, with some noise."""
    wave = wave[::16000 // RATE].astype(np.float64)
    power = wave @ wave
    angle = 1.6 * (wave[1:] @ wave[:-1] / power if power else 0) + 0.05 * np.sin(1e4 * power)
    return np.array([np.cos(angle), np.sin(angle)])


def system(voices, order, channels=1, **options):
    """A perfect separator but for what `order(start, part)` makes of a part of the voices.

    Args:
        voices: `[K, T]`.
        order: of a segment of one channel, `(start, [K, n]) -> [K, n]`.
    """
    def apart(mixture, starts, callback):
        part = voices[:, starts[0]:starts[0] + mixture.shape[-1]]
        parts = np.stack([order(starts[0], part.copy()) for _ in range(channels)])
        scale = mixture.numpy().std() / part.sum(0).std()
        return torch.from_numpy(scale * parts).float()

    return Conversation(Separator(apart, len(voices), RATE), embed, power=0, **options)


def swapping(seed=0):
    rng = np.random.default_rng(seed)
    return lambda start, part: part[rng.permutation(len(part))]


def alone_first(start, part):
    """Whoever speaks alone is on the first track, as networks do it."""
    loud = np.abs(part) > 0
    return np.stack([part.sum(0), 0 * part[1]]) if not (loud.any(1).all()
                                                        and (loud[0] & loud[1]).any()) else part


def turns(seconds, seed=0, people=2, pause=(3.0, 5.0)):
    """One after another, in pauses longer than what segments share."""
    rng, found, time, number = np.random.default_rng(seed), [], 0.5, 0
    while time < seconds - 4:
        end = time + rng.uniform(2, 4)
        found.append((number % people, time, end))
        time, number = end + rng.uniform(*pause), number + 1
    return found


def check(found, voices, first=None):
    """Every track is one person's, all of it; returns whose each is."""
    match = np.abs(found @ voices.T)
    whose = match.argmax(1)
    assert sorted(whose) == list(range(len(voices)))
    np.testing.assert_allclose(found, voices[whose], atol=5e-3)
    assert first is None or whose[0] == first


@pytest.mark.parametrize("people", [2, 3])
def test_people_keep_their_places_over_pauses(people):
    voices = tracks(turns(100, people=people), 100, people)
    assert (voices == 0).all(0).mean() > 0.4
    whole = system(voices, swapping())
    check(whole(voices.sum(0), RATE), voices)
    plain = whole.separator(voices.sum(0), RATE)
    assert (np.abs(plain @ voices.T).max(1) < 0.95 * np.square(plain).sum(1)).any()


def test_who_speaks_alone_is_put_where_they_belong():
    both = [(0, 1, 4), (1, 2, 5)]
    voices = tracks(both + [(p, a + 8, b + 8) for p, a, b in turns(80, 1)], 90)
    check(system(voices, alone_first)(voices.sum(0), RATE), voices)


def test_nobody_need_ever_speak_with_another():
    """All is on the first track."""
    voices = tracks(turns(120, 2, pause=(1.5, 3)), 120)
    check(system(voices, lambda start, part: np.stack([part.sum(0), 0 * part[1]]))(
        voices.sum(0), RATE), voices)


@pytest.mark.parametrize("seconds", [1.3, 2, 4])
def test_two_who_speak_at_once_are_two_however_alike(seconds):
    voices = tracks([(0, 0, seconds), (1, 0, seconds)], seconds)
    found = replace(system(voices, swapping()), embed=lambda wave: np.array([1.0, 0.0]))(
        voices.sum(0), RATE)
    check(found, voices)


def test_noise_in_pauses_is_nobody():
    """A room 24 dB under the speech, whichever track has it."""
    people = tracks(turns(120, 4), 120)
    room = 10 ** (-24 / 20) * spoken(2, 120)
    voices = people + room * np.array([[1], [0]], np.float32)
    takes = system(voices, swapping()).take(
        audio.ArrayReader(voices.sum(0, keepdims=True), RATE))
    speech = people.any(0).sum() / RATE
    assert speech < 60
    heard = sum(piece.seconds.sum() for piece in takes[0].pieces)
    assert 0.5 * speech < heard < speech


def test_a_change_in_the_midst_of_a_segment_is_mended():
    voices = tracks([(0, 0.5, 3), (1, 1, 3), (0, 5, 8), (1, 5.5, 8)], 9)

    def changing(start, part):
        part[:, 4 * RATE:] = part[::-1, 4 * RATE:]
        return part

    check(system(voices, changing)(voices.sum(0), RATE), voices)


@pytest.mark.parametrize("seconds", [3, 60])
def test_one_person_is_one_voice(seconds):
    """Though every segment has them on another track."""
    voices = tracks([(0, t, t + 2) for t in np.arange(0.5, seconds - 2, 3)], seconds)
    found = system(voices, swapping(3))(voices.sum(0), RATE)
    np.testing.assert_allclose(found[0], voices[0], atol=5e-3)
    assert not found[1].any()


@pytest.mark.parametrize("person", [0, 1])
def test_a_given_person_comes_first(person):
    voices = tracks(turns(60, 4), 60)
    wave = audio.resample(spoken(person, 4, 99)[None], RATE, 16000)[0]
    found = system(voices, swapping(), reference=embed(wave))(voices.sum(0), RATE)
    check(found, voices, first=person)


def test_channels_stay_together():
    """Of a network that gives them in another order in each channel, the second turned round."""
    voices = tracks([(0, 0.3, 4), (1, 2, 5), *turns(60, 5)[2:]], 60)
    rng = np.random.default_rng(6)

    def apart(mixture, starts, callback):
        part = voices[:, starts[0]:starts[0] + mixture.shape[-1]]
        scale = mixture[0].numpy().std() / part.sum(0).std()
        return torch.from_numpy(np.stack([sign * scale * part[rng.permutation(2)]
                                          for sign in (1, -1)])).float()

    found = Conversation(Separator(apart, 2, RATE), embed, power=0)(
        voices.sum(0) * np.array([[1], [-0.5]], np.float32), RATE)
    assert found.shape == (2, 2, voices.shape[1])
    check(found[:, 0], voices)
    np.testing.assert_allclose(found[:, 1], -found[:, 0] / 2, atol=1e-5)


def test_hearings_have_segments_of_their_own():
    """Each is wrong near the ends of its segments, where the other is in the middle of one."""
    voices, heard = tracks(turns(100), 100), {}

    def hearing(name):
        def apart(mixture, starts, callback):
            heard.setdefault(name, []).append(starts[0] / RATE)
            part = voices[:, starts[0]:starts[0] + mixture.shape[-1]].copy()
            scale = float(mixture.std()) / part.sum(0).std()
            part[:, -3 * RATE:] *= np.array([[1.1], [0.9]])
            return torch.from_numpy(scale * part[None]).float()
        return apart

    once = Conversation(Separator(hearing("alone"), 2, RATE), embed, power=0)
    twice = replace(once, separator=replace(
        once.separator, hearings=(hearing("first"), hearing("second"))))
    mixture = voices.sum(0)
    errors = [np.square(system(mixture, RATE) - voices).sum() for system in (once, twice)]
    assert heard["first"] == list(range(0, 89, 8)) == heard["alone"]
    assert heard["second"] == list(range(4, 93, 8))
    assert errors[1] < 0.6 * errors[0]  # half of it in twice as many places: a half
    heard.clear()
    twice(mixture[:12 * RATE], RATE)
    assert heard == {"alone": [0]}


@pytest.mark.parametrize("rate, samples", [(8000, 5), (8000, 800), (11025, 30000), (4000, 12000)])
def test_odd_recordings_keep_their_length(rate, samples):
    separator = Separator(lambda mixture, *_: mixture.repeat(1, 2, 1) / 2, 2, RATE)
    whole = Conversation(separator, embed)
    wave = 0.1 * np.random.default_rng(0).standard_normal(samples).astype(np.float32)
    assert whole(wave, rate).shape == (2, samples)
    assert not whole(np.zeros(samples), rate).any()


def test_memory_does_not_grow():
    """Nor does what is read; voices wait in a file."""
    separator = Separator(lambda mixture, *_: mixture.repeat(1, 2, 1) / 2, 2, RATE)

    class Reader(audio.ArrayReader):
        def blocks(self, size=1 << 16):
            rng = np.random.default_rng(0)
            for start in range(0, self.frames, size):
                length = min(size, self.frames - start)
                yield 0.1 * rng.standard_normal((1, length), np.float32)

    peaks = []
    for seconds in (60, 600):
        reader = Reader(np.broadcast_to(np.float32(0), (1, seconds * RATE)), RATE)
        told = []
        tracemalloc.start()
        blocks = Conversation(separator, embed).stream(reader, told.append)
        total = sum(block.shape[1] for block in blocks)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert total == seconds * RATE == max(told)
    assert peaks[1] < 1.5 * peaks[0]


def test_pieces_are_cut_where_it_is_quiet():
    powers = np.ones(500)
    powers[[60, 130, 300]] = 0
    assert cuts(powers, 0, 500)[:3] == [0, 60, 130]
    assert all(50 <= b - a <= 175 for a, b in zip(cuts(powers, 0, 500), cuts(powers, 0, 500)[1:]))
    assert cuts(powers, 50, 40) == [50, 50]


def test_a_move_is_faded():
    voices = np.ones((2, 1, 100), np.float32) * np.array([1, 2], np.float32)[:, None, None]
    out = put(voices, [0, 50], np.array([[0, 1], [1, 0]]), 10)
    np.testing.assert_allclose(out.sum(0), 3)
    np.testing.assert_allclose(out[0, 0, [0, 44, 50, 56, 99]], [1, 1, 1.5, 2, 2])


def test_the_likeliest_way_is_found():
    """As by trying all of them."""
    rng = np.random.default_rng(0)
    scores, into = rng.standard_normal((5, 3)), rng.standard_normal((5, 3, 3))
    ways = np.stack(np.meshgrid(*[range(3)] * 5, indexing="ij"), -1).reshape(-1, 5)
    values = scores[range(5), ways].sum(1) + into[range(1, 5), ways[:, :-1], ways[:, 1:]].sum(1)
    way, value = likeliest(scores, into)
    np.testing.assert_array_equal(way, ways[values.argmax()])
    assert value == pytest.approx(values.max())
    assert states(2).tolist() == [[0, 1], [1, 0], [0, 0], [1, 1]] and len(states(3)) == 27


def test_what_cannot_be_told_apart_stays():
    """No embeddings at all: the network's own order."""
    pieces = [Piece(0, n, [None, None], np.zeros(2), np.zeros(2)) for n in range(3)]
    assert Places(pieces).ways.tolist() == [[0, 1]] * 3
