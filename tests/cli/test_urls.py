"""Recordings by URL, in memory and on a disk that only fsspec knows: as those of this machine."""

import io
import json
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

from helpers.commands import run
from helpers.pages import Page
from helpers.pools import Here
from helpers.speech import voice
from voxmend import audio
from voxmend.audio import urls
from voxmend.cli import running

UPath = pytest.importorskip("upath").UPath
QUICK = ["--steps", 1, "--device", "cpu"]


@pytest.fixture(params=["memory", "local"])
def store(request, wav, tmp_path):
    """A folder by URL with recordings in `in/`."""
    (tmp_path / "disk" / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.wav", "in/deep/b.flac"):
        wav(f"disk/{name}", voice(0.2))
    if request.param == "local":
        return UPath(f"local://{tmp_path}/disk")
    found = UPath(f"memory://{tmp_path.name}")
    for file in (tmp_path / "disk").rglob("*.*"):
        target = found / str(file.relative_to(tmp_path / "disk"))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return found


def noise(capsys, source, target, *options):
    return run(capsys, "degrade", "noise", source, target, *options)


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def read(path):
    return soundfile.read(io.BytesIO(path.read_bytes()))[0]


def test_a_folder_becomes_a_folder_and_is_taken_up_again(store, tmp_path, capsys):
    assert noise(capsys, tmp_path / "disk" / "in", tmp_path / "here")[0] == 0
    code, text = noise(capsys, store / "in", store / "out")
    assert code == 0 and f"{store / 'out' / 'a.wav'}: 0.2 s in" in text.out
    made = {"a.wav", "deep/b.flac"}
    assert names(store / "out") == made | {f"{name}.voxmend.json" for name in made}
    for name in made:
        assert np.array_equal(read(store / "out" / name), read(tmp_path / "here" / name))
    told, here = (json.loads((folder / "a.wav.voxmend.json").read_text())
                  for folder in (store / "out", tmp_path / "here"))
    assert told["outputs"][0]["sha256"] == here["outputs"][0]["sha256"]
    assert told["inputs"][0]["bytes"] == here["inputs"][0]["bytes"]
    assert "2 of 2 files are finished already" in noise(capsys, store / "in", store / "out")[1].out
    (store / "in" / "a.wav").write_bytes((store / "in" / "a.wav").read_bytes() + b"\0")
    code, text = noise(capsys, store / "in", store / "out")
    assert code == 0 and "1 of 2 files" in text.out and "a.wav has changed" in text.out


def test_from_here_to_there_and_back(store, tmp_path, capsys):
    here = tmp_path / "disk" / "in" / "a.wav"
    assert noise(capsys, here, store / "x.wav")[0] == 0
    assert noise(capsys, store / "in" / "a.wav", tmp_path / "x.wav")[0] == 0
    assert np.array_equal(read(store / "x.wav"), read(tmp_path / "x.wav"))
    code, text = noise(capsys, here, store / "x.wav")
    assert code == 2 and f"{store / 'x.wav'}: exists already" in text.err
    assert noise(capsys, here, store / "x.wav", "--overwrite", "--seed", 1)[0] == 0
    assert not np.array_equal(read(store / "x.wav"), read(tmp_path / "x.wav"))


@pytest.mark.parametrize("sent", [0, 1])
def test_what_was_not_sent_whole_is_made_again(sent, store, capsys, monkeypatch):
    """A failure before or after the output: never a sidecar, and no refusal the next time."""
    real, left = urls.send, [sent]

    def send(made, path):
        if left[0]:
            real(made, path)
        raise OSError("the network is gone")

    monkeypatch.setattr(urls, "send", send)
    code, text = noise(capsys, store / "in" / "a.wav", store / "x.wav")
    assert code == 2 and text.err.count("\n") == 1
    assert f"{store / 'x.wav'}: cannot be reached (the network is gone)" in text.err
    assert (store / "x.wav").exists() == bool(sent)
    assert not (store / "x.wav.voxmend.json").exists()
    monkeypatch.setattr(urls, "send", real)
    assert noise(capsys, store / "in" / "a.wav", store / "x.wav")[0] == 0
    assert {path.name for path in store.iterdir()} == {"in", "x.wav", "x.wav.voxmend.json"}


def test_what_is_wrong_is_said_with_its_url(store, capsys):
    code, text = noise(capsys, store / "gone.wav", store / "x.wav")
    assert (code, text.err) == (2, f"voxmend: {store / 'gone.wav'}: no such file: check the name\n")
    (store / "bad.wav").write_bytes(b"this is text")
    code, text = noise(capsys, store / "bad.wav", store / "x.wav")
    assert code == 2 and text.err.startswith(f"voxmend: {store / 'bad.wav'}: damaged, or not audio")
    code, text = run(capsys, "mend", store / "in", "--dry-run")
    assert code == 0 and text.out.count(f"{store / 'in'}/") == 2
    assert not (store / "x.wav").exists()


@pytest.mark.parametrize("url, says", [
    ("nowhere://bucket/a.wav", "no storage that fsspec knows"),
    ("adl://bucket/a.wav", "adl:// needs a package: pip install adlfs"),
])
def test_storage_that_is_not_there_is_said(url, says, wav, capsys):
    code, text = noise(capsys, wav(), url)
    assert code == 2 and text.err.count("\n") == 1 and f"voxmend: {url}: {says}" in text.err


def test_what_is_generated_or_separated_goes_there(store, prior, capsys):
    options = ["--prior", prior, *QUICK]
    code, text = run(capsys, "generate", store / "new", "-n", 2, "--seconds", 0.5, *options)
    assert code == 0, text.err
    code, text = run(capsys, "separate", store / "in" / "a.wav", store / "voices", "--method",
                     "voxmend", *options)
    assert code == 0, text.err
    made = {"0001.wav", "0002.wav"}
    assert names(store / "new") == made | {f"{name}.voxmend.json" for name in made}
    assert names(store / "voices") == {"speaker1.wav", "speaker2.wav", "speaker1.wav.voxmend.json"}
    assert read(store / "new" / "0001.wav").shape == (8000,)


def linked(table):
    """The pages that a table names, by their links; each says how its result was made."""
    links = [unquote(told["href"]) for told, _ in Page(table.read_text()).all("a")]
    pages = {link: Page((table.parent / link).read_text()) for link in links}
    assert all(("dt", {}, "Verb") in map(tuple, page.found) for page in pages.values())
    return {*pages}


@pytest.mark.parametrize("outputs, page", [(True, False), (False, True), (True, True)])
def test_pages_show_what_is_there_and_go_there(outputs, page, store, prior, tmp_path, capsys):
    options = ["--prior", prior, *QUICK]
    out, place = ((store if far else tmp_path) / "made" for far in (outputs, page))
    code, text = run(capsys, "mend", store / "in", out, *options, "--report",
                     place.with_suffix(".html"))
    assert code == 0, text.err
    assert linked(place.with_suffix(".html")) == {"made.pages/a.wav.html",
                                                  "made.pages/deep/b.flac.html"}
    code, text = run(capsys, "report", store / "in", store / "told.html", "--restored", out)
    assert code == 0, text.err
    assert linked(store / "told.html") == {"told.pages/a.wav.html", "told.pages/deep/b.flac.html"}


def test_what_is_drawn_there_is_shown_here(store, prior, tmp_path, capsys):
    code, text = run(capsys, "generate", store / "new", "-n", 1, "--seconds", 0.5, "--prior",
                     prior, *QUICK, "--report", tmp_path / "new.html")
    assert code == 0, text.err
    assert linked(tmp_path / "new.html") == {"new.pages/0001.wav.html"}


@pytest.mark.parametrize("arguments", [
    ["mend", "IN", "OUT", "--workers", 2], ["mend", "IN", "--dry-run"],
    ["mend", "IN", "IN", "OUT", "--dry-run"], ["report", "IN", "PAGE"]])
def test_storage_that_raises_errors_of_its_own_is_said(arguments, store, tmp_path, monkeypatch,
                                                       capsys):
    class Away(Exception):
        """As of botocore."""

    def ask(*_, **__):
        raise Away("no route")

    for name in ("info", "ls", "modified", "size", "isdir", "isfile", "exists"):
        monkeypatch.setattr(type(store.fs), name, ask)
    places = {"IN": store / "in" / "a.wav", "OUT": tmp_path / "o.wav", "PAGE": tmp_path / "o.html"}
    code, text = run(capsys, *(places.get(word, word) for word in arguments))
    assert code == 2 and text.err.count("\n") == 1, text.err
    assert f"{places['IN']}: cannot be reached (no route)" in text.err
    assert {path.name for path in tmp_path.iterdir()} == {"disk"}


def test_a_signed_url_may_be_long(store, tmp_path, capsys):
    signed = UPath(f"memory://{tmp_path.name}/a.wav?signature={300 * 'x'}")
    signed.parent.mkdir(parents=True, exist_ok=True)
    signed.write_bytes((store / "in" / "a.wav").read_bytes())
    code, text = noise(capsys, signed, tmp_path / "x.wav")
    assert code == 0, text.err


def test_a_picture_by_url_is_refused(store, wav, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, text = run(capsys, "mend", wav(), "out.wav", "--plot", store / "p.png")
    assert code == 2 and "a URL" in text.err and text.err.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "in.wav"}


def test_a_file_url_is_a_path(wav, tmp_path, capsys):
    assert urls.locate(f"file://{tmp_path}/a%20b.wav") == tmp_path / "a b.wav"
    assert noise(capsys, f"file://{wav()}", f"file://{tmp_path}/o.wav")[0] == 0
    assert (tmp_path / "o.wav.voxmend.json").exists()


class Far(Here):
    """Workers that read recordings by themselves, as those of other machines."""

    reads = True


@pytest.mark.parametrize("verb", ["extend", "refine"])
def test_a_long_one_is_shared_by_workers_that_read_it(verb, prior, wav, tmp_path, capsys,
                                                      monkeypatch):
    monkeypatch.setattr(running, "Pool", Far)
    monkeypatch.setattr(running, "LEAST_SECONDS", 1.0)
    wave = np.tile(voice(5.0, 4000), 9)
    store, sources = UPath(f"memory://{tmp_path.name}"), []
    store.mkdir(parents=True, exist_ok=True)
    for number in range(2 if verb == "refine" else 1):
        path = wav(f"{number}.wav", (1 - 0.1 * number) * wave, 4000)
        (store / path.name).write_bytes(path.read_bytes())
        sources.append(store / path.name)
    command = [verb, *sources]
    options = ["--prior", prior, *QUICK]
    assert run(capsys, *command, store / "one.wav", *options)[0] == 0
    code, text = run(capsys, *command, store / "two.wav", *options, "--workers", 2)
    assert code == 0, text.err
    assert np.array_equal(read(store / "one.wav"), read(store / "two.wav"))
    numbers = [n for message in Far.last.messages for n in message.numbers]
    assert numbers == [*range(5 if verb == "refine" else 3)]


def test_hidden_ones_and_folders_without_recordings(store, capsys):
    (store / "empty").mkdir(parents=True, exist_ok=True)
    (store / "empty" / "notes.txt").write_text("no recording")
    (store / "empty" / ".hidden.wav").write_text("no recording")
    code, text = noise(capsys, store / "empty", store / "out")
    assert code == 2 and "no audio files" in text.err and text.err.count("\n") == 1


def test_copies_go_when_they_were_used(store):
    with urls.fetched([store / "in" / "a.wav"]) as (copy,):
        assert audio.Reader(copy).frames == 3200 and urls.origin(copy) == store / "in" / "a.wav"
    assert not copy.exists() and urls.origin(copy) is None
