"""Rows of a Ray data set: restored as in this process, and with what is wrong said in them."""

from unittest.mock import Mock

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
             {"path": str(tmp_path / "gone.wav"), "speaker": "c"}, {"path": None, "speaker": "d"}]
    ray.data.from_items(given).write_parquet(str(tmp_path / "given"))
    found = voxmend.cluster.restore(ray.data.read_parquet(str(tmp_path / "given")), "declip",
                                    **options)  # by all cores, which reading needs as well
    found.write_parquet(str(tmp_path / "made"))
    made = ray.data.read_parquet(str(tmp_path / "made"))
    by_speaker = {row["speaker"]: row for row in made.take_all()}
    for speaker in "ab":
        row = by_speaker[speaker]
        assert row["sample_rate"] == 16000 and row["error"] == "" and row["path"]
        np.testing.assert_allclose(row["audio"], right, atol=1e-6)
    assert "gone.wav: no such file" in by_speaker["c"]["error"]
    assert '"path" are missing' in by_speaker["d"]["error"]
    assert by_speaker["c"]["audio"].size == by_speaker["d"]["audio"].size == 0


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


WAVE = np.zeros(8000, np.float32)


@pytest.mark.parametrize("row, says, shape", [
    ({"audio": None, "sample_rate": 8000}, '"audio" and "path" are missing', (0,)),
    ({"audio": None, "sample_rate": None, "path": None}, '"audio" and "path" are missing', (1, 0)),
    ({"path": float("nan")}, '"audio" and "path" are missing', (1, 0)),  # as pandas has nulls
    ({"x": 1}, '"audio" and "path" are missing', (0,)),
    ({"audio": WAVE}, '"sample_rate" is missing', (0,)),
    ({"audio": WAVE[None], "sample_rate": None}, '"sample_rate" is missing', (1, 0)),
    ({"audio": WAVE, "sample_rate": float("nan")}, '"sample_rate" is missing', (0,)),
    ({"audio": WAVE, "sample_rate": "abc"}, "\"sample_rate\" 'abc': give a whole number", (0,)),
    ({"audio": WAVE, "sample_rate": 8000.5}, '"sample_rate" 8000.5: give a whole number', (0,)),
    ({"audio": [[0.1, 0.2], [0.1]], "sample_rate": 8000}, '"audio" is no array', (1, 0)),
    ({"audio": 0.5, "sample_rate": 8000}, '"audio" is no array', (0,)),
    ({"audio": [], "sample_rate": 8000}, "no samples", (0,)),
    ({"path": "none.wav", "sample_rate": "abc"}, "none.wav: no such file", (1, 0)),
])
def test_a_row_says_what_it_lacks(row, says, shape, prior):
    found = rows._Mender("denoise", {"prior": str(prior), "steps": 1, "device": "cpu"})(row)
    assert says in found["error"] and "\n" not in found["error"]
    assert found["audio"].shape == shape and isinstance(found["sample_rate"], int)


def test_a_file_is_read_where_the_array_is_null(prior, wav):
    actor = rows._Mender("denoise", {"prior": str(prior), "steps": 1, "device": "cpu"})
    path = str(wav("in.wav", voice(1.0, 8000, 2), 8000))
    found = actor({"audio": None, "sample_rate": None, "path": path})
    assert found["error"] == "" and found["audio"].shape == (2, 8000)
    assert found["sample_rate"] == 8000
    assert np.array_equal(found["audio"], actor({"path": path})["audio"])


@pytest.mark.parametrize("fault, says", [(RuntimeError("a\nb"), "a b"),
                                         (MemoryError(), "MemoryError")])
def test_what_fails_at_one_recording_is_said_in_its_row(fault, says, prior):
    actor = rows._Mender("denoise", {"prior": str(prior), "steps": 1, "device": "cpu"})
    actor.apply = Mock(side_effect=fault)
    found = actor({"audio": WAVE, "sample_rate": 8000})
    assert found["error"] == says and found["sample_rate"] == 8000 and found["audio"].size == 0


@pytest.mark.parametrize("dataset, kind", [(None, "NoneType"), ([{"path": "a.wav"}], "list")])
def test_what_is_no_data_set_is_refused_before_ray_starts(dataset, kind, monkeypatch):
    package = pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(package, "init", Mock(side_effect=AssertionError))
    monkeypatch.setattr(package, "is_initialized", lambda: False)
    with pytest.raises(ValueError, match=f"dataset of type {kind}: give a ray.data.Dataset"):
        voxmend.cluster.restore(dataset)


def test_a_task_that_nobody_knows_is_refused():
    pytest.importorskip("ray")
    with pytest.raises(ValueError, match="unknown task 'repair'; known: declip"):
        voxmend.cluster.restore(None, "repair")
