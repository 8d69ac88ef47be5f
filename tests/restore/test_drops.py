"""Lost packets that a codec has filled with hiss, and what only looks like them."""

import io

import numpy as np
import pytest
import soundfile
from scipy.ndimage import uniform_filter1d

from helpers.speech import speech
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Damage
from voxmend.restore.detectors.drops import Drops, drops, falls_of

RATE = 16000


def noise_with(gaps, level_db, fade=0.0, rate=RATE):
    """4 s of white noise that is so much softer in some stretches, in seconds, after a fade."""
    time = np.arange(4 * rate) / rate
    softer = sum(np.clip(np.minimum((time - a) / max(fade, 1e-9), (b - time) / max(fade, 1e-9)),
                         0, 1) for a, b in gaps)
    wave = 0.1 * np.random.default_rng(0).standard_normal(len(time))
    return wave * 10 ** (level_db * softer / 20)


def found_by(spans, gaps=()):
    """What a detector counts of drops it has seen, beside gaps."""
    detector = Drops(RATE)
    detector.drops = list(spans)
    return detector.find(Damage(gaps=tuple(gaps))).gaps


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("level, expected", [(-20, 3), (-35, 3), (-9, 0)])
def test_a_drop_has_edges_and_depth(rate, level, expected):
    gaps = [(0.5, 0.52), (1.2, 1.24), (2.0, 2.09)]
    spans = np.array(drops(noise_with(gaps, level, rate=rate), rate)) / rate
    assert len(spans) == expected
    if expected:
        assert spans == pytest.approx(np.array(gaps), abs=0.0012)


def test_what_fades_or_is_long_is_no_drop():
    assert not drops(noise_with([(0.5, 0.58), (1.2, 1.28), (2, 2.08)], -35, fade=0.02), RATE)
    assert not drops(noise_with([(1.0, 1.2)], -35), RATE)
    assert not drops(noise_with([(0.5, 0.506), (1.2, 1.206)], -35), RATE)
    assert not drops(np.zeros(RATE), RATE) and not len(falls_of(np.ones(10), RATE))


@pytest.mark.parametrize("spans, gaps, expected", [
    ([(1, 1.02), (2, 2.02), (3, 3.021)], [], 3),
    ([(1, 1.02), (2, 2.02)], [], 0),
    ([(1, 1.02), (2, 2.03), (3, 3.045)], [], 0),
    ([(1, 1.02), (20, 20.02), (40, 40.02)], [], 0),
    ([(1, 1.02)], [(2, 2.02), (3, 3.02)], 3),
    ([(1, 1.02), (2, 2.02)], [(2.005, 2.01), (2.5, 2.51)], 2),
    ([], [(2, 2.02)], 1)])
def test_drops_count_beside_others_of_their_length(spans, gaps, expected):
    found = found_by(spans, gaps)
    assert len(found) == expected and set(gaps) <= set(found) and list(found) == sorted(found)


def test_a_drop_replaces_what_was_found_of_it():
    """A codec may leave nothing in the middle of a gap, which is found as a shorter one."""
    spans = [(1, 1.02), (2, 2.02), (3, 3.02)]
    assert list(found_by(spans, [(0.5, 0.51), (2.005, 2.01)])) == [(0.5, 0.51), *spans]


def test_packets_lost_before_opus_are_found():
    """Some of them: this voice's pulses leave little to fall where a packet begins between two."""
    wave = 2 * speech()[0]
    power = uniform_filter1d(wave**2, RATE // 50)
    loud = np.flatnonzero(power > 0.5 * np.mean(power))
    starts = [int(loud[np.abs(loud - at).argmin()]) for at in range(8000, len(wave), 8000)]
    for start in starts:
        wave[start:start + RATE // 50] = 0
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="OGG", subtype="OPUS")
    file.seek(0)
    [found] = analyse([soundfile.read(file, dtype="float32")[0][None]], RATE)
    assert len(found.gaps) >= 4
    assert all(b - a == pytest.approx(0.022, abs=0.004) for a, b in found.gaps)
    assert all(min(abs(a - start / RATE) for start in starts) < 0.004 for a, _ in found.gaps)
    [sound] = analyse([speech()], RATE)
    assert not sound.gaps
