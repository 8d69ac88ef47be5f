"""Rows of a Ray data set: restored as in this process, and with what is wrong said in them."""

import numpy as np
import pytest

import voxmend
from helpers.speech import voice
from voxmend.dsp import degrade


def test_rows_are_restored(ray, prior, wav, tmp_path):
    import ray.data

    clipped = degrade.clip(voice(1.0, 16000, 2), 0.05)
    path = wav("clipped.wav", clipped)
    options = {"prior": str(prior), "steps": 1, "device": "cpu", "precision": "fp32"}
    right = voxmend.Restorer("declip", **options)(clipped, 16000)
    rows = [{"path": str(path), "speaker": "a"}, {"path": f"file://{path}", "speaker": "b"},
            {"path": str(tmp_path / "gone.wav"), "speaker": "c"}]
    found = voxmend.cluster.restore(ray.data.from_items(rows), "declip", workers=1, **options)
    by_speaker = {row["speaker"]: row for row in found.take_all()}
    for speaker in "ab":
        row = by_speaker[speaker]
        assert row["sample_rate"] == 16000 and row["error"] == "" and row["path"]
        np.testing.assert_allclose(row["audio"], right, atol=1e-6)
    assert "gone.wav: no such file" in by_speaker["c"]["error"]
    assert by_speaker["c"]["audio"].size == 0


def test_arrays_are_restored_at_the_rate_that_a_task_raises_them_to(ray, prior):
    import ray.data

    wave = voice(1.0, 8000)[0]
    options = {"prior": str(prior), "steps": 1, "device": "cpu", "precision": "fp32"}
    right = voxmend.Restorer("extend", **options)(wave, 8000)
    rows = [{"audio": wave, "sample_rate": 8000}, {"audio": np.full(800, np.nan, np.float32),
                                                   "sample_rate": 8000}]
    good, bad = voxmend.cluster.restore(ray.data.from_items(rows), "extend", workers=1,
                                        **options).take_all()
    assert good["sample_rate"] == 16000 and good["audio"].shape == (16000,)
    np.testing.assert_allclose(good["audio"], right, atol=1e-6)
    assert "NaN" in bad["error"] and len(bad["audio"]) == 0


def test_a_task_that_nobody_knows_is_refused():
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="unknown task 'repair'; known: mend"):
        voxmend.cluster.restore(None, "repair")
