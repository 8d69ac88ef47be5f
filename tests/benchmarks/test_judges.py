"""Panels beside scores, and the spread of a mean."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.commands import run
from helpers.speech import voice
from voxmend import audio
from voxmend.benchmarks import dereverb, diffiner, diffsep, judges, protocols, restoration
from voxmend.benchmarks.scoring import RATE, Example, digest, fill, has_row, interval, measure
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


COMMANDS = [["all"], ["separate"], ["enhance", "--noise", "noise", "--voicebank", "pairs"],
            ["dereverb"], ["refine", "--noise", "noise", "--voicebank", "pairs"],
            ["protocol", "voicebank-demand"], ["protocol", "vctk-16k"], ["protocol", "libri2mix"]]


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    """Speech, noise, pairs and public sets of a file or two, named as the commands name them."""
    noise = 0.1 * np.random.default_rng(0).normal(size=(1, 8000)).astype(np.float32)
    waves = {f"data/{number}-1-0.wav": voice(0.5, seed=number) for number in range(2)}
    waves |= {"noise/a.wav": noise, "pairs/clean/a.wav": voice(0.5),
              "pairs/noisy/a.wav": voice(0.5) + noise, "clean/a.wav": voice(0.5),
              "noisy/a.wav": voice(0.5) + noise, "mix_clean/a.wav": voice(0.5), "s1/a.wav":
              voice(0.5), "s2/a.wav": voice(0.5, seed=1),
              "wav48_silence_trimmed/p360/p360_001_mic1.flac": voice(0.5)}
    for name, wave in waves.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        audio.save(tmp_path / name, wave, RATE, "PCM_16")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_judges_of_every_table_hear_every_row(command, panel, corpora, prior, monkeypatch,
                                                  capsys):
    """Whatever the systems make: here the original itself, of the first example."""
    for package in ("pesq", "pystoi"):
        pytest.importorskip(package)
    monkeypatch.setenv("VOXMEND_DNSMOS", "nowhere")
    monkeypatch.setattr(diffsep.separation, "breakdown", lambda *args: {})

    def measured(examples, method, name, network, progress, score):
        example = examples[0]
        return {"method": name, "si_snr_per_clip": [0.0], **score(example, example.clean)}

    for module in (restoration, diffsep, diffiner, dereverb, protocols):
        monkeypatch.setattr(module, "measure", measured)
    place = "." if command[0] == "protocol" else "data"
    options = [] if command[0] in ("protocol", "dereverb") else ["--prior", prior]
    code, text = run(capsys, "bench", *command, "--data", place, *options, "--judges", "--device",
                     "cpu", "--out", "out.json")
    assert code == 0, text.err
    cases = json.loads(Path("out.json").read_text())["cases"]
    for case, rows in cases.items():
        assert len(rows) > 1, case
        for row in rows:
            same = row["speaker_similarity"], row["speaker_similarity_ours"]
            assert same == pytest.approx((0, 0), abs=1e-6), (case, row)  # as `panel` tells it
    assert "speaker similarity | by our encoder" in text.out


def test_only_some_rows():
    labels = ["noisy", "Theirs (1.0)", "Theirs (1.0) + refined", "ours, 8 steps", "UnDiff, 9 calls"]
    assert [name for name in labels if has_row(name, ())] == labels[:-1]
    assert [name for name in labels if has_row(name, ("Theirs", "noisy"))] == labels[:3]
    assert [name for name in labels if has_row(name, ("UnDiff",))] == labels[-1:]


def test_a_table_without_rows_is_refused():
    with pytest.raises(ValueError, match="--only: no row"):
        fill({}, {"case": iter([])}, lambda: None)


def test_examples_are_told_apart_by_their_samples():
    wave = voice(0.1)[0]
    one, same, other = (Example(wave, damaged, Damage()) for damaged in
                        (wave, wave.astype(np.float64), wave + 1e-6))
    assert digest([one]) == digest([same]) != digest([other])
    assert len({digest(some) for some in ([one], [one, other], [other, one])}) == 3
    row = measure([one], lambda e: wave, "one", None, False, lambda *_: {"si_snr": 1.0})
    assert row["examples"] == digest([one])
