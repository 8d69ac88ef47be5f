"""`voxmend speakers` from a folder to a report, and what it refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from helpers.speech import voice
from helpers.voices import TinyEncoder, people
from voxmend import audio
from voxmend.cli import main as cli
from voxmend.speakers import embeddings, encoders, figures


def run(capsys, *args):
    code = cli.main([str(a) for a in args])
    return code, capsys.readouterr()


@pytest.fixture
def made(tmp_path):
    for name, some in (("old", people(60, 3, parts=(4, 8), unit=True)),
                       ("held", people(40, 1, parts=(4, 8), unit=True, seed=1)),
                       ("more", replace(people(10, 1, parts=(4, 8), unit=True, seed=2), sexes=()))):
        some.save(tmp_path / f"{name}.npz")
    return tmp_path


def test_from_embeddings_to_a_report(made, capsys, monkeypatch):
    monkeypatch.setattr(figures, "SUBSETS", 2)
    model, new = made / "m.safetensors", made / "new.npz"
    code, text = run(capsys, "speakers", "train", made / "old.npz", "-o", model, "--steps", 30,
                     "--iterations", 50)
    assert code == 0 and "learnt from 180 embeddings" in text.out
    assert json.loads(model.with_suffix(".json").read_text())["betas"]["schedule"] == "cosine"
    code, text = run(capsys, "speakers", "generate", model, "-n", 40, "-o", new, "--npy",
                     made / "one.npy")
    assert code == 0, text.err
    found = embeddings.load(new)
    assert len(found) == 40 and found.encoder == "0123"
    one = np.load(made / "one.npy")
    assert one.dtype == np.float32 and np.array_equal(one, found.vectors[0])
    code, text = run(capsys, "speakers", "compare", made / "old.npz", new, "-o", made / "report",
                     "--held-out", made / "held.npz", made / "more.npz", "--model", model)
    assert code == 0 and "| one Gaussian |" in text.out and "40 of 40 drawn" in text.out
    assert {p.name for p in (made / "report").iterdir()} == {"index.html", "report.json"}
    assert json.loads((made / "report" / "report.json").read_text())["people"] == 50
    code, text = run(capsys, "speakers", "compare", made / "old.npz", new, "-o", made / "report")
    assert code == 2 and "exists already" in text.err


def test_same_seed_same_file(made, capsys):
    model = made / "m.safetensors"
    run(capsys, "speakers", "train", made / "old.npz", "-o", model, "--steps", 10,
        "--iterations", 5)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(capsys, "speakers", "generate", model, "-n", 3, "-o", made / f"{name}.npz", "--seed",
            seed)
    a, b, c = (embeddings.load(made / f"{name}.npz").vectors for name in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)
    code, text = run(capsys, "speakers", "generate", model, "-o", made / "a.npz")
    assert code == 2 and text.err.count("\n") == 1 and "--overwrite" in text.err


def test_steering_and_axes(made, capsys):
    model, turned = made / "m.safetensors", made / "turned.npz"
    run(capsys, "speakers", "train", made / "old.npz", "-o", model, "--steps", 10,
        "--iterations", 5)
    code, text = run(capsys, "speakers", "axes", model, "-n", 3)
    assert code == 0 and text.out.count("\n") == 6 and "| sex |" in text.out
    code, text = run(capsys, "speakers", "steer", model, "--axis", "sex", "--amount", -1,
                     "-o", turned, "--voices", made / "held.npz")
    assert code == 0 and "brought from" in text.out
    assert embeddings.load(turned).names == embeddings.load(made / "held.npz").names
    code, text = run(capsys, "speakers", "steer", model, "--axis", "13", "--amount", 1, "-o",
                     made / "b.npz")
    assert code == 2 and "from 1 to 12" in text.err and not (made / "b.npz").exists()


def test_a_short_schedule_is_told(made, capsys):
    code, text = run(capsys, "speakers", "train", made / "old.npz", "-o", made / "m.safetensors",
                     "--steps", 100, "--schedule", "linear", "--method", "speakemb",
                     "--iterations", 5)
    assert code == 0 and "leaves 61% of the signal's variance" in text.err


def test_embeddings_of_other_encoders_do_not_mix(made, capsys):
    other = replace(people(40, 1), encoder="9999")
    other.save(made / "other.npz")
    code, text = run(capsys, "speakers", "compare", made / "old.npz", made / "other.npz", "-o",
                     made / "report")
    assert code == 2 and "by the encoder 9999" in text.err
    run(capsys, "speakers", "train", made / "old.npz", "-o", made / "m.safetensors", "--steps", 10,
        "--iterations", 5)
    code, text = run(capsys, "speakers", "steer", made / "m.safetensors", "--axis", 1, "--amount",
                     1, "-o", made / "b.npz", "--voices", made / "other.npz")
    assert code == 2 and "by the encoder 9999" in text.err


@pytest.mark.parametrize("command, word", [
    (["train", "old.npz", "-o", "m.npz"], "ends in .safetensors"),
    (["train", "none.npz", "-o", "m.safetensors"], "none.npz: no such file"),
    (["train", "old.npz", "-o", "m.safetensors", "--steps", "1"], "--steps must be at least 2"),
    (["generate", "none.safetensors", "-o", "a.npz"], "none.safetensors: no such"),
    (["generate", "-o", "a.wav"], "ends in .npz"),
    (["generate", "-o", "a.npz", "-n", "0"], "--number must be at least 1"),
    (["generate", "-o", "no/a.npz"], "no such folder"),
    (["compare", "old.npz", "none.npz", "-o", "report"], "none.npz: no such file")])
def test_mistakes_are_one_line(command, word, made, capsys, monkeypatch):
    monkeypatch.chdir(made)
    code, text = run(capsys, "speakers", *command)
    assert code == 2 and word in text.err and text.err.count("\n") == 1


def test_extraction(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(encoders, "load_encoder", lambda *_: TinyEncoder())
    (tmp_path / "speech" / "anna").mkdir(parents=True)
    audio.save(tmp_path / "speech" / "anna" / "a.wav", voice(0.5), 16000)
    (tmp_path / "labels.csv").write_text("path,sex\na.wav,F\n")
    command = ["speakers", "extract", tmp_path / "speech", "-o", tmp_path / "emb.npz", "--labels",
               tmp_path / "labels.csv"]
    code, text = run(capsys, *command)
    assert code == 0 and "1 embeddings of 1 speakers, 4 dimensions" in text.out
    found = embeddings.load(tmp_path / "emb.npz")
    assert (found.speakers, found.sexes, found.encoder) == (("anna",), ("F",), "cafe")
    (tmp_path / "speech" / "bad.wav").write_text("text")
    code, text = run(capsys, *command, "--overwrite")
    assert code == 2 and "bad.wav" in text.err and text.err.count("\n") == 1


def test_table(made, capsys, monkeypatch):
    from voxmend.benchmarks import speakemb

    monkeypatch.setattr(speakemb, "COUNTS", (100, 150))
    code, text = run(capsys, "bench", "embeddings", "--data", made / "old.npz", "--steps", 10,
                     "--iterations", 3, "--out", made / "t.json")
    assert code == 0 and text.out.count("| 12 | 100 | speakemb |") == 4
    rows = json.loads((made / "t.json").read_text())["rows"]
    assert len(rows) == 10 and (made / "t.md").read_text().strip() == text.out.strip()
    monkeypatch.setattr(speakemb, "COUNTS", (500, 1000))
    code, text = run(capsys, "bench", "embeddings", "--data", made / "old.npz")
    assert code == 2 and "old.npz: 180 embeddings" in text.err
