"""What is marked lies where the damage was made, and is said as `mend --dry-run` says it."""

import numpy as np
import pytest

from helpers.speech import speech, voice
from voxmend.dsp import degrade
from voxmend.report.marks import CLICK_SECONDS, spans, words, worst
from voxmend.restore.analysis import analyse
from voxmend.restore.damage import Clipping, Damage

ALL = Damage(clipping=(Clipping(0.3, 0.0, 2.0), Clipping(0.2, 2.0, 3.0)), cutoff=4000.0,
             low_cutoff=300.0, dull=None, gaps=((0.5, 0.6), (1.0, 2.5)), ends=((0.0, 0.1),),
             noise=0.01, coloured=0.02, hum=50.0, clicks=7, reverberation=0.6, clipped=0.03,
             rms=0.1)


def test_words_are_those_of_the_command_line():
    assert [text for _, text in words(ALL)] == ALL.describe()
    assert [kind for kind, _ in words(ALL)] == [
        "clipping", "cutoff", "low_cutoff", "gaps", "ends", "noise", "coloured", "hum", "clicks",
        "reverberation"]
    assert words(Damage(rms=0.1)) == [] and words(Damage()) == [("silence", "silence")]
    [(kind, text)] = words(Damage(rms=0.1, speech=False))
    assert kind == "speech" and text == Damage(rms=0.1, speech=False).describe()[0]


def test_gaps_are_marked_where_they_are():
    wave, present = degrade.gaps(speech(), 16000, 50, 500)
    [damage] = analyse([wave], 16000)
    marked = np.zeros(wave.shape[1], bool)
    for kind, start, end in spans(damage, wave[0], 16000):
        if kind == "gaps":
            marked[round(16000 * start):round(16000 * end)] = True
    heard = np.abs(speech()[0]) > 1e-3
    assert np.mean(marked[~present & heard]) > 0.9 and not np.any(marked & present & heard)


def test_clipped_samples_are_marked_and_no_others():
    wave = degrade.clip(voice(), 0.1)
    [damage] = analyse([wave], 16000)
    found = spans(damage, wave[0], 16000)
    assert {kind for kind, _, _ in found} == {"clipping"}
    marked = np.zeros(wave.shape[1], bool)
    for _, start, end in found:
        marked[round(16000 * start):round(16000 * end)] = True
    assert marked[np.abs(wave[0]) >= 0.1].all()
    edges = [(round(16000 * start), round(16000 * end) - 1) for _, start, end in found]
    assert all(np.abs(wave[0, list(pair)]).min() > 0.0995 for pair in edges)
    gaps = np.array(found)[1:, 1].astype(float) - np.array(found)[:-1, 2].astype(float)
    assert gaps.min() >= 0.01  # those that are nearer have one mark


def test_clicks_are_marked_where_they_are():
    wave = speech()
    places = np.arange(8000, 88000, 8000) + 37
    wave[:, places] += 0.8
    [damage] = analyse([wave], 16000)
    found = [start for kind, start, _ in spans(damage, wave[0], 16000) if kind == "clicks"]
    assert damage.clicks == len(found)
    nearest = [np.abs(places / 16000 - start).min() for start in found]
    assert len(found) >= 8 and max(nearest) < CLICK_SECONDS


def test_marks_of_a_piece_begin_with_it():
    damage = Damage(gaps=((1.0, 1.2), (3.0, 3.1), (9.0, 9.1)), rms=0.1,
                    clipping=(Clipping(0.5, 2.0, 4.0),))
    wave = np.zeros(16000 * 2)
    wave[100], wave[16000 + 200] = 0.9, -0.5  # at 2 s, of a piece that begins at 1.1 s
    assert spans(damage, wave, 16000, 1.1) == [
        ("gaps", 0.0, pytest.approx(0.1)),
        ("clipping", 1 + 200 / 16000, 1 + 201 / 16000),
        ("gaps", pytest.approx(1.9), pytest.approx(2.0))]


@pytest.mark.parametrize("seed", range(20))
def test_the_worst_stretch_is_that_of_all_that_could_be(seed):
    rng = np.random.default_rng(seed)
    firsts = rng.integers(0, 72, (2, rng.integers(1, 6))) / 8  # in eighths: many are equally bad
    edges = np.stack([firsts, firsts + rng.integers(0, 16, firsts.shape) / 8], -1)
    damages = [Damage(gaps=tuple(map(tuple, channel))) for channel in edges.tolist()]
    edges = np.minimum(edges.reshape(-1, 2), 9.0)
    starts = np.sort(np.clip(np.append(edges - 1, 0), 0, 6))
    ends = np.minimum(starts[:, None] + 3, edges[:, 1])  # of what is heard of each in 3 s
    inside = np.maximum(ends - np.maximum(starts[:, None], edges[:, 0]), 0).sum(1)
    assert worst(damages, 9.0, 3.0) == starts[np.argmax(inside)]


def test_many_gaps_are_no_burden():
    firsts = np.arange(100_000) / 8
    gaps = tuple(zip(firsts, firsts + 0.1, strict=True))
    assert worst([Damage(gaps=(*gaps, (9000.0, 9000.2)))], 12_500.0, 60.0) == pytest.approx(
        8940.225)  # the first that is a second before an edge and has all of that gap in it


def test_the_worst_minute_is_shown():
    few, many = ((10.0, 10.2),), tuple((300.0 + n, 300.1 + n) for n in range(20))
    start = worst([Damage(gaps=few + many)], 600, 60)
    assert 260.0 <= start <= 300.0  # all twenty are in it
    assert worst([Damage(gaps=((599.0, 599.5),))], 600, 60) == 540.0
    assert worst([Damage()], 600, 60) == 0.0 and worst([], 600, 60) == 0.0
    assert worst([Damage(gaps=many)], 50, 60) == 0.0
    whole = Damage(clipping=(Clipping(0.5, 0.0, np.inf),))
    assert worst([whole], 600, 60) == 0.0
    assert 439 <= worst([whole, Damage(gaps=((499.0, 500.0),))], 600, 60) <= 499
