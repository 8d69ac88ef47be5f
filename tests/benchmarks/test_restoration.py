"""The benchmark counts, repeats itself and scores what it says."""

import json
import sys

import numpy as np
import pytest

from helpers.speech import voice
from voxmend import audio
from voxmend.benchmarks import diffsep, restoration, undiff
from voxmend.benchmarks.scoring import Example, measure, missing
from voxmend.cli.main import main
from voxmend.metrics.si_snr import si_snr
from voxmend.models import hub
from voxmend.restore.damage import Damage
from voxmend.restore.restorer import Restorer
from voxmend.restore.tasks import TASKS
from voxmend.systems.undiff import PAPER


@pytest.fixture
def data(tmp_path):
    for seed in range(2):
        audio.save(tmp_path / f"{seed}.wav", voice(1.0, seed=seed), 16000)
    return tmp_path


def test_loudest_part():
    wave = np.zeros(5000)
    wave[3000:3100] = 1
    part = restoration.loudest(wave, 1000)
    assert part.sum() == 100 and len(part) == 1000
    assert len(restoration.loudest(wave[:400], 1000)) == 400


def test_rows_calls_and_input_score(data, prior, hasty_spade):
    result = restoration.run("declip", data, None, str(prior), steps=(2,), progress=False)
    rows = {row["method"]: row for row in result["cases"]["declip"]}
    assert list(rows) == ["input", "cubic", "AR", "A-SPADE", "S-SPADE", "ours, 2 steps",
                          f"ours, {TASKS['declip'].untold.steps} steps (default)"]
    assert rows["ours, 2 steps"]["calls"] == 2 and rows["AR"]["calls"] == 0
    clean = audio.load(data / "0.wav", 16000)[0].astype(float)
    damaged = restoration.clipped(clean, 0).damaged
    x, y = clean - clean.mean(), damaged - damaged.mean()
    part = (x @ y) / (x @ x) * x  # SI-SNR by its definition
    expected = 10 * np.log10((part @ part) / ((y - part) @ (y - part)))
    assert rows["input"]["si_snr_per_clip"][0] == pytest.approx(expected, abs=0.01)
    again = restoration.run("declip", data, None, str(prior), steps=(2,), progress=False)
    assert [r["si_snr"] for r in again["cases"]["declip"]] == [r["si_snr"] for r in rows.values()]
    assert "| ours, 2 steps |" in restoration.markdown(result)


@pytest.mark.parametrize("name, task", [("extend-4k", "extend"), ("declip", "declip"),
                                        ("vocode", "vocode"), ("inpaint", None),
                                        ("denoise", None), ("mend", None)])
def test_undiff_is_the_papers_task_where_it_has_one(name, task, data, epsilon_prior):
    network = hub.load_prior(str(epsilon_prior), "cpu")
    (clip,) = restoration.load_clips(data, 1)
    methods = {label: method for label, method, _ in restoration.methods(
        name, network, 0, (), "cpu")}
    assert ("UnDiff, 5 calls" in methods) == (task is not None)
    if task:
        example = restoration.CASES[name].make(clip, 0)
        expected = Restorer(PAPER[task], network, device="cpu")(
            example.damaged, 16000, example.damage)
        assert np.array_equal(methods["UnDiff, 5 calls"](example), expected)


def test_undiff_has_a_row_if_it_is_named(data, epsilon_prior):
    result = restoration.run("vocode", data, 1, str(epsilon_prior), steps=(1,), progress=False,
                             only=("UnDiff",))
    (row,) = result["cases"]["vocode"]
    assert row["method"] == "UnDiff, 5 calls" and row["calls"] == 5


def test_clips_that_a_mean_leaves_out_are_counted():
    wave = voice(1.0)[0].astype(float)
    clips = [Example(k * wave, k * wave, Damage()) for k in (1, 0.5)]
    silent = [np.zeros_like(wave), 0.5 * wave + 0.01 * np.roll(wave, 7)]
    outputs = iter(silent)
    rows = [measure(clips, lambda e: e.damaged + 0.01 * np.roll(wave, 9), "noisy", None, False),
            measure(clips, lambda e: next(outputs), "silent", None, False)]
    assert rows[0]["missing"] == {} and rows[1]["missing"]["si_snr"] == 1
    assert rows[1]["si_snr"] == pytest.approx(si_snr(silent[1], clips[1].clean), abs=1e-4)
    line = "SI-SNR dB without 1 of 2 clips, where it has no meaning: silent"
    assert line in missing(rows) and missing(rows[:1]) == []


def test_a_missing_package_is_said_at_once(data, prior, monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    monkeypatch.setattr(restoration, "run_case", lambda *args: pytest.fail("began to work"))
    with pytest.raises(ImportError, match="pystoi is missing: pip install"):
        restoration.run("declip", data, None, str(prior), progress=False)


def test_every_case_runs(data, prior, hasty_spade):
    result = restoration.run("all", data, None, str(prior), steps=(1,), progress=False)
    assert list(result["cases"]) == list(restoration.CASES)
    assert result["detection"]["clean"]["gaps"] == 0
    mixture = result["cases"]["separate"][0]
    assert mixture["method"] == "mixture" and abs(mixture["si_snr"]) < 3


@pytest.mark.parametrize("names, alike", [(("LJ001-0001", "LJ002-0001"), 1),
                                          (("84-1-0", "174-1-0"), 0),
                                          (("84-1-0", "174-1-0", "84-2-0", "200-1-0"), 1)])
def test_mixtures_of_one_speaker_are_said_to_be_such(names, alike, tmp_path):
    files = [tmp_path / f"{name}.wav" for name in names]
    notes = restoration.one_speaker(tmp_path, files)
    assert len(notes) == min(alike, 1)
    assert not alike or f"{alike} of {len(names) // 2} mixtures" in notes[0]


@pytest.mark.parametrize("command, module, key", [
    (["declip"], restoration, "cases"), (["separate"], diffsep, "cases"),
    (["undiff", "--tables", "declip"], undiff, "tables")])
def test_a_run_that_is_cut_off_keeps_its_rows(command, module, key, data, prior, tmp_path,
                                              monkeypatch):
    monkeypatch.setenv("VOXMEND_DNSMOS", str(tmp_path / "nowhere"))
    whole, measured = module.measure, []

    def measure(examples, method, name, *args):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append(name)
        return whole(examples, method, name, *args)

    monkeypatch.setattr(module, "measure", measure)
    out = tmp_path / "tables.json"
    name = "--priors" if "undiff" in command else "--prior"
    assert main(["bench", *command, "--data", str(data), name, str(prior),
                 "--out", str(out)]) == 130
    (rows,) = json.loads(out.read_text())[key].values()
    assert [row["method"] for row in rows] == measured
    assert all(f"| {method} |" in out.with_suffix(".md").read_text() for method in measured)
