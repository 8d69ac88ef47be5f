import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.blocks import ROOT
from voxmend import audio

SCRIPTS = sorted(file.stem for file in (ROOT / "examples").glob("*.py"))
DEMO = ROOT / "src" / "voxmend" / "demo"


@pytest.fixture
def script(tmp_path, monkeypatch, capsys):
    """Runs a script in a folder with a second of the clip; returns what it prints."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("clean", "damaged"):
        wave = audio.load(DEMO / f"{name}.flac", 16000)[:, 8000:24000]
        audio.save(tmp_path / f"{name}.wav", wave, 16000)
        audio.save(tmp_path / "folder" / f"{name}.wav", wave, 16000)
    (tmp_path / "folder" / "broken.wav").write_text("no sound")

    def run(name, *args):
        monkeypatch.setattr(sys, "argv", [name, *args])
        runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def figures(text):
    """The decibels that a script printed, in order."""
    return [float(number) for number in re.findall(r"(-?\d+\.\d+) dB", text)]


def test_every_script_is_listed_and_run():
    page = (ROOT / "examples/README.md").read_text()
    assert sorted(re.findall(r"^\| `(\w+)\.py`", page, re.MULTILINE)) == SCRIPTS
    run = re.findall(r'script\("(\w+)"', Path(__file__).read_text())
    assert {*run, "enhance_onnx"} == {*SCRIPTS}  # that one in tests/systems/test_export.py


def test_restore(script):
    said = script("restore", "damaged.wav", "out.wav")
    assert "clipped" in said and "gap" in said
    assert audio.load("out.wav", 16000).shape == audio.load("damaged.wav", 16000).shape


def test_batch_goes_on_after_a_broken_file(script, tmp_path):
    assert "broken.wav" in script("batch", "folder", "out")
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert made == ["clean.wav", "damaged.wav"]


def test_own_prior_takes_levels_of_items_and_channels():
    made = runpy.run_path(str(ROOT / "examples" / "own_prior.py"))
    prior = made["GaussianPrior"](audio.load(DEMO / "clean.flac", 16000)[0])
    x = torch.randn(2, 1, 4000, generator=torch.Generator().manual_seed(0))
    each = torch.cat([prior(x[:1], 0.1), prior(x[1:], 0.5)])
    for levels in (torch.tensor([0.1, 0.5]), torch.tensor([[0.1], [0.5]])):
        torch.testing.assert_close(prior(x, levels), each)


def test_stream_keeps_length_and_rate(script):
    script("stream_long_file", "damaged.wav", "out.flac")
    before, after = audio.Reader("damaged.wav"), audio.Reader("out.flac")
    assert (after.frames, after.sample_rate) == (before.frames, before.sample_rate)


def test_own_operator_gains(script):
    before, after = figures(script("own_operator", "clean.wav"))
    assert after > before + 2


def test_network_knows_more_than_a_gaussian(script):
    noisy, gaussian, network = figures(script("own_prior", "clean.wav"))
    assert noisy + 4 < gaussian < network


def test_every_pair_betters_clipping(script):
    before, *pairs = figures(script("compare_guidances", "clean.wav", "0.3"))
    assert len(pairs) == 12 and min(pairs) > before + 1 and len(set(pairs)) > 6


def test_draws_differ_in_gaps(script):
    said = script("uncertainty", "clean.wav", "2")
    spreads = [float(number) for number in re.findall(r"spread (\d+\.\d+)", said)]
    assert len(spreads) == 2 and min(spreads) > 1e-4


def test_own_denoiser_is_refined(script):
    audio.save("pauses.wav", audio.load(DEMO / "clean.flac", 16000)[:, :56000], 16000)
    noisy, subtracted, refined = figures(script("refine_own_denoiser", "pauses.wav"))
    assert noisy < subtracted < refined


def test_voices_come_apart(script):
    high, high_after, low, low_after = figures(
        script("separate_voices", "clean.wav").replace(" ->", " dB"))
    assert high_after > high + 5 and low_after > low + 5


def test_new_voices_are_steered(script, tmp_path):
    said = script("new_voices", "6", "new.npz")
    places = [float(place) for place in re.findall(r": ([+-]\d\.\d+) standard", said)]
    assert places == sorted(places) and "6 of them distinct" in said
    assert np.load(tmp_path / "new.npz")["embeddings"].shape == (6, 704)
