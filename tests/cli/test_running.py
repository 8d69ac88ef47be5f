"""Many files, and one long one, by workers: the same samples as by one process."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from helpers.commands import run
from helpers.pools import Here, samples, use_here
from helpers.speech import voice
from voxmend.cli import claims, running
from voxmend.dsp import degrade

QUICK = ["--steps", 1, "--device", "cpu"]


@pytest.fixture
def here(monkeypatch):
    use_here(monkeypatch)


@pytest.fixture
def folder(wav, tmp_path):
    (tmp_path / "in").mkdir()
    for name, seconds in (("in/a.wav", 0.3), ("in/b.wav", 0.5), ("in/c.wav", 0.4)):
        wav(name, voice(seconds))
    (tmp_path / "in" / "bad.wav").write_text("this is text")
    return tmp_path


def content(folder):
    return {path.name: samples(path) for path in folder.iterdir() if path.suffix == ".wav"}


def test_a_folder_by_workers_is_as_by_one(folder, here, prior, capsys):
    command = ["extend", "--cutoff", 3000, folder / "in"]
    code, text = run(capsys, *command, folder / "one", "--prior", prior, *QUICK)
    assert code == 2
    shared = [*command, folder / "two", "--prior", prior, *QUICK, "--workers", 2]
    code, text = run(capsys, *shared)
    assert code == 2 and "bad.wav" in text.err and text.err.count("\n") == 1
    assert text.out.count("nothing above 3") == 3 and text.out.count(" s in ") == 3
    assert content(folder / "one") == content(folder / "two") and len(content(folder / "two")) == 3
    order = [job.inputs[0].name for job in Here.last.messages]  # the last first
    assert [name for name in order if name != "bad.wav"] == ["a.wav", "c.wav", "b.wav"]
    assert "3 of 4 files are finished already" in run(capsys, *shared)[1].out
    (folder / "one" / "a.wav").unlink()  # workers change no sample: outputs of either are believed
    code, text = run(capsys, *command, folder / "one", "--prior", prior, *QUICK, "--workers", 3)
    assert "2 of 4 files are finished already" in text.out
    assert content(folder / "one") == content(folder / "two")


def noisy(seconds, rate, channels):
    wave = np.tile(voice(5.0, rate, channels), -(-seconds // 5))[:, :seconds * rate]
    return wave + 0.01 * np.random.default_rng(0).standard_normal(wave.shape)


@pytest.mark.parametrize("verb, seconds, rate, channels, options", [
    ("denoise", 85, 8000, 1, []), ("extend", 61, 8000, 2, ["--draws", 2]),
    ("inpaint", 45, 11025, 2, ["--gaps", "19.2-19.25,39-39.1"]),
])
def test_one_long_file_by_workers_is_as_by_one(verb, seconds, rate, channels, options, here, prior,
                                               wav, tmp_path, capsys):
    source = wav("in.wav", noisy(seconds, rate, channels), rate)
    options = [*options, "--prior", prior, *QUICK]
    assert run(capsys, verb, source, tmp_path / "one.wav", *options)[0] == 0
    code, text = run(capsys, verb, source, tmp_path / "two.wav", *options, "--workers", 3)
    assert code == 0, text.err
    assert samples(tmp_path / "one.wav") == samples(tmp_path / "two.wav")
    if "--draws" in options:
        assert (samples(tmp_path / "one.uncertainty.wav")
                == samples(tmp_path / "two.uncertainty.wav"))
    assert len(Here.last.messages) == -(-(seconds - 2) // 19)  # segments of 20 s that share 1 s
    parts = [part for message in Here.last.messages for part in message.parts]
    assert parts and all(chunk.shape[1] <= 21 * rate for _, chunk in parts)


def test_refining_a_long_file_by_workers_is_as_by_one(here, prior, wav, tmp_path, capsys):
    wave = noisy(45, 8000, 1)
    paths = wav("noisy.wav", wave, 8000), wav("enhanced.wav", 0.9 * wave, 8000)
    for name, workers in (("one.wav", 1), ("two.wav", 2)):
        code, text = run(capsys, "refine", *paths, tmp_path / name, "--prior", prior, *QUICK,
                         "--workers", workers)
        assert code == 0, text.err
    assert samples(tmp_path / "one.wav") == samples(tmp_path / "two.wav")
    assert len(Here.last.messages) == 5  # of 10 s that share 1 s


def test_a_long_one_among_short_ones_is_shared(folder, here, prior, wav, capsys):
    wav("in/long.wav", noisy(30, 8000, 1), 8000)
    (folder / "in" / "bad.wav").unlink()
    code, text = run(capsys, "extend", folder / "in", folder / "out", "--prior", prior, *QUICK,
                     "--workers", 2)
    assert code == 0, text.err
    kinds = [type(message).__name__ for message in Here.last.messages]
    assert kinds == ["Group"] * 2 + ["Job"] * 3 and len(content(folder / "out")) == 4


def test_workers_that_are_lost_are_an_error_of_their_file(folder, here, prior, capsys, monkeypatch):
    def lose(self, messages, ordered=False):
        for number, message in enumerate(messages):
            lost = message.inputs[0].name == "b.wav"
            yield number, (running.Lost("3 workers died of it") if lost else
                           self.answer(self.loaded[0], message))

    monkeypatch.setattr(Here, "map", lose)
    (folder / "in" / "bad.wav").unlink()
    code, text = run(capsys, "extend", folder / "in", folder / "out", "--prior", prior, *QUICK,
                     "--workers", 2)
    assert code == 2 and text.err.count("\n") == 1 and "in/b.wav: 3 workers died" in text.err
    assert set(content(folder / "out")) == {"a.wav", "c.wav"}


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_workers_that_make_no_sense(count, wav, prior, tmp_path, capsys):
    code, _ = run(capsys, "declip", wav(), tmp_path / "o.wav", "--prior", prior, "--workers", count)
    assert code == 2 and not (tmp_path / "o.wav").exists()


def test_workers_begin_to_load_before_their_driver_does(wav, tmp_path):
    source, page = wav(), tmp_path / "page.html"
    commands = [[verb, source, tmp_path / f"{verb}.wav"] for verb in ("mend", "vocode", "enhance")]
    commands += [["refine", source, source, tmp_path / "refined.wav"],
                 ["generate", tmp_path / "out"],
                 ["mend", source, tmp_path / "mended.wav", "--report", page]]
    code = ("import sys; from voxmend.cli import main, running\n"
            "def stop(modules, threads):\n"
            "    print(*{'torch', 'scipy'} & {*sys.modules}); raise SystemExit\n"
            "running.warm_up = stop\n"
            f"for command in {[[*map(str, command)] for command in commands]}:\n"
            "    try: main.main([*command, '--workers', '2'])\n"
            "    except SystemExit: pass\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n" * len(commands) and not done.stderr


def test_real_workers_stop_at_once_and_leave_nothing(prior, wav, tmp_path):
    """The whole command, with processes: Ctrl-C goes to all of them, as a terminal sends it."""
    (tmp_path / "in").mkdir()
    for name in "abc":
        wav(f"in/{name}.wav", degrade.clip(np.tile(voice(10.0), 3), 0.1))
    child = subprocess.Popen(
        [sys.executable, "-m", "voxmend", "declip", tmp_path / "in", tmp_path / "out", "--prior",
         prior, "--steps", "500", "--workers", "2"], stderr=subprocess.PIPE, text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # noqa: PLW1509
    until = time.monotonic() + 120
    while (len(list((tmp_path / "out").glob(f"{claims.PREFIX}*"))) < 2
           and time.monotonic() < until):
        time.sleep(0.05)
    assert time.monotonic() < until
    os.killpg(child.pid, signal.SIGINT)
    error = child.communicate(timeout=30)[1]
    assert child.returncode == 130 and "Traceback" not in error and "interrupted" in error
    assert not (tmp_path / "out").exists()
