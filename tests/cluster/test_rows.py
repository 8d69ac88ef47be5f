"""Rows of a Ray data set: restored as in this process, and with what is wrong said in them."""

import numpy as np
import pytest

import voxmend
from helpers.speech import voice
from voxmend.cluster import rows
from voxmend.dsp import degrade


@pytest.mark.cluster
def test_rows_are_restored(ray, prior, wav, tmp_path):
    import ray.data

    clipped = degrade.clip(voice(1.0, 16000, 2), 0.05)
    path = wav("clipped.wav", clipped)
    options = {"prior": str(prior), "steps": 1, "device": "cpu", "precision": "fp32"}
    right = voxmend.Restorer("declip", **options)(clipped, 16000)
    given = [{"path": str(path), "speaker": "a"}, {"path": f"file://{path}", "speaker": "b"},
             {"path": str(tmp_path / "gone.wav"), "speaker": "c"}]
    found = voxmend.cluster.restore(ray.data.from_items(given), "declip", workers=1, **options)
    by_speaker = {row["speaker"]: row for row in found.take_all()}
    for speaker in "ab":
        row = by_speaker[speaker]
        assert row["sample_rate"] == 16000 and row["error"] == "" and row["path"]
        np.testing.assert_allclose(row["audio"], right, atol=1e-6)
    assert "gone.wav: no such file" in by_speaker["c"]["error"]
    assert by_speaker["c"]["audio"].size == 0


@pytest.mark.parametrize("shape", [(8000,), (1, 8000)])
def test_an_actor_restores_arrays_at_the_rate_that_a_task_raises_them_to(shape, prior):
    wave = voice(1.0, 8000).reshape(shape)
    options = {"prior": str(prior), "steps": 1, "device": "cpu", "precision": "fp32"}
    actor = rows._Mender("extend", options)
    for given in (wave, wave.tolist()):  # as numpy, and as a column of lists
        found = actor({"audio": given, "sample_rate": 8000, "speaker": "a"})
        assert found["sample_rate"] == 16000 and found["speaker"] == "a" and found["error"] == ""
        assert found["audio"].shape == (*shape[:-1], 16000)
        assert np.array_equal(found["audio"], voxmend.Restorer("extend", **options)(wave, 8000))
    bad = actor({"audio": np.full(shape, np.nan, np.float32), "sample_rate": 8000})
    assert "NaN" in bad["error"] and bad["audio"].size == 0
    assert bad["audio"].ndim == len(shape)


def test_a_task_that_nobody_knows_is_refused():
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="unknown task 'repair'; known: declip"):
        voxmend.cluster.restore(None, "repair")
