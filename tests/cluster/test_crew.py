"""Work by actors of Ray: as by one process, whatever becomes of an actor."""

import numpy as np
import pytest
import soundfile
import torch

from helpers import answers
from helpers.commands import run
from helpers.pools import samples
from helpers.speech import voice
from voxmend.cli import crew as crews
from voxmend.cli import running
from voxmend.cli.crew import Crew
from voxmend.cli.workers import Lost
from voxmend.models import hub


def content(folder):
    return {path.name: samples(path) for path in folder.iterdir() if path.suffix == ".wav"}


@pytest.mark.cluster
def test_a_folder_is_as_by_one_process(ray, wav, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name, seconds in (("a", 0.3), ("b", 0.5), ("c", 0.4)):
        wav(f"in/{name}.wav", voice(seconds))
    (tmp_path / "in" / "bad.wav").write_text("this is text")
    command = ["degrade", "noise", tmp_path / "in"]
    assert run(capsys, *command, tmp_path / "one")[0] == 2
    shared = [*command, tmp_path / "two", "--ray", "local"]
    code, text = run(capsys, *shared)
    assert code == 2 and "bad.wav" in text.err and text.err.count("\n") == 1
    assert text.out.count(" s in ") == 3
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert len(content(tmp_path / "two")) == 3
    assert not list((tmp_path / "two").glob(".*"))
    (tmp_path / "in" / "bad.wav").unlink()
    code, text = run(capsys, *shared)
    assert code == 0 and "3 of 3 files are finished already" in text.out


@pytest.mark.cluster
@pytest.mark.parametrize("ordered", [True, False])
def test_what_killed_actors_had_is_done_again_or_given_up(ordered, ray, tmp_path, monkeypatch):
    """Out of order, messages wait at the actors that die, and are lost with them at first."""
    monkeypatch.setattr(crews, "TRIES", 2)
    ray.cloudpickle.register_pickle_by_value(answers)
    messages = [("square", 0), ("die once", tmp_path / "once"), ("square", 2),
                ("die", tmp_path / "always"), ("square", 4), ("fail", ValueError, "bad")]
    with Crew("local", 2, answers.load, answers.answer) as crew:
        replies = list(crew.map(messages, ordered))
        assert ordered <= ([number for number, _ in replies] == [*range(6)])
        replies.sort(key=lambda reply: reply[0])
        assert [number for number, _ in replies] == [*range(6)]
        assert [reply for _, reply in replies[:3]] == [0, "die once", 4]
        assert isinstance(replies[3][1], Lost) and replies[4][1] == 16
        assert isinstance(replies[5][1], ValueError) and str(replies[5][1]) == "bad"
        assert list(crew.map([])) == []


@pytest.mark.cluster
def test_a_long_file_is_as_by_one_process(ray, prior, wav, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(running, "LEAST_SECONDS", 1.0)
    wave = np.tile(voice(5.0, 8000, 2), 13)
    wave += 0.01 * np.random.default_rng(0).standard_normal(wave.shape)
    command = ["denoise", wav("in.wav", wave, 8000)]
    options = ["--prior", prior, "--steps", 1, "--device", "cpu"]
    assert run(capsys, *command, tmp_path / "one.wav", *options)[0] == 0
    code, text = run(capsys, *command, tmp_path / "two.wav", *options, "--ray", "local",
                     "--workers", 1)
    assert code == 0, text.err
    one, two = (soundfile.read(tmp_path / name)[0] for name in ("one.wav", "two.wav"))
    np.testing.assert_allclose(one, two, atol=1e-6)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.cluster
def test_voices_of_a_long_file_are_as_by_one_process(ray, wav, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(running, "LEAST_SECONDS", 1.0)
    config = dict(channels=64, blocks=1, kernel=3, dilations=[1], expansion=1, attention=1)
    torch.manual_seed(0)
    state = hub.build_network("FrameSeparator", config).state_dict()
    weights = tmp_path / "tiny.safetensors"
    hub.save_prior(weights, {name: t + 0.02 * torch.randn(t.shape) for name, t in state.items()},
                   {"network": "FrameSeparator", "config": config, "prediction": "sources",
                    "sources": 2, "open_levels": False, "sample_rate": 16000})
    wave = np.tile(voice(5.0), 6) + np.tile(voice(3.0, seed=1), 10)
    command = ["separate", wav("in.wav", wave.astype(np.float32))]
    options = ["--weights", weights, "--device", "cpu"]
    assert run(capsys, *command, tmp_path / "one", *options)[0] == 0
    code, text = run(capsys, *command, tmp_path / "two", *options, "--ray", "local",
                     "--workers", 2)
    assert code == 0, text.err
    assert len(content(tmp_path / "one")) == 2
    for name in content(tmp_path / "one"):
        one, two = (soundfile.read(tmp_path / folder / name)[0] for folder in ("one", "two"))
        assert one.any()
        np.testing.assert_allclose(one, two, atol=1e-6)


@pytest.mark.cluster
def test_a_cluster_that_lacks_cores_is_said_in_a_line(ray, wav, tmp_path, capsys):
    code, text = run(capsys, "degrade", "noise", wav(), tmp_path / "o.wav", "--ray", "local",
                     "--workers", 3)
    assert code == 2 and text.err == "voxmend: --workers 3: the cluster has 2 cores\n"


@pytest.mark.parametrize("count", ["0", "-1"])
def test_actors_that_make_no_sense(count, wav, tmp_path, capsys):
    code, _ = run(capsys, "degrade", "noise", wav(), tmp_path / "o.wav", "--ray", "local",
                  "--workers", count)
    assert code == 2 and not (tmp_path / "o.wav").exists()
