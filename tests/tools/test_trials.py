import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import trials
from voxmend.models.pickled import read_checkpoint

RECIPE = """
from voxmend.training.recipes import PriorRecipe

class Quick(PriorRecipe):
    sigmas = (0.1,)

    def held_out(self, corpus):
        return super().held_out(corpus)[:2]

recipe = Quick(name="{name}", network="FrameConvNeXt", steps=4, batch=2, seconds=0.5, warmup=1,
               config=dict(channels={channels}, blocks=1))
"""


@pytest.fixture
def speech(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        (tmp_path / "speech" / part).mkdir(parents=True)
        soundfile.write(tmp_path / "speech" / part / "a.wav", 0.1 * rng.normal(size=48000), 16000)
    return tmp_path / "speech"


def recipe(folder: Path, name: str, channels: int) -> str:
    file = folder / f"{name}.py"
    file.write_text(RECIPE.format(name=name, channels=channels))
    return str(file)


def tables(capsys) -> list[list[list[str]]]:
    """Rows of what was printed, by tables, without their headers."""
    found: list[list[list[str]]] = []
    for line in capsys.readouterr().out.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells[:1] == ["trial"]:
            found.append([])
        elif cells and cells[0] != "---":
            found[-1].append(cells)
    return found


def test_each_trial_has_its_rows_then_and_later(speech, tmp_path, capsys):
    files = [recipe(tmp_path, "narrow", 8), recipe(tmp_path, "wide", 16)]
    out = str(tmp_path / "out")
    trials.main([out, *files, "--data", str(speech), "--every", "2"])
    ends, course = tables(capsys)
    assert [row[0] for row in ends] == ["narrow", "wide"]
    assert [row[0] for row in course] == ["narrow", "wide"]
    assert all(len(row) == 2 and "0.1: " in row[1] for row in course)  # the gain at sigma 0.1
    hours = 4 * 2 * 0.5 / 3600
    assert [float(row[3]) for row in ends] == pytest.approx([hours] * 2, abs=0.005)
    assert "0.1: " in ends[0][-1]
    networks = [json.loads((tmp_path / "out" / name / "prior.json").read_text())
                for name in ("narrow", "wide")]
    assert networks[0]["parameters"] < networks[1]["parameters"]
    trials.main([out])  # from what lies there
    assert tables(capsys) == [ends, course]
    trials.main([out, *files, "--data", str(speech)])  # which are done
    assert tables(capsys) == [ends, course]
    with pytest.raises(SystemExit):
        trials.main([out, *files])


class Clock:
    """A processor on which every look at the clock takes a second."""

    now = 0.0

    def process_time(self):
        self.now += 1
        return self.now


def test_the_processors_time_ends_a_trial_and_its_rates(speech, tmp_path, capsys, monkeypatch):
    """One that was stopped goes on with what is left."""
    monkeypatch.setattr(trials, "time", Clock())
    command = [str(tmp_path / "out"), recipe(tmp_path, "long", 8), "--data", str(speech)]
    rates, trapezoid = [], trials.recipes.trapezoid
    monkeypatch.setattr(trials.recipes, "trapezoid",
                        lambda *args: rates.append(trapezoid(*args)) or rates[-1])
    text = (tmp_path / "long.py").read_text().replace("steps=4", "steps=1000")
    (tmp_path / "long.py").write_text(text)
    trials.main([*command, "--minutes", "0.5"])
    assert rates[2] == 1 and rates[-1] < 0.4 and 5 < len(rates) < 25
    assert np.all(np.diff(rates) <= 0)
    folder = tmp_path / "out" / "long"
    (folder / "prior.json").unlink()
    steps = read_checkpoint(folder / "checkpoint.pt")["step"]
    trials.main([*command, "--minutes", "1.0"])
    assert steps < len(rates) < 2 * steps + 3 and rates[-1] < 0.4
    assert torch.load(folder / "checkpoint.pt")["seconds"] == pytest.approx(60, abs=8)
    assert steps < float(json.loads((folder / "prior.json").read_text())["training"]["steps"])
