"""Panels beside scores, and the spread of a mean."""

import numpy as np
import pytest

from helpers.speech import voice
from voxmend.benchmarks import judges
from voxmend.benchmarks.scoring import Example, interval, measure
from voxmend.metrics import table
from voxmend.restore.damage import Damage


@pytest.fixture
def panel(monkeypatch):
    """One judge, which tells the difference of the means."""
    class Encoder:
        embed = staticmethod(lambda wave: wave[:2])

    monkeypatch.setattr(judges, "load_encoder", lambda name, device: Encoder)
    monkeypatch.setattr(judges, "FIDELITY", {
        "speaker_similarity": lambda e, r, rate, encode=None: float(np.mean(e - r))})
    return judges.Panel()


def test_a_panel_stands_beside_the_scores(panel):
    wave = voice(0.1)[0]
    example = Example(wave, wave, Damage())
    scores = panel.beside(lambda example, estimate: {"si_snr": 1.0})(example, wave + 0.5)
    assert scores == pytest.approx({"si_snr": 1.0, "speaker_similarity": 0.5,
                                    "speaker_similarity_ours": 0.5}, abs=1e-6)


def test_of_voices_it_gives_the_mean_in_their_best_order(panel):
    voices = np.random.default_rng(0).normal(size=(2, 1000))
    swapped = voices[::-1] + np.array([[0.1], [0.3]])
    found = panel(Example(voices, voices.sum(0), Damage()), swapped)
    assert found["speaker_similarity"] == pytest.approx(0.2)


def test_the_interval_of_a_mean_is_that_of_the_normal_law():
    """x̄ ± 1.96 s/√n for many clips."""
    values = np.random.default_rng(1).normal(3, 2, 400)
    low, high = interval(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.03)
    assert interval([1.0]) is None and interval([1.0, np.nan]) is None
    assert interval([2.0, 2.0, np.inf]) == (2.0, 2.0)


def test_rows_have_intervals_and_tables_show_them_when_asked():
    wave = voice(0.1)[0]
    scores = iter([1.0, 3.0])
    row = measure([Example(wave, wave, Damage())] * 2, lambda e: wave, "one", None, False,
                  lambda example, estimate: {"si_snr": next(scores)})
    assert row["intervals"]["si_snr"] == (1.0, 3.0)
    assert "2.00 (1.00…3.00)" in table([row], {"si_snr": ("SI-SNR", 2)}, spread=True)[-1]
    assert table([row], {"si_snr": ("SI-SNR", 2)})[-1] == "| one | 2.00 |"


def test_a_transcript_is_asked_for_where_one_is_known(panel, monkeypatch):
    wave = voice(0.1)[0]
    monkeypatch.setattr(judges, "TRANSCRIPT", {"wer": lambda wave, text, rate: len(text)})
    panel.metrics["words_changed"] = lambda estimate, reference, rate: 0.0
    assert panel(Example(wave, wave, Damage(), said="word"), wave)["wer"] == 4
    assert "wer" not in panel(Example(wave, wave, Damage()), wave)
