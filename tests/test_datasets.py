"""Splits on miniature corpora with the real names."""

import os

import pytest

from voxmend import cli, data, datasets

SPEAKERS = ("p225", "p226", "s5", *datasets.VCTK_SPEAKERS)


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def small_vctk(root, layout):
    form = {"0.92": "wav48_silence_trimmed/{0}/{0}_{1:03}_mic{2}.flac",
            "0.80": "wav48/{0}/{0}_{1:03}.wav"}[layout]
    return make(root, *{form.format(speaker, n, mic)
                        for speaker in SPEAKERS for n in range(1, 12) for mic in (1, 2)})


def small_ljspeech(root):
    held_out = [f"wavs/LJ{n}.wav" for n in datasets.LJSPEECH_VALIDATION.split()]
    return make(root, *held_out, *(f"wavs/LJ001-{n:04}.wav" for n in range(1, 28)))


@pytest.mark.parametrize("layout", ["0.92", "0.80"])
def test_vctk(layout, tmp_path):
    split = datasets.vctk(small_vctk(tmp_path, layout))
    assert len(split.test) == 48  # the paper's number
    assert {file.parent.name for file in split.test} == set(datasets.VCTK_SPEAKERS)
    assert len(split.validation) == 3 * 8 and len(split.train) == 3 * 3
    assert {file.stem.split("_")[1] for file in split.train} == {"009", "010", "011"}
    for part in (split.train, split.validation, split.test):
        assert part == sorted(part) and all("mic2" not in file.name for file in part)
    speakers = {file.parent.name for file in split.train + split.validation}
    assert speakers == {"p225", "p226", "s5"}
    assert split == datasets.vctk(tmp_path)


def test_ljspeech(tmp_path):
    split = datasets.ljspeech(small_ljspeech(tmp_path))
    assert len(split.validation) == 150 and split.test == split.validation
    assert len(split.train) == 27 and not set(split.train) & set(split.validation)
    assert split.validation[0].name == "LJ001-0028.wav"
    assert split.validation[-1].name == "LJ050-0278.wav"


def test_errors_say_what_was_expected(tmp_path):
    with pytest.raises(datasets.DatasetError, match="expected wav48_silence_trimmed/p225/"):
        datasets.vctk(tmp_path)
    with pytest.raises(datasets.DatasetError, match="expected wavs/LJ001-0001.wav"):
        datasets.ljspeech(tmp_path)
    root = make(tmp_path / "part", "wav48/p225/p225_001.wav", "wav48/p361/p361_001.wav")
    with pytest.raises(datasets.DatasetError, match="p362, p363, p364, p374, p376, which"):
        datasets.vctk(root)
    root = small_ljspeech(tmp_path / "lj")
    (root / "wavs" / "LJ028-0138.wav").unlink()
    with pytest.raises(datasets.DatasetError, match="LJ028-0138.wav.*missing \\(1 in all\\)"):
        datasets.ljspeech(root)


def test_links_lead_to_the_files(tmp_path, monkeypatch):
    small_vctk(tmp_path / "corpus", "0.92")
    monkeypatch.chdir(tmp_path)  # relative roots must not make dangling links
    split = datasets.vctk("corpus")
    datasets.link_split(split, "out/speech")
    for name, files in (("train", split.train), ("val", split.validation), ("test", split.test)):
        links = data.audio_files(tmp_path / "out" / "speech" / name)
        assert {link.resolve() for link in links} == {file.resolve() for file in files}
        assert len(links) == len(files) and all(link.is_symlink() for link in links)
    with pytest.raises(datasets.DatasetError, match="exists already"):
        datasets.link_split(split, "out/speech")


def test_links_tell_the_speaker(tmp_path):
    for name, split in (("vctk", datasets.vctk(small_vctk(tmp_path / "a", "0.92"))),
                        ("lj", datasets.ljspeech(small_ljspeech(tmp_path / "b")))):
        datasets.link_split(split, tmp_path / name)
    speakers = {name: {data.speaker(link.relative_to(tmp_path / name / "train"))
                       for link in data.audio_files(tmp_path / name / "train")}
                for name in ("vctk", "lj")}
    assert speakers == {"vctk": {"p225", "p226", "s5"}, "lj": {"LJ"}}


def test_verb(tmp_path, capsys):
    small_ljspeech(tmp_path / "LJSpeech-1.1")
    command = ["dataset", "ljspeech", str(tmp_path / "LJSpeech-1.1"), str(tmp_path / "out")]
    assert cli.main(command) == 0
    assert "27 files to train on, 150 for validation, 150 to test" in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path / "out")) == ["test", "train", "val"]
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert "exists already" in error and error.count("\n") == 1
