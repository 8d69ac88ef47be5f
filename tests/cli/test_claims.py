"""What is believed finished, what is in work elsewhere, and what killed runs leave."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread

import pytest
import soundfile

from helpers.commands import run
from helpers.speech import voice
from voxmend import audio
from voxmend.cli import claims, folders, jobs, restore, sidecars


@pytest.fixture
def two(wav, tmp_path):
    """A folder of two recordings, damaged quickly by `damage` into another."""
    (tmp_path / "in").mkdir()
    for name in ("in/a.wav", "in/b.wav"):
        wav(name, voice(0.2))
    return tmp_path


def damage(capsys, folder, kind="quantise", *options):
    return run(capsys, "degrade", kind, folder / "in", folder / "out", *options)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_sidecar_says_what_was_made_of_what_and_how(two, capsys):
    assert damage(capsys, two, "quantise", "--bits", 5)[0] == 0
    entry = json.loads((two / "out" / "a.wav.voxmend.json").read_text())
    source, out = (two / folder / "a.wav" for folder in ("in", "out"))
    assert entry["verb"] == "degrade" and entry["options"]["bits"] == 5
    assert entry["options"]["kind"] == "quantise" and "overwrite" not in entry["options"]
    status = source.stat()
    assert entry["inputs"] == [{"name": "a.wav", "bytes": status.st_size,
                                "modified": status.st_mtime_ns}]
    done = subprocess.run(["sha256sum", out], capture_output=True, text=True, check=True)
    assert entry["outputs"][0]["sha256"] == done.stdout.split()[0]
    assert entry["outputs"][0]["bytes"] == out.stat().st_size


def test_only_what_matches_is_passed_over(two, capsys):
    assert damage(capsys, two)[0] == 0
    first = content(two / "out")
    code, text = damage(capsys, two)
    assert code == 0 and "2 of 2 files are finished already" in text.out
    assert content(two / "out") == first

    def again(*options, kind="quantise"):
        code, text = damage(capsys, two, kind, *options)
        assert code == 0, text.err
        return [line for line in text.out.splitlines() if "done again" in line]

    (two / "out" / "a.wav").unlink()
    assert again() == [f"{two / 'out' / 'a.wav'}: done again, a.wav is gone"]
    assert content(two / "out")["a.wav"] == first["a.wav"]
    audio.save(two / "in" / "b.wav", voice(0.2, seed=1), 16000, "FLOAT", overwrite=True)
    assert again() == [f"{two / 'out' / 'b.wav'}: done again, b.wav has changed"]
    assert content(two / "out")["b.wav"] != first["b.wav"]
    os.utime(two / "in" / "b.wav", (1, 1))
    assert len(again()) == 1
    assert "with other options (bits)" in again("--bits", 3)[1]
    assert "with other options (bits, kind)" in again(kind="noise")[0]
    assert again(kind="noise") == []


def test_outputs_of_another_verb_are_made_again(two, prior, capsys):
    assert damage(capsys, two)[0] == 0
    command = ["declip", two / "in", two / "out", "--prior", prior, "--steps", 1, "--device", "cpu"]
    code, text = run(capsys, *command)
    assert code == 0 and text.out.count("done again, it was made by degrade") == 2
    assert "2 of 2 files are finished already" in run(capsys, *command)[1].out
    prior.touch()  # as if it were trained on
    assert "done again, it was made with other options (prior)" in run(capsys, *command)[1].out


@pytest.mark.parametrize("ours", [True, False])
def test_what_is_not_as_voxmend_wrote_it_is_kept(ours, two, capsys):
    """A file of the same name, or an output that somebody has worked on since."""
    if ours:
        assert damage(capsys, two)[0] == 0
    (two / "out").mkdir(exist_ok=True)
    (two / "out" / "a.wav").write_text("mine")
    code, text = damage(capsys, two)
    assert code == 2 and text.err.count("\n") == 1 and "a.wav: exists already" in text.err
    assert (two / "out" / "a.wav").read_text() == "mine" and (two / "out" / "b.wav").exists()
    assert damage(capsys, two, "quantise", "--overwrite")[0] == 0
    assert soundfile.info(two / "out" / "a.wav").frames == 3200


def test_an_output_that_was_only_copied_is_believed_by_its_hash(two, capsys):
    assert damage(capsys, two)[0] == 0
    os.utime(two / "out" / "a.wav", (1, 1))
    assert "2 of 2 files are finished already" in damage(capsys, two)[1].out


def test_json_files_of_others_are_kept(two, capsys):
    (two / "out").mkdir()
    for name in ("a.wav.json", "a.json"):
        (two / "out" / name).write_text("mine")
    assert damage(capsys, two)[0] == 0
    assert {(two / "out" / name).read_text() for name in ("a.wav.json", "a.json")} == {"mine"}


def test_a_sidecar_that_cannot_be_written_is_said_before_the_work(two, capsys, monkeypatch):
    (two / "out" / "a.wav.voxmend.json").mkdir(parents=True)
    worked = []
    work = jobs.Work(lambda *job: worked.append(job))
    monkeypatch.setattr(restore, "load_damager", lambda *_: work)
    code, text = run(capsys, "degrade", "clip", two / "in" / "a.wav", two / "out")
    assert code == 2 and "a.wav.voxmend.json: a folder" in text.err and text.err.count("\n") == 1
    (two / "file").write_text("mine")
    code, text = run(capsys, "degrade", "clip", two / "in", two / "file" / "out")
    assert code == 2 and text.err == f"voxmend: {two / 'file'}: a file; name a folder\n"
    assert not worked and [p.name for p in (two / "out").iterdir()] == ["a.wav.voxmend.json"]


def test_what_is_in_work_elsewhere_is_passed_over(two, capsys):
    with claims.claim([two / "out" / "a.wav"]):
        code, text = damage(capsys, two)
        assert code == 0 and (two / "out" / "b.wav").exists()
        assert f"a.wav: process {os.getpid()} on" in text.out
        assert not (two / "out" / "a.wav").exists()
        code, text = run(capsys, "degrade", "clip", two / "in" / "a.wav", two / "out" / "a.wav")
        assert code == 2 and f"process {os.getpid()} on" in text.err and text.err.count("\n") == 1
    assert "1 of 2 files are finished already" in damage(capsys, two)[1].out
    assert set(content(two / "out")) == {f"{name}.wav{end}" for name in "ab"
                                         for end in ("", ".voxmend.json")}


def test_what_another_process_has_finished_meanwhile_is_not_done_again(two, capsys):
    assert damage(capsys, two)[0] == 0
    plan = folders.make_plan([str(two / "in"), str(two / "out")])
    options = sidecars.settings(restore.Damaging(), kind="quantise")
    jobs.do(jobs.Verb("degrade", options, lambda: None), plan.jobs[0], None, several=True)
    assert "a.wav: finished by another process" in capsys.readouterr().out


@pytest.mark.parametrize("whole", [True, False])
def test_what_a_killed_run_left_is_settled_by_the_next(whole, two, capsys):
    """Outputs that were whole go to their places; others are removed."""
    code = ("import os, sys; from pathlib import Path; from voxmend.cli.claims import claim\n"
            "with claim([Path(sys.argv[1])]) as claimed:\n"
            "    claimed.made[0].write_text('whole')\n"
            "    if sys.argv[2:]: claimed.commit({})\n"
            "    os.kill(os.getpid(), 9)")
    subprocess.run([sys.executable, "-c", code, two / "out" / "x.wav", *["commit"][:whole]],
                   check=False)
    assert [path.name[:9] for path in (two / "out").iterdir()] == [claims.PREFIX]
    assert damage(capsys, two)[0] == 0
    left = {name: text for name, text in content(two / "out").items() if name[0] == "x"}
    assert left == ({"x.wav": b"whole", "x.wav.voxmend.json": b"{}\n"} if whole else {})
    assert not [path for path in (two / "out").iterdir() if path.is_dir()]


@pytest.mark.parametrize("place, word", [("../../gone/a.wav", "cannot be written"),
                                         ("../a.wav", "a folder, where a file is to go")])
def test_what_was_left_and_has_no_place_stops_no_others(place, word, two, capsys):
    left = two / "out" / f"{claims.PREFIX}0123456789abcdef"
    for folder in (left, two / "out" / "a.wav"):
        folder.mkdir(parents=True)
    (left / "lock").touch()
    (left / "a.wav").write_text("whole")
    (left / "moves.json").write_text(json.dumps({"a.wav": place}))
    descriptors = os.listdir("/proc/self/fd")
    code, text = run(capsys, "degrade", "clip", two / "in" / "b.wav", two / "out")
    assert code == 0 and (two / "out" / "b.wav").exists()
    assert word in text.err and f"or remove {left}" in text.err and text.err.count("\n") == 1
    assert os.listdir("/proc/self/fd") == descriptors
    assert (left / "a.wav").read_text() == "whole" and not list((two / "out" / "a.wav").iterdir())
    (two / "gone").mkdir()
    (two / "out" / "a.wav").rmdir()
    claims.tidy(two / "out")
    assert (left / place).resolve().read_text() == "whole" and not left.exists()


def test_of_files_half_written_only_old_ones_are_removed(tmp_path):
    """They have no lock, and outputs in work are folders."""
    old, new, others = (tmp_path / f".voxmend-{name}" for name in ("0123abcd.png", "4567abcd.png",
                                                                   "notes.txt"))
    for path in (old, new, others):
        path.touch()
    for path in (old, others):
        os.utime(path, (1, 1))
    claims.tidy(tmp_path)
    assert {*tmp_path.iterdir()} == {new, others} and not claims.in_work(tmp_path)
    with claims.claim([tmp_path / "a.wav"]):
        assert claims.in_work(tmp_path)


@pytest.mark.parametrize("note", ["", "{", "nothing"])
def test_a_note_that_was_cut_off_is_none(note, tmp_path):
    """As a power cut may leave it."""
    target = tmp_path / "a.wav"
    with claims.claim([target]) as claimed:
        claimed.made[0].write_text("half")
        (claimed.folder / "moves.json").write_text(note)
    assert not list(tmp_path.iterdir())


def test_links_into_missing_folders_are_refused(tmp_path):
    link, outputs = tmp_path / "a.noise.wav", [tmp_path / "a.wav", tmp_path / "a.noise.wav"]
    link.symlink_to(tmp_path / "gone" / "b.wav")
    with pytest.raises(audio.AudioError, match=r"a\.noise\.wav: a link to .* folder is missing"), \
            claims.claim(outputs):
        pytest.fail("its outputs would have no place")
    (tmp_path / "gone").mkdir()
    with pytest.raises(audio.AudioError, match="cannot be written"), \
            claims.claim(outputs) as claimed:
        for made in claimed.made:
            made.write_text("whole")
        claimed.commit({})
        (tmp_path / "gone").rmdir()
    assert (tmp_path / "a.wav").read_text() == "whole"
    (tmp_path / "gone").mkdir()
    claims.tidy(tmp_path)
    assert link.read_text() == "whole"  # nothing was lost


@pytest.mark.parametrize("committed", [True, False])
def test_an_interrupt_leaves_all_or_nothing(committed, tmp_path):
    target = tmp_path / "new" / "deep" / "a.wav"
    with pytest.raises(KeyboardInterrupt), claims.claim([target]) as claimed:
        claimed.made[0].write_text("whole")
        if committed:
            claimed.commit({})
        raise KeyboardInterrupt
    assert sorted(path.name for path in tmp_path.rglob("*")) == (
        ["a.wav", "a.wav.voxmend.json", "deep", "new"] if committed else [])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_moment_of_a_claim_leaves_nothing(number, tmp_path, monkeypatch):
    """The lock is taken and nobody has noted it yet."""
    def take(folder, real=claims._lock):
        lock = real(folder)
        signal.raise_signal(number)
        return lock

    usual = signal.default_int_handler  # SIGINT may be ignored, as of what runs in the background
    before = {kind: signal.signal(kind, usual) for kind in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(claims, "_lock", take)
    with (pytest.raises(KeyboardInterrupt),
          claims.claim([tmp_path / "new" / "a.wav"])):
        pytest.fail("it waits for the end of the steps, not for that of the work")
    assert [signal.signal(kind, handler) for kind, handler in before.items()] == [usual, usual]
    assert not list(tmp_path.iterdir())


def test_a_second_signal_does_not_part_the_end_of_a_claim(tmp_path, monkeypatch):
    def settle(folder, keep=False, real=claims.settle):
        if not keep:
            signal.raise_signal(signal.SIGINT)
        real(folder, keep)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(claims, "settle", settle)
        with pytest.raises(KeyboardInterrupt), claims.claim([tmp_path / "new" / "a.wav"]):
            raise KeyboardInterrupt
    finally:
        signal.signal(signal.SIGINT, before)
    assert not list(tmp_path.iterdir()) and not claims._held


def test_the_thread_that_ends_a_process_waits_for_what_is_being_settled(tmp_path, monkeypatch):
    """Else the process would end in the midst of it, and leave the rest."""
    slow, over = Event(), []

    def rmtree(path, real=shutil.rmtree):
        slow.set()
        time.sleep(0.3)
        real(path)

    def end():
        slow.wait(20)
        claims.settle_held()
        over.append([*tmp_path.iterdir()])

    monkeypatch.setattr(claims.shutil, "rmtree", rmtree)
    ending = Thread(target=end)
    ending.start()
    with claims.claim([tmp_path / "a.wav"]) as claimed:
        (claimed.folder / "folder").mkdir()
    ending.join()
    assert over == [[]]


def test_a_full_device_is_named(wav, capsys):
    """It is written through: what is made for it lies elsewhere, and is a wav."""
    code, text = run(capsys, "degrade", "clip", wav(), "/dev/full")
    assert code == 2 and text.err.startswith("voxmend: /dev/full: cannot be written (no space")
    assert text.err.count("\n") == 1


def test_a_pipe_without_a_suffix_takes_a_wav(wav, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        code, text = run(capsys, "degrade", "clip", wav(), tmp_path / "pipe", "--overwrite")
        assert code == 0 and reader.stdout.read(4) == b"RIFF", text.err


def test_errors_name_outputs_and_not_where_they_are_in_work(wav, tmp_path, capsys):
    code, text = run(capsys, "degrade", "clip", wav(), tmp_path / "out.xyz")
    assert code == 2 and f"voxmend: {tmp_path}/out.xyz: " in text.err
    code, text = run(capsys, "degrade", "clip", wav("r.wav", voice(0.2), 96000),
                     tmp_path / "out.mp3")
    assert code == 2 and f"voxmend: {tmp_path}/out.mp3: " in text.err


def test_a_full_disk_is_said_of_the_output(tmp_path):
    target = tmp_path / "a.wav"
    with pytest.raises(audio.AudioError, match="a.wav: cannot be written \\(no space left"), (
            claims.claim([target])) as claimed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(claimed.made[0]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.wav", "n" * 251 + ".wav", "ä" * 125 + ".wav", "n" * 300])
def test_names_beside_an_output_fit(name):
    found = {sidecars.sidecar(Path(name)).name, folders.uncertainty(Path(name)).name,
             folders.removed(Path(name)).name, folders.uncertainty(Path("b" + name[1:])).name}
    assert len(found) == 4 and all(len(os.fsencode(name)) <= 255 for name in found)
    assert all(other.startswith((name[0], "b")) for other in found)


def test_generating_goes_on_where_it_was(prior, tmp_path, capsys):
    command = ["generate", tmp_path, "--seconds", 0.2, "--prior", prior, "--steps", 1,
               "--device", "cpu"]
    assert run(capsys, *command, "-n", 1)[0] == 0
    first = (tmp_path / "0001.wav").read_bytes()
    code, text = run(capsys, *command, "-n", 2)
    assert code == 0 and "1 of 2 files are finished already" in text.out
    assert (tmp_path / "0001.wav").read_bytes() == first != (tmp_path / "0002.wav").read_bytes()
