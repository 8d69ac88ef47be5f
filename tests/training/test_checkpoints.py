"""What a run leaves on disk is whole, and what does not belong to it is named."""

import json

import pytest
import torch

from helpers.speech import CONFIG
from voxmend import audio
from voxmend.models import hub
from voxmend.models.pickled import CheckpointError, read_checkpoint
from voxmend.training import log, loop
from voxmend.training.log import drop_after, replacing
from voxmend.training.ranks import Ranks
from voxmend.training.recipes import PriorRecipe

RECIPE = PriorRecipe(name="tiny", network="FrameConvNeXt", steps=2, batch=2, seconds=0.25,
                     config=CONFIG)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A checkpoint of `RECIPE`."""
    run = loop.Run(RECIPE, tmp_path_factory.mktemp("saved"), torch.device("cpu"))
    run.save()
    return run.checkpoint


def resume(folder):
    loop.Run(RECIPE, folder, torch.device("cpu")).resume()


@pytest.mark.parametrize("change", [
    lambda state: {"state_dict": {}}, lambda state: [1, 2],
    lambda state: state | {"optimizers": []}, lambda state: state | {"ema": {}},
    lambda state: state | {"step": "none"},
    lambda state: state | {"weights": {name: t[:1] for name, t in state["weights"].items()}}])
def test_a_checkpoint_of_something_else_is_named(change, saved, tmp_path):
    torch.save(change(torch.load(saved)), tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/checkpoint\.pt: does not fit tiny \("):
        resume(tmp_path)


@pytest.mark.parametrize("size", [0, 5, 100, 5000, -200, -1])
def test_a_checkpoint_that_is_cut_off_is_named(size, saved, tmp_path):
    """5000 bytes are enough for PyTorch to take the file for one of its older format."""
    (tmp_path / "checkpoint.pt").write_bytes(saved.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/checkpoint\.pt: not read"):
        resume(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.pt"):
        read_checkpoint(tmp_path / "gone.pt")


class Full:
    """A file on a full disk, which takes so many bytes."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def write(self, content):
        self.left -= len(content)
        if self.left < 0:
            raise OSError(28, "No space left on device")
        return self.file.write(content)


@pytest.mark.parametrize("left", [0, 100, 20_000, 100_000])
def test_a_full_disk_leaves_the_last_checkpoint(left, saved, tmp_path, monkeypatch):
    """PyTorch's writer says something of its own, which names neither disk nor file."""
    run, save = loop.Run(RECIPE, tmp_path, torch.device("cpu")), torch.save
    run.save()
    before = run.checkpoint.read_bytes()
    monkeypatch.setattr(torch, "save", lambda state, file: save(state, Full(file, left)))
    with pytest.raises(audio.AudioError, match=rf"^{run.checkpoint}: .*No space left"):
        run.save()
    assert run.checkpoint.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_full_disk_is_told_of_log_and_weights(tmp_path, monkeypatch):
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    kept = log.Log(tmp_path / "log.jsonl", Ranks())
    with pytest.raises(audio.AudioError, match=r"log\.jsonl: .*No space left"), kept:
        kept.write(1, {"loss": 0.5})
    monkeypatch.setattr(hub, "save", lambda state: b"")

    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(audio.AudioError, match=r"a\.safetensors: .*No space left"):
        hub.save_prior(tmp_path / "a.safetensors", {}, {})


def test_lines_of_a_log_that_are_not_whole_are_dropped(tmp_path):
    """Those that are cut off, after any byte, those that follow them, and foreign ones."""
    path = tmp_path / "log.jsonl"
    lines = [json.dumps({"step": 1, "loss": 0.5}), json.dumps({"step": 2, "gain_db": {"1": 0.25}})]
    for size in range(len(lines[1])):
        path.write_text(f"{lines[0]}\n{lines[1][:size]}")
        drop_after(path, 2)
        assert path.read_text() == f"{lines[0]}\n"
    path.write_bytes(f'{lines[0]}\n{{"ste{lines[1]}\n\0\0\n[]\n{lines[1]}\n'.encode())
    drop_after(path, 2)
    assert path.read_text().splitlines() == lines
    drop_after(path, 1)
    assert path.read_text().splitlines() == lines[:1]


def test_what_fails_to_replace_a_file_leaves_it(tmp_path):
    (tmp_path / "a.pt").write_text("old")
    with pytest.raises(RuntimeError, match="mine"), replacing(tmp_path / "a.pt") as file:
        file.write(b"new")
        raise RuntimeError("mine")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.pt", "old")]
