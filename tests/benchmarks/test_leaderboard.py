"""The page of every task and system."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from voxmend import audio
from voxmend.benchmarks import protocols
from voxmend.benchmarks.scoring import Example
from voxmend.restore.damage import Damage

TOOL = Path(__file__).parents[2] / "tools" / "leaderboard.py"


@pytest.fixture
def leaderboard():
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("leaderboard", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_orders_systems_and_links_their_sounds(leaderboard, tmp_path):
    rows = [{"method": name, "si_snr": value, "intervals": {"si_snr": [value - 1, value + 1]}}
            for name, value in (("worse (1.0)", 5.0), ("better", 7.0))]
    (tmp_path / "a.json").write_text(json.dumps({
        "version": "1", "clips": 2, "seconds": 4, "device": "cpu", "precision": "fp32",
        "machine": "a machine", "notes": ["A note."], "cases": {"Noise, at 5 dB": rows}}))
    wave, page = np.full(800, 0.5, np.float32), tmp_path / "page.md"
    example = Example(wave, wave, Damage())
    folder = tmp_path / "sounds" / "noise-at-5-db" / "better"
    method = protocols.kept(lambda e: 4 * e.damaged, [example], folder)
    np.testing.assert_array_equal(method(example), 4 * wave)  # what is scored is not scaled
    assert np.abs(audio.load(folder / "1.flac", 16000)).max() == pytest.approx(1, abs=1e-3)
    leaderboard.main(page, [tmp_path / "a.json"], tmp_path / "sounds")
    text = page.read_text()
    assert text.index("| better | 7.00 (6.00…8.00) |") < text.index("| worse (1.0) | 5.00")
    assert "2 clips of 4 s, voxmend 1, cpu, fp32: a machine" in text and "A note." in text
    assert "- better: [1](sounds/noise-at-5-db/better/1.flac)" in text
    assert "(page-noise-at-5-db.png)" in text and (tmp_path / "page-noise-at-5-db.png").is_file()
