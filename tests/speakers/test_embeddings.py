"""Embeddings on disk: whole or refused, labelled, weighted by speaker."""

import numpy as np
import pytest

from helpers.speech import voice
from helpers.voices import TinyEncoder, people
from voxmend import audio
from voxmend.speakers import embeddings


def test_a_file_holds_what_was_saved(tmp_path):
    saved = people(parts=(4, 8))
    saved.save(tmp_path / "a.npz")
    found = embeddings.load(tmp_path / "a.npz")
    assert np.array_equal(found.vectors, saved.vectors) and found.vectors.dtype == np.float32
    for name in ("names", "encoder", "parts", "speakers", "sexes"):
        assert getattr(found, name) == getattr(saved, name)
    with pytest.raises(audio.AudioError, match="exists already"):
        saved.save(tmp_path / "a.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_other_files_are_refused(tmp_path):
    good = people()
    content = {"embeddings": good.vectors, "names": np.array(good.names), "parts": np.array([12]),
               "encoder": np.array("a")}
    wrong = {"embeddings": good.vectors[:, :, None], "names": np.array(good.names[1:]),
             "parts": np.array([5]), "encoder": np.array({"a": 1})}
    for name, value in wrong.items():
        np.savez(tmp_path / "bad.npz", **{**content, name: value})
        with pytest.raises(audio.AudioError, match="bad.npz: .*extract"):
            embeddings.load(tmp_path / "bad.npz")
    np.savez(tmp_path / "bad.npz", **{**content, "embeddings": np.full_like(good.vectors, np.nan)})
    with pytest.raises(audio.AudioError, match="NaN"):
        embeddings.load(tmp_path / "bad.npz")
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(audio.AudioError, match="text.npz: no embeddings"):
        embeddings.load(tmp_path / "text.npz")
    with pytest.raises(audio.AudioError, match="none.npz: no such file"):
        embeddings.load(tmp_path / "none.npz")


def test_every_speaker_weighs_the_same():
    some = people(3, 2).take(np.array([0, 1, 2, 3, 4]))
    np.testing.assert_allclose(some.weights, [1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 3])
    assert some.take(np.array([4])).names == ("r4",)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "speech"
    for number, name in enumerate(("19/19-198-0001.wav", "19/19-198-0002.wav", "me/b.wav")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        audio.save(root / name, voice(0.5, seed=number, channels=2), 16000)
    return root


def test_extraction_names_bad_files_and_goes_on(folder, capsys):
    (folder / "me" / "a.wav").write_text("text")
    audio.save(folder / "me" / "short.wav", voice(0.05), 16000)
    found, failed = embeddings.extract(folder, TinyEncoder())
    assert failed == 2 and found.names == ("19/19-198-0001.wav", "19/19-198-0002.wav", "me/b.wav")
    assert found.speakers == ("19", "19", "me") and found.sexes == ()
    assert found.encoder == "cafe" and found.parts == (2, 2)
    alone = TinyEncoder().embed(audio.load(folder / "me/b.wav", 16000).mean(0))
    np.testing.assert_array_equal(found.vectors[2], alone)
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "a.wav" in line] and lines[1].startswith(
        f"voxmend: {folder / 'me' / 'short.wav'}: 0.05 s is too short")


def test_channels_of_opposite_polarity_are_no_silence(folder):
    wave = voice(0.5, seed=2)
    audio.save(folder / "me" / "b.wav", np.concatenate([wave, -wave]), 16000, overwrite=True)
    found, _ = embeddings.extract(folder, TinyEncoder())
    stored = audio.load(folder / "me/b.wav", 16000)[0]
    np.testing.assert_allclose(found.vectors[2], TinyEncoder().embed(stored), atol=1e-6)


def test_extraction_from_nothing_is_an_error(tmp_path):
    (tmp_path / "a.wav").write_text("text")
    with pytest.raises(audio.AudioError, match="of no recording"):
        embeddings.extract(tmp_path, TinyEncoder())


def test_labels_are_found_by_their_columns_names(folder, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("split,Speaker_ID,gender,path,\ntrain,p7,female,x/19/19-198-0001.opus,\n"
                     "train,p8,M,me/b.wav,\n")
    found, _ = embeddings.extract(folder, TinyEncoder(), embeddings.read_labels(table))
    assert found.speakers == ("p7", "19", "p8") and found.sexes == ("F", "", "M")


@pytest.mark.parametrize("text, word", [
    ("a,b\n1,2\n", "must name a column"), ("path,words\na.wav,hm\n", "must name a column"),
    ("path,sex\na/x.wav,F\nb/x.wav,M\n", "x stands there twice"), ("", "must name a column")])
def test_labels_that_say_nothing_are_refused(text, word, tmp_path):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(audio.AudioError, match=f"labels.csv: .*{word}"):
        embeddings.read_labels(tmp_path / "labels.csv")


def test_a_table_of_no_rows_labels_nothing(tmp_path):
    (tmp_path / "labels.csv").write_text("path,speaker,sex\n")
    assert embeddings.read_labels(tmp_path / "labels.csv") == {}
