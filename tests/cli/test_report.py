"""Pages as the command leaves them: of one recording, of a folder, and beside what verbs make."""

import io
import json
import os
import sys
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from helpers.commands import bad_inputs, run
from helpers.pages import Page
from helpers.pools import use_here
from helpers.speech import voice
from voxmend import audio
from voxmend.cli import html, running
from voxmend.dsp import degrade

QUICK = ["--steps", 1, "--device", "cpu"]


@pytest.fixture
def folder(wav, tmp_path):
    """A sound recording, two that are clipped, more and less, and one that is none."""
    (tmp_path / "in" / "sub").mkdir(parents=True)
    wav("in/a.wav", voice(1.0))
    wav("in/sub/b & <b>.wav", degrade.clip(voice(1.0), 0.05))
    wav("in/c.wav", degrade.clip(voice(1.0), 0.15))
    (tmp_path / "in" / "bad.wav").write_text("this is text")
    return tmp_path


def read(path):
    return Page(path.read_text(encoding="utf-8"))


def left(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_page_says_what_a_dry_run_says(wav, tmp_path, capsys):
    source = wav("in.wav", degrade.gaps(degrade.clip(voice(), 0.1), 16000)[0])
    said = run(capsys, "mend", source, "--dry-run")[1].out
    code, text = run(capsys, "report", source, tmp_path / "out.html")
    assert code == 0 and "out.html: 2.0 s in" in text.out, text.err
    page = read(tmp_path / "out.html")
    assert "; ".join(text for _, text in page.all("li")) == said.strip().partition(": ")[2]
    assert page.all("h1")[0][1] == "in.wav" and len(page.sounds) == 1
    entry = json.loads((tmp_path / "out.html.voxmend.json").read_text())
    assert entry["verb"] == "report" and entry["found"] == [text for _, text in page.all("li")]


def test_a_restored_one_is_shown_beside_it(wav, tmp_path, capsys):
    source, after = wav("in.wav", degrade.clip(voice(), 0.1)), wav("after.wav", voice())
    said = run(capsys, "mend", after, "--dry-run")[1].out.strip().partition(": ")[2]
    run(capsys, "report", source, tmp_path / "out.html", "--restored", after)
    page = read(tmp_path / "out.html")
    assert page.data["names"] == ["before", "after"]
    for (samples, _), path in zip(page.sounds, (source, after), strict=True):
        np.testing.assert_allclose(samples.T / page.data["scale"], audio.load(path, 16000),
                                   atol=1e-4)
    assert dict(zip([text for _, text in page.all("dt")], [text for _, text in page.all("dd")],
                    strict=True))["Found in the result"] == said


def test_a_folder_becomes_a_table_with_the_worst_first(folder, capsys):
    code, text = run(capsys, "report", folder / "in", folder / "out.html")
    assert code == 2 and text.err.count("\n") == 1 and "bad.wav" in text.err
    table = read(folder / "out.html")
    assert [text for _, text in table.all("a")] == ["sub/b & <b>.wav", "c.wav", "a.wav"]
    for told, name in table.all("a"):
        page = read(folder / unquote(told["href"]))
        assert page.all("h1")[0][1] == Path(name).name
    assert table.all("h1")[0][1] == "in"


def test_a_table_says_in_which_channel_damage_is(wav, tmp_path, capsys):
    clipped = degrade.clip(voice(1.0), 0.1)
    (tmp_path / "in").mkdir()
    wav("in/one.wav", np.concatenate([voice(1.0), clipped]))
    wav("in/both.wav", np.concatenate([clipped, clipped]))
    run(capsys, "report", tmp_path / "in", tmp_path / "out.html")
    one, both = sorted(text for _, text in read(tmp_path / "out.html").all("td")
                       if "clipped at 0.1" in text)  # capitals first
    assert both.startswith("clipped at 0.1") and "; R: clipped at 0.1" in one


def test_a_restored_folder_is_shown_beside_it(folder, wav, capsys):
    (folder / "out" / "sub").mkdir(parents=True)
    for name in ("a.wav", "sub/b & <b>.wav"):  # c.wav was not restored
        wav(f"out/{name}", 0.5 * voice(1.0))
    code, text = run(capsys, "report", folder / "in", folder / "out.html", "--restored",
                     folder / "out")
    assert code == 2 and text.err.count("\n") == 2 and "out/c.wav: no such file" in text.err
    table = read(folder / "out.html")
    assert [text for _, text in table.all("a")] == ["sub/b & <b>.wav", "a.wav"]
    page = read(folder / unquote(table.all("a")[0][0]["href"]))
    np.testing.assert_allclose(page.sounds[1][0].T / page.data["scale"], 0.5 * voice(1.0),
                               atol=1e-4)


def test_a_second_run_makes_what_has_changed(folder, wav, capsys):
    (folder / "in" / "bad.wav").unlink()
    command = ["report", folder / "in", folder / "out.html"]
    run(capsys, *command)
    before = {name: (folder / name).stat().st_mtime_ns for name in left(folder)}
    assert "3 of 3 pages are finished already" in run(capsys, *command)[1].out
    assert {name: (folder / name).stat().st_mtime_ns for name in left(folder)} == before
    (folder / "in" / "a.wav").unlink()
    wav("in/a.wav", degrade.clip(voice(1.0), 0.15))
    code, text = run(capsys, *command)
    assert code == 0 and "2 of 3 pages" in text.out
    order = [text for _, text in read(folder / "out.html").all("a")]
    assert order == ["sub/b & <b>.wav", "a.wav", "c.wav"]


def test_workers_make_the_same_pages(folder, monkeypatch, capsys):
    use_here(monkeypatch)
    run(capsys, "report", folder / "in", folder / "one.html")
    code, text = run(capsys, "report", folder / "in", folder / "two.html", "--workers", 2)
    assert code == 2 and "bad.wav" in text.err
    for name in ("a.wav.html", "sub/b & <b>.wav.html"):
        one, two = ((folder / f"{k}.pages" / name).read_bytes() for k in ("one", "two"))
        assert one == two


def test_several_recordings_become_a_table_and_stdin_a_page(folder, monkeypatch, capsys):
    assert run(capsys, "report", folder / "in" / "a.wav", folder / "in" / "c.wav",
               folder / "two.html")[0] == 0
    assert [text for _, text in read(folder / "two.html").all("a")] == ["c.wav", "a.wav"]
    kept = io.TextIOWrapper(io.BytesIO((folder / "in" / "c.wav").read_bytes()))
    monkeypatch.setattr(sys, "stdin", kept)
    assert run(capsys, "report", "-", folder / "one.html")[0] == 0
    assert read(folder / "one.html").all("li")


def test_long_recordings_are_read_where_they_are_worst(wav, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("voxmend.report.pages.LONGEST", 4.0)
    wave = voice(9.0)
    wave[:, 16000 * 7:16000 * 7 + 1600] = 0
    run(capsys, "report", wav("in.wav", wave), tmp_path / "out.html")
    page = read(tmp_path / "out.html")
    begin = page.data["begin"]
    assert begin == 5.0 and len(page.sounds[0][0]) == 4 * 16000
    np.testing.assert_allclose(page.sounds[0][0].T / page.data["scale"],
                               wave[:, 5 * 16000:], atol=1e-4)
    assert any(kind == "gaps" and start == pytest.approx(2.0, abs=0.01)
               for kind, start, _ in page.data["channels"][0]["spans"])
    code, _ = run(capsys, "report", tmp_path / "in.wav", tmp_path / "two.html", "--restored",
                     wav("short.wav", voice(1.0)))
    assert code == 0 and not read(tmp_path / "two.html").sounds[1][0].any()


def test_mend_leaves_its_page(wav, prior, tmp_path, capsys):
    source = wav("in.wav", degrade.clip(voice(1.0), 0.1))
    command = ["mend", source, tmp_path / "out.wav", "--prior", prior, *QUICK, "--draws", 2,
               "--report", tmp_path / "out.html"]
    assert run(capsys, *command)[0] == 0
    page = read(tmp_path / "out.html")
    assert page.data["names"] == ["before", "after"] and page.data["band"]
    np.testing.assert_allclose(page.sounds[1][0].T / page.data["scale"],
                               audio.load(tmp_path / "out.wav", 16000), atol=1e-4)
    details = {text for _, text in page.all("dd")}
    assert {"mend", "small", "16000 Hz"} <= details
    assert str(tmp_path) not in (tmp_path / "out.html").read_text()
    code, text = run(capsys, *command)
    assert code == 2 and "exists already" in text.err and text.err.count("\n") == 1
    assert run(capsys, *command, "--overwrite")[0] == 0


def test_a_page_changes_no_output_and_comes_later_as_well(folder, prior, capsys):
    command = ["declip", folder / "in", folder / "out", "--prior", prior, *QUICK]
    run(capsys, *command)
    before = (folder / "out" / "c.wav").stat().st_mtime_ns
    code, text = run(capsys, *command, "--report", folder / "out.html")
    assert code == 2 and "3 of 4 files are finished already" in text.out
    assert (folder / "out" / "c.wav").stat().st_mtime_ns == before
    table = read(folder / "out.html")
    assert [text for _, text in table.all("a")] == ["sub/b & <b>.wav", "c.wav", "a.wav"]
    for told, _ in table.all("a"):
        assert read(folder / unquote(told["href"])).data["names"] == ["before", "after"]


def test_voices_and_draws_and_vocoded_ones_have_pages(wav, prior, tmp_path, capsys):
    wave = wav("in.wav", voice(1.0))
    assert run(capsys, "separate", wave, tmp_path / "voices", "--method", "voxmend", "--prior",
               prior, *QUICK, "--report", tmp_path / "voices.html")[0] == 0
    assert read(tmp_path / "voices.html").data["names"] == ["recording", "speaker 1", "speaker 2"]
    assert run(capsys, "generate", tmp_path / "drawn", "-n", 2, "--seconds", 0.5, "--prior", prior,
               *QUICK, "--report", tmp_path / "drawn.html")[0] == 0
    [*links] = read(tmp_path / "drawn.html").all("a")
    assert [text for _, text in links] == ["0001.wav", "0002.wav"]
    assert read(tmp_path / links[0][0]["href"]).data["names"] == ["generated"]
    np.save(tmp_path / "mel.npy", np.full((80, 20), 0.1, np.float32))
    assert run(capsys, "vocode", tmp_path / "mel.npy", tmp_path / "mel.wav", "--prior", prior,
               *QUICK, "--report", tmp_path / "mel.html")[0] == 0
    assert read(tmp_path / "mel.html").data["names"] == ["after"]
    assert run(capsys, "refine", wave, wave, tmp_path / "fine.wav", "--prior", prior, *QUICK,
               "--report", tmp_path / "fine.html")[0] == 0
    assert read(tmp_path / "fine.html").data["names"] == ["noisy", "enhanced", "refined"]


@pytest.mark.parametrize("out, word", [("out.txt", ".html"), ("in", ".html"), ("in.wav", ".html"),
                                       ("none/out.html", "make it first")])
def test_a_page_has_the_name_of_one(out, word, wav, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    code, text = run(capsys, "report", wav(), tmp_path / out)
    assert code == 2 and word in text.err and text.err.count("\n") == 1
    assert left(tmp_path) == {"in.wav"}


def test_a_table_names_what_it_lacks(folder, prior, capsys):
    for command in (("report", folder / "in", folder / "a.html"),
                    ("mend", folder / "in", folder / "out", "--report", folder / "b.html",
                     "--prior", prior, *QUICK)):
        assert run(capsys, *command)[0] == 2
    for name in ("a", "b"):
        assert "1 more, of which nothing could be made: bad.wav." in (
            folder / f"{name}.html").read_text()


def test_a_name_that_is_no_utf_8_is_shown_as_far_as_it_can_be(folder, wav, capsys):
    (folder / "in" / "bad.wav").unlink()
    wav("é.wav").rename(folder / "in" / os.fsdecode(b"caf\xe9.wav"))
    code, text = run(capsys, "report", folder / "in", folder / "t.html")
    assert code == 0, text.err
    assert "caf%E9" in (folder / "t.html").read_text()


def test_bad_recordings_leave_no_page(tmp_path, capsys):
    for name in bad_inputs(tmp_path):
        before = left(tmp_path)
        code, text = run(capsys, "report", tmp_path / name, tmp_path / "out.html")
        assert code == 2 and text.err.count("\n") == 1 and name in text.err, text.err
        assert left(tmp_path) == before


@pytest.mark.parametrize("arguments, word", [
    ([], "name IN and OUT.html"), (["in.wav"], "name IN and OUT.html"),
    (["in.wav", "kept.html"], "exists already"),
    (["in.wav", "x.html", "--restored", "."], "two recordings or two folders"),
    (["in.wav", "in.wav", "x.html", "--restored", "in.wav"], "two recordings or two folders"),
    (["in.wav", "x.html", "--restored", "none.wav"], "no such file"),
    (["in.wav", "x.html", "--workers", "0"], "--workers must be at least 1")])
def test_what_cannot_be_shown_is_one_line(arguments, word, wav, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    wav()
    (tmp_path / "kept.html").write_text("mine")
    code, text = run(capsys, "report", *arguments)
    assert code == 2 and word in text.err and text.err.count("\n") == 1, text.err
    assert left(tmp_path) == {"in.wav", "kept.html"}
    assert (tmp_path / "kept.html").read_text() == "mine"


def test_pages_of_several_are_shared_as_the_work_was(folder, prior, monkeypatch, capsys):
    """By Ray as well: its number of workers may be far above what this machine bears."""
    shared = []
    monkeypatch.setattr(running, "run", lambda verb, plan: shared.append(
        (verb.name, verb.workers, verb.ray)) or 0)
    monkeypatch.setattr(html, "_is_made", lambda verb, job: True)
    for source, out in (("in", "out"), ("in/a.wav", "out.wav")):
        run(capsys, "mend", folder / source, folder / out, "--prior", prior, *QUICK, "--report",
            folder / f"{out}.html", "--ray", "local", "--workers", 64)
    assert shared == [("mend", 64, "local"), ("report", 64, "local"), ("report", None, None),
                      ("mend", 64, "local"), ("report", None, None)]


def test_what_writes_nothing_leaves_no_page(wav, tmp_path, capsys):
    source = wav()
    for option, name in (("--report", "page.html"), ("--plot", "picture.png")):
        code, text = run(capsys, "mend", source, "--dry-run", option, tmp_path / name)
        assert code == 2 and "--dry-run" in text.err and text.err.count("\n") == 1
    assert left(tmp_path) == {"in.wav"}


def test_a_report_is_refused_before_the_work(wav, prior, tmp_path, capsys):
    source = wav()
    (tmp_path / "kept.html").write_text("mine")
    for out, page, word in ((tmp_path / "out.wav", tmp_path / "kept.html", "exists already"),
                            (tmp_path / "out.wav", tmp_path / "page.txt", ".html"),
                            (tmp_path / "out.wav", tmp_path / "none" / "page.html", "make it"),
                            ("-", tmp_path / "page.html", "pipe")):
        code, text = run(capsys, "mend", source, out, "--prior", prior, *QUICK, "--report", page)
        assert code == 2 and word in text.err and text.err.count("\n") == 1
    assert left(tmp_path) == {"in.wav", "kept.html"}
