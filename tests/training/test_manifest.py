"""Manifests in place of folders: our names, NeMo's and lhotse's."""

import gzip
import json

import numpy as np
import pytest

from helpers.speech import CONFIG, voice
from voxmend import audio
from voxmend.training import loop
from voxmend.training.corpus import Corpus
from voxmend.training.manifest import Recording, find_part, read_manifest
from voxmend.training.recipes import PriorRecipe

RATE = 8000
CUT = {"id": "c", "start": 0.5, "duration": 0.25, "channel": 1, "type": "MonoCut",
       "supervisions": [{"id": "s", "recording_id": "r", "start": 0, "duration": 0.25,
                         "text": "so", "speaker": "anna", "gender": "female"}],
       "recording": {"id": "r", "sources": [{"type": "file", "channels": [0, 1],
                                             "source": "two.wav"}],
                     "sampling_rate": RATE, "num_samples": 8000, "duration": 1.0}}


@pytest.fixture
def folder(tmp_path):
    for name, seed, channels in (("a", 1, 1), ("b", 2, 1), ("two", 3, 2)):
        wave = np.concatenate([voice(1.0, RATE, seed=seed + 5 * c) for c in range(channels)])
        audio.save(tmp_path / f"{name}.wav", wave, RATE, subtype="FLOAT")
    return tmp_path


