"""Made conversations have the shares asked for, and known tracks the figures they should have."""

import numpy as np
import pytest
import torch

from helpers.speech import voice
from voxmend.benchmarks import conversations
from voxmend.systems.conversation import Conversation
from voxmend.systems.separator import Separator

RATE = conversations.RATE


@pytest.fixture(scope="module")
def speeches():
    rng = np.random.default_rng(0)
    waves = rng.standard_normal((2, 12 * RATE)).astype(np.float32)
    return list(waves * (np.sin(np.arange(12 * RATE) / RATE * 5) > -0.8))


@pytest.mark.parametrize("overlap", [0, 0.3, 0.6])
def test_conversations_have_the_overlap(overlap, speeches):
    voices = conversations.converse(speeches, 120, overlap, seed=1)
    np.testing.assert_array_equal(voices, conversations.converse(speeches, 120, overlap, seed=1))
    heard = np.abs(voices).reshape(2, -1, RATE // 2).max(2) > 0
    share = heard.all(0).sum() / heard.any(0).sum()
    assert abs(share - overlap) < 0.15 and heard.any(1).all()
    assert overlap or 0.1 < 1 - heard.any(0).mean() < 0.6


def test_a_monologue_is_of_one(speeches):
    assert conversations.converse(speeches[:1], 30, 0.5).shape == (1, 30 * RATE)


def test_figures_of_known_tracks(speeches):
    voices = conversations.converse(speeches, 60, 0.3, seed=2)
    assert conversations.swap_share(voices, voices) == 0
    np.testing.assert_allclose(conversations.own_share(voices, voices), 1, atol=1e-3)
    assert conversations.best_places(voices[::-1], voices) == [1, 0]
    late = voices.copy()
    late[:, 30 * RATE:] = late[::-1, 30 * RATE:]
    assert 0.3 < conversations.swap_share(late, voices) < 0.7
    assert conversations.own_share(late, voices).max() < 0.8
    leak = voices + 0.2 * voices[::-1]
    energy = np.square(voices).sum(1)
    np.testing.assert_allclose(conversations.own_share(leak, voices),
                               energy / (energy + 0.04 * energy[::-1]), atol=0.02)
    figures = conversations.score(voices[::-1] + 1e-3, voices)
    assert figures["swaps"] == 0 and figures["gain_db"] > 20


def test_enrolment_is_other_speech():
    """Before and after the loudest four seconds."""
    parts = (0.1, 3.0), (1.0, 4.0), (0.1, 5.0)
    wave = np.concatenate([gain * voice(seconds, RATE)[0] for gain, seconds in parts])
    told = conversations.enrolment(wave)
    start = next(n for n in range(0, 4 * RATE, 160)
                 if np.array_equal(conversations.loudest(wave, 4 * RATE), wave[n:n + 4 * RATE]))
    np.testing.assert_array_equal(told, np.delete(wave, slice(start, start + 4 * RATE))[:4 * RATE])
    assert len(told) == 4 * RATE


def test_systems_are_scored(speeches):
    """A perfect separator that swaps at every second segment, and ears for colour."""
    bright = np.diff(speeches[1], prepend=0)
    levels = np.array([1, 0.3], np.float32)[:, None]
    voices = levels * conversations.converse([speeches[0], bright], 40, 0.0, level_db=0, seed=3)
    starts = []

    def apart(mixture, begins, callback):
        (start,) = begins
        starts.append(start)
        part = voices[:, start:start + mixture.shape[-1]]
        order = [1, 0] if len(starts) % 2 else [0, 1]
        return torch.from_numpy(part[order] * float(mixture.std()) / part.sum(0).std())[None]

    def embed(wave):
        return np.array([0.0, 1.0] if wave[1:] @ wave[:-1] < -0.3 * wave @ wave else [1.0, 0.0])

    system = Conversation(Separator(apart, 2, RATE), embed)
    figures = conversations.of_two(system, voices)
    assert set(figures) == {"shared seconds", "embeddings", "truth"}
    for by in ("embeddings", "truth"):
        assert figures[by]["swaps"] == 0 and figures[by]["own_least"] > 0.99
        assert figures[by]["gain_db"] > 25
    assert conversations.picked(system, voices, [speeches[0], 0.1 * bright]) == [True, True]
    alone = Conversation(Separator(lambda mixture, *_: torch.cat([mixture, 0.1 * mixture], 1), 2,
                                   RATE), embed)
    assert conversations.of_one(alone, voices[0]) > 100
