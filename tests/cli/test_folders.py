"""Which files are read and where what is made of them goes: several, folders, pipes and links."""

import io
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.commands import run
from helpers.speech import voice
from voxmend import audio
from voxmend.dsp import degrade


@pytest.fixture
def files(wav, tmp_path):
    """Recordings in folders, quickly damaged by `quantise`."""
    for name in ("one/a.wav", "one/b.flac", "two/c.wav", "two/a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        wav(name, voice(0.2))
    return tmp_path


def quantise(capsys, *paths, options=()):
    return run(capsys, "degrade", "quantise", *paths, *options)


def names(folder):
    """What lies in a folder, sidecars left out."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")
            if path.is_file() and not path.name.endswith(".voxmend.json")}


def test_several_go_into_a_folder(files, capsys):
    out = files / "new" / "out"
    code, text = quantise(capsys, files / "one" / "a.wav", files / "two" / "c.wav", out)
    assert code == 0, text.err
    assert names(out) == {"a.wav", "c.wav"}
    assert soundfile.info(out / "c.wav").frames == 3200


def test_one_goes_into_a_folder_that_is_there_or_is_named_as_one(files, capsys):
    (files / "out").mkdir()
    assert quantise(capsys, files / "two" / "c.wav", files / "out")[0] == 0
    assert quantise(capsys, files / "two" / "c.wav", f"{files}/new/")[0] == 0
    assert names(files / "out") == names(files / "new") == {"c.wav"}


def test_folders_beside_files_keep_their_names(files, wav, capsys):
    code, text = quantise(capsys, files / "one", files / "two", wav("a.wav", voice(0.2)),
                          files / "out")
    assert code == 0, text.err
    assert names(files / "out") == {"one/a.wav", "one/b.flac", "two/a.wav", "two/c.wav", "a.wav"}


def test_links_to_folders_are_followed_once(files, tmp_path_factory, capsys):
    """Elsewhere; those within the folder are read where they are, and around it never end."""
    other = tmp_path_factory.mktemp("other")
    (other / "d.wav").write_bytes((files / "two" / "c.wav").read_bytes())
    for name, target in (("one/linked", other), ("one/again", other), ("one/round", files),
                         ("one/back", files / "one")):
        (files / name).symlink_to(target)
    (other / "circle").symlink_to(other)
    (other / "deep").mkdir()
    (other / "deep" / "e.wav").write_bytes((other / "d.wav").read_bytes())
    (files / "one" / "a_deep").symlink_to(other / "deep")
    code, text = quantise(capsys, files / "one", files / "out")
    assert code == 0, text.err
    made = names(files / "out")
    assert made == {"a.wav", "b.flac", "again/d.wav", "a_deep/e.wav"}


def test_a_folder_that_cannot_be_read_is_named(files, monkeypatch, capsys):
    def scandir(path, real=os.scandir):
        if Path(path).name in ("locked", ".Trash"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    (files / "one" / ".Trash").mkdir()
    monkeypatch.setattr(os, "scandir", scandir)
    assert quantise(capsys, files / "one", files / "sound")[0] == 0
    (files / "one" / "locked").mkdir()
    code, text = quantise(capsys, files / "one", files / "out")
    assert code == 2 and text.err.count("\n") == 1 and not (files / "out").exists()
    assert f"{files}/one/locked: Permission denied: make the folder readable" in text.err


def test_options_may_stand_between_paths(files, capsys):
    a, out = files / "one" / "a.wav", files / "out.wav"
    code, text = run(capsys, "degrade", "quantise", a, "--bits", 3, "--workers=1", out,
                     "--overwrite")
    assert code == 0, text.err
    assert len(np.unique(soundfile.read(out)[0])) <= 8


REFUSED = {
    "a file for three": (["one/a.wav", "two/c.wav", "two/a.wav"], "a.wav: the name of one file"),
    "a new file for two": (["one/a.wav", "two/c.wav", "x.wav"], "x.wav: the name of one file"),
    "the second for one": (["one/a.wav", "two/c.wav"], "c.wav: exists already"),
    "stdout for two": (["one/a.wav", "two/c.wav", "-"], "-: the name of one file; name a folder"),
    "same names": (["one/a.wav", "two/a.wav", "out"], "two/a.wav: goes to"),
    "itself": (["one/a.wav", "two/c.wav", "two"], "c.wav: is read itself; name a folder elsewhere"),
    "a folder in itself": (["one", "one/deep"], "lies in"),
    "nowhere": (["one/a.wav", "none/x.wav"], "no such folder as"),
    "alone": (["one/a.wav"], "name IN and OUT"),
    "none": ([], "name IN and OUT"),
}


@pytest.mark.parametrize("paths, word", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_put_is_refused(paths, word, files, capsys):
    before = {path: (files / path).read_bytes() for path in names(files)}
    code, text = quantise(capsys, *(path if path == "-" else files / path for path in paths))
    assert code == 2 and word in text.err and text.err.count("\n") == 1, text.err
    assert before == {path: (files / path).read_bytes() for path in names(files)}


def test_a_bad_one_of_several_does_not_stop_the_rest(files, capsys):
    (files / "one" / "bad.wav").write_text("text")
    code, text = quantise(capsys, files / "one" / "bad.wav", files / "one" / "none.wav",
                          files / "two" / "c.wav", files / "out")
    assert code == 2 and text.err.count("\n") == 2
    assert "bad.wav" in text.err and "none.wav: no such file" in text.err
    assert names(files / "out") == {"c.wav"}


@pytest.mark.parametrize("folder", [True, False])
def test_hidden_files_are_passed_over_and_others_named_once(folder, files, capsys):
    """As macOS, a killed run and people leave them; sidecars of inputs are ours."""
    one = files / "one"
    for name in ("._a.wav", ".hidden.wav", ".voxmend-12ab34cd.wav", "notes.txt", "cover.jpg",
                 "a.wav.voxmend.json"):
        (one / name).write_text("?")
    (one / ".git").mkdir()
    (one / ".git" / "x.wav").write_text("?")
    given = [one] if folder else [path for path in one.iterdir() if path.name[0] != "."]
    code, text = quantise(capsys, *given, files / "out")
    assert code == 0, text.err
    assert names(files / "out") == {"a.wav", "b.flac"}
    said = [line for line in text.out.splitlines() if "passed over" in line]
    assert len(said) == 1 and "notes.txt" in said[0] and "cover.jpg" in said[0]
    assert "json" not in said[0] and ".wav" not in said[0].replace("a.wav,", "")


@pytest.mark.parametrize("count", [245, 252])
def test_long_names(count, wav, prior, tmp_path, capsys):
    """252 characters: with `.wav` in them; nothing that is written beside exceeds 255 bytes."""
    name = "ä" + "n" * (count - 6) + ".wav"
    (tmp_path / "in").mkdir()
    wav(f"in/{name}", degrade.clip(voice(0.2), 0.1))
    command = ["declip", tmp_path / "in", tmp_path / "out", "--draws", 2, "--prior", prior,
               "--steps", 1, "--device", "cpu"]
    code, text = run(capsys, *command)
    assert code == 0, text.err
    assert len(names(tmp_path / "out")) == 2 and name in names(tmp_path / "out")
    assert all(len(os.fsencode(path.name)) <= 255 for path in (tmp_path / "out").iterdir())
    assert "1 of 1 files are finished already" in run(capsys, *command)[1].out


def feed(monkeypatch, path):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))


@pytest.mark.parametrize("ends", [("-", "-"), ("/dev/stdin", "/dev/stdout")])
def test_stdin_and_stdout(ends, files, capfdbinary, monkeypatch):
    from voxmend.cli import main

    feed(monkeypatch, files / "two" / "c.wav")
    assert main.main(["degrade", "quantise", *ends]) == 0
    text = capfdbinary.readouterr()
    wave, rate = soundfile.read(io.BytesIO(text.out))
    assert (len(wave), rate) == (3200, 16000) and b"0.2 s in" in text.err
    assert names(files) == {"one/a.wav", "one/b.flac", "two/c.wav", "two/a.wav"}


@pytest.mark.parametrize("empty", [True, False])
def test_nothing_goes_to_stdout_when_something_fails(empty, files, capfdbinary, monkeypatch):
    from voxmend.cli import main

    (files / "bad.wav").write_bytes(b"" if empty else b"text")
    feed(monkeypatch, files / "bad.wav")
    assert main.main(["degrade", "quantise", "-", "-"]) == 2
    text = capfdbinary.readouterr()
    assert text.out == b"" and text.err.startswith(b"voxmend: stdin.wav: ")
    assert text.err.count(b"\n") == 1


def test_a_closed_stdin_is_said(files, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)  # as Python has it where the descriptor is closed
    code, text = quantise(capsys, "-", files / "out.wav")
    assert code == 2 and text.err.startswith("voxmend: -: stdin is closed; ")
    assert not (files / "out.wav").exists()


def test_no_folder_of_stdin_is_told(files, capfd, monkeypatch):
    from voxmend.cli import main

    feed(monkeypatch, files / "two" / "c.wav")
    assert main.main(["mend", "-", "--dry-run"]) == 0
    assert capfd.readouterr().out.startswith("stdin.wav: ")


def test_no_folder_of_stdin_is_told_of_what_is_too_short(wav, tmp_path, capsys, monkeypatch):
    feed(monkeypatch, wav(wave=voice()[:, :300]))
    code, text = run(capsys, "enhance", "-", tmp_path / "out.wav", "--device", "cpu")
    assert code == 0 and text.err.startswith("voxmend: stdin.wav: too short")


def test_stdin_into_a_folder(files, capsys, monkeypatch):
    feed(monkeypatch, files / "two" / "c.wav")
    code, text = quantise(capsys, "-", files / "one" / "a.wav", files / "out")
    assert code == 0, text.err
    assert names(files / "out") == {"stdin.wav", "a.wav"}


@pytest.mark.parametrize("verb, options", [("declip", ["--draws", 2]), ("separate", [])])
def test_stdout_takes_one_recording(verb, options, files, prior, capsys):
    code, text = run(capsys, verb, files / "one" / "a.wav", "-", *options, *(
        ["--prior", prior] if verb == "declip" else []))
    assert code == 2 and "voxmend: -: " in text.err and text.err.count("\n") == 1


def test_a_pipe_is_written_through(files, capsys):
    pipe, found = files / "out.wav", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    code, text = quantise(capsys, files / "two" / "c.wav", pipe)
    reader.join(10)
    assert code == 0, text.err
    assert pipe.is_fifo() and len(soundfile.read(io.BytesIO(found[0]))[0]) == 3200
    assert not (files / "out.wav.voxmend.json").exists()


@pytest.mark.parametrize("dangling", [True, False])
def test_a_link_is_written_through(dangling, files, capsys):
    real, link = files / "real.wav", files / "link.wav"
    link.symlink_to("real.wav")
    if not dangling:
        real.write_text("mine")
        code, text = quantise(capsys, files / "two" / "c.wav", link)
        assert code == 2 and "link.wav: exists already" in text.err and real.read_text() == "mine"
    assert quantise(capsys, files / "two" / "c.wav", link, options=["--overwrite"])[0] == 0
    assert link.is_symlink() and not real.is_symlink() and soundfile.info(real).frames == 3200


def test_a_dry_run_needs_no_out(wav, tmp_path, capsys, monkeypatch):
    a, b = (wav(name, degrade.clip(voice(), 0.1)) for name in ("a.wav", "b.wav"))
    for paths, count in (([a], 1), ([a, tmp_path / "new.wav"], 1), ([a, b], 2), (["-"], 1),
                         ([a, b, tmp_path / "new"], 2), ([tmp_path], 2), (["-", "-"], 1)):
        feed(monkeypatch, a)
        code, text = run(capsys, "mend", *paths, "--dry-run")
        assert code == 0 and text.out.count("clipped at 0.1") == count, (paths, text)
    code, text = run(capsys, "mend", a, tmp_path / "none.wav", b, "--dry-run")
    assert code == 2 and "none.wav: no such file" in text.err and text.out.count("clipped") == 2
    assert names(tmp_path) == {"a.wav", "b.wav"}


def test_several_are_taken_apart_into_folders(files, prior, capsys):
    code, text = run(capsys, "separate", files / "one" / "b.flac", files / "two" / "c.wav",
                     files / "out", "--method", "voxmend", "--prior", prior, "--steps", 1,
                     "--device", "cpu")
    assert code == 0, text.err
    assert names(files / "out") == {f"{name}/speaker{k}.wav" for name in "bc" for k in (1, 2)}


def test_voices_go_into_no_file(files, capsys):
    code, text = run(capsys, "separate", files / "one" / "b.flac", files / "voices.flac")
    assert code == 2 and "voices.flac: the name of one file; name a folder" in text.err
    assert text.err.count("\n") == 1 and not (files / "voices.flac").exists()


def test_after_two_dashes_all_are_paths(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    audio.save("-a.wav", 0.1 * np.ones((1, 16000), np.float32), 16000)
    code, text = run(capsys, "degrade", "noise", "--seed", "3", "--", "-a.wav", "b.wav")
    assert code == 0 and (tmp_path / "b.wav").is_file(), text.err
    code, text = run(capsys, "degrade", "noise", "--", "-a.wav", "c", "--seed", "1")
    assert code == 2 and "no such file" in text.err and not (tmp_path / "1").exists()