def write(path, *entries):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.writelines((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entries)
    return path


@pytest.mark.parametrize("entry, expected", [
    ({"path": "a.wav", "speaker": "anna", "seconds": 1.0, "text": "hello", "sex": "F"},
     Recording("a.wav", "anna", sex="F")),
    ({"path": "a.wav", "start": 0.5, "seconds": 0.25}, Recording("a.wav", "", 0.5, 0.25)),
    ({"audio_filepath": "a.wav", "duration": 1.0, "text": "hello", "speaker": 7},
     Recording("a.wav", "7")),
    ({"path": "a.wav", "speaker": 0}, Recording("a.wav", "0")),
    ({"audio_filepath": "a.wav", "offset": 0.0, "duration": 0.5, "text": ""},
     Recording("a.wav", "", 0.0, 0.5)),
    (CUT["recording"], Recording("two.wav")),
    (CUT, Recording("two.wav", "anna", 0.5, 0.25, 1, "F"))])
def test_entries(entry, expected, folder):
    (found,) = read_manifest(write(folder / "all.jsonl", entry))
    assert found == Recording(folder / expected.path, *[
        getattr(expected, name) for name in ("speaker", "start", "seconds", "channel", "sex")])


def test_parts_of_what_libsndfile_does_not_read(folder):
    audio.save(folder / "long.m4a", audio.load(folder / "a.wav", RATE), RATE)
    listing = write(folder / "m4a.jsonl", {"path": "long.m4a", "start": 0.25, "seconds": 0.5})
    (whole,) = audio.load(folder / "long.m4a", RATE)
    (part,) = Corpus(listing, folder / "cache", RATE)
    np.testing.assert_allclose(part, whole[2000:6000], atol=0.51 / 32768)


def test_parts_and_channels_are_what_the_manifest_says(folder):
    part = {"path": "b.wav", "start": 0.25, "seconds": 0.5, "speaker": "ben", "sex": "M"}
    listing = write(folder / "train.jsonl.gz", {"path": str(folder / "a.wav")}, part, CUT)
    corpus = Corpus(listing, folder / "cache", RATE)
    a, b, two = (audio.load(folder / f"{name}.wav", RATE) for name in ("a", "b", "two"))
    for found, expected in zip((corpus[0], corpus[1], corpus[2]),
                               (a[0], b[0, 2000:6000], two[1, 4000:6000])):
        np.testing.assert_allclose(found, expected, atol=0.51 / 32768)
    assert corpus.speakers == [folder.name, "ben", "anna"]  # the first by its folder
    assert corpus.sexes == {"ben": "M", "anna": "F"}


def test_all_parts_of_a_file_are_read_in_one_pass(tmp_path, monkeypatch):
    """Out of order, one in another, at the ends, in two blocks; of what has no seekable samples."""
    (wave,), read = voice(30.0, RATE, seed=1), []
    audio.save(tmp_path / "long.ogg", wave[None], RATE)
    (whole,) = audio.load(tmp_path / "long.ogg", RATE)
    blocks = audio.Reader.blocks
    monkeypatch.setattr(audio.Reader, "blocks",
                        lambda *args: (read.append(len(b[0])) or b for b in blocks(*args)))
    parts = [(20.0, 5.0), (8.0, 0.5), (0.0, 0.25), (7.5, 10.0), (29.75, 0.25), (3.0, 0.125)]
    listing = write(tmp_path / "all.jsonl", *({"path": "long.ogg", "start": start, "seconds": size}
                                              for start, size in parts))
    corpus = Corpus(listing, tmp_path / "cache", RATE)
    for found, (start, size) in zip(corpus, parts, strict=True):
        expected = whole[int(start * RATE):int((start + size) * RATE)]
        np.testing.assert_allclose(found, expected, atol=0.51 / 32768)
    assert sum(read) == len(whole)


def test_parts_before_damage_are_read_and_the_damage_is_told_once(tmp_path):
    audio.save(tmp_path / "cut.flac", voice(20.0, RATE, seed=1), RATE)
    (whole,) = audio.load(tmp_path / "cut.flac", RATE)
    content = bytearray((tmp_path / "cut.flac").read_bytes())
    content[len(content) // 2:] = bytes(len(content) - len(content) // 2)
    (tmp_path / "cut.flac").write_bytes(content)
    entries = [{"path": "cut.flac", "start": start, "seconds": 1} for start in range(19)]
    with pytest.raises(audio.AudioError, match=rf"^{tmp_path}/cut.flac: damaged"):
        Corpus(write(tmp_path / "all.jsonl", *entries), tmp_path / "cache", RATE)
    corpus = Corpus(write(tmp_path / "all.jsonl", *entries[:2]), tmp_path / "cache", RATE)
    np.testing.assert_allclose(corpus[1], whole[RATE:2 * RATE], atol=0.51 / 32768)


@pytest.mark.parametrize("line, message", [
    ("no json", "line 2: names no recording"), ('{"text": "hello"}', "line 2: names no recording"),
    ("[1]", "line 2: names no recording"), ('{"path": "a.wav", "start": 1}', "line 2"),
    ('{"path": "a.wav", "start": "x", "seconds": 1}', "line 2"),
    ('{"path": "a.wav", "start": 0, "seconds": NaN}', "line 2: names no recording"),
    ('{"path": "a.wav", "start": 0, "seconds": Infinity}', "line 2: names no recording"),
    ('{"path": "a.wav", "start": Infinity, "seconds": 1}', "line 2: names no recording"),
    ('{"path": "a.wav", "start": 0, "seconds": 1' + "0" * 400 + "}", "line 2: names no recording"),
    (r'{"path": "a\u0000.wav"}', "line 2: names no recording"),
    (json.dumps(CUT | {"channel": -1}), "line 2: names no recording"),
    ('{"path": "a.wav", "start": 0, "seconds": 1e-5}', "a manifest asks for 0 to 1e-05 s"),
    ('{"path": "gone.wav"}', "gone.wav: no such file"),
    ('{"path": "a.wav", "start": 0.9, "seconds": 1}', "a manifest asks for 0.9 to 1.9 s"),
    (json.dumps(CUT | {"channel": 5}), "asks for channel 5")])
def test_bad_lines_are_named(line, message, folder):
    listing = write(folder / "bad.jsonl", {"path": "a.wav"}, line)
    with pytest.raises(audio.AudioError, match=message):
        Corpus(listing, folder / "cache", RATE)


def test_doubled_lines_are_decoded_once_and_a_mark_of_bytes_is_no_line(folder):
    listing = write(folder / "all.jsonl", '\ufeff{"path": "a.wav"}', {"path": "./a.wav"},
                    {"path": str(folder / "a.wav")})
    corpus = Corpus(listing, folder / "cache", RATE)
    assert len(corpus) == 3 and np.array_equal(corpus[0], corpus[2])
    (shard,) = (folder / "cache").glob("*.int16")
    assert shard.stat().st_size == 2 * len(corpus[0])


def test_an_empty_manifest_and_a_doubled_part_are_refused(folder):
    with pytest.raises(audio.AudioError, match="lists no recordings"):
        read_manifest(write(folder / "empty.jsonl", ""))
    (folder / "train").mkdir()
    assert find_part(folder, "train") == folder / "train" and find_part(folder, "val") is None
    write(folder / "train.json", {"path": "a.wav"})
    with pytest.raises(audio.AudioError, match=r"has train and train\.json"):
        find_part(folder, "train")


def test_a_manifest_trains_as_its_folder_does(tmp_path, monkeypatch):
    held_out = PriorRecipe.held_out
    monkeypatch.setattr(PriorRecipe, "held_out", lambda *args: held_out(*args)[:2, :, :4000])
    recipe = PriorRecipe(name="tiny", network="FrameConvNeXt", steps=2, batch=2, seconds=0.25,
                         config=CONFIG)
    (tmp_path / "lists").mkdir()
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir(parents=True)
        for seed in range(2):
            audio.save(tmp_path / "data" / split / f"{seed}.flac", voice(1.0, seed=seed), 16000)
        write(tmp_path / "lists" / f"{split}.jsonl",
              *({"path": f"../data/{split}/{seed}.flac"} for seed in range(2)))
    for name in ("data", "lists"):
        loop.train(recipe, tmp_path / name, tmp_path / "run" / name)
    one, two = ((tmp_path / "run" / name / "log.jsonl").read_text() for name in ("data", "lists"))
    assert one == two
