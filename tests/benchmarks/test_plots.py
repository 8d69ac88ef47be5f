"""The before-and-after picture."""

from helpers.speech import voice
from voxmend.benchmarks import plots


def test_picture_is_written_whole(tmp_path):
    plots.before_after(voice(1.0, 8000), voice(1.0), 8000, 16000, tmp_path / "a.png", "a")
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    header = (tmp_path / "a.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG")
    assert [int.from_bytes(header[i:i + 4], "big") for i in (16, 20)] == [1320, 660]
