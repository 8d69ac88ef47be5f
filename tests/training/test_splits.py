"""Splits on miniature corpora with the real names."""

import os
from typing import get_args

import pytest

from voxmend.cli import main as cli
from voxmend.cli.train import Corpus
from voxmend.training import corpus, splits

SPEAKERS = ("p225", "p226", "s5", *splits.VCTK_SPEAKERS)


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
    held_out = [f"wavs/LJ{n}.wav" for n in splits.LJSPEECH_VALIDATION.split()]
    return make(root, *held_out, *(f"wavs/LJ001-{n:04}.wav" for n in range(1, 28)))


def small_mixtures(root, parts, folders, names):
    return make(root, *(f"{part}/{folder}/{name}.wav" for part in parts for folder in folders
                        for name in names))


def small_voicebank(root, speakers=("p226", "p287", "p228", "p230")):
    files = {"trainset_28spk": speakers, "testset": ("p232", "p257"),
             "trainset_56spk": ("p234",)}
    return make(root, *(f"{kind}_{part}_wav/{speaker}_00{n}.wav" for part, people in files.items()
                        for kind in ("clean", "noisy") for speaker in people for n in (1, 2)))


@pytest.mark.parametrize("layout", ["0.92", "0.80"])
def test_vctk(layout, tmp_path):
    split = splits.vctk(small_vctk(tmp_path, layout))
    assert len(split.test) == 48  # the paper's number
    assert {file.parent.name for file in split.test} == set(splits.VCTK_SPEAKERS)
    assert len(split.validation) == 3 * 8 and len(split.train) == 3 * 3
    assert {file.stem.split("_")[1] for file in split.train} == {"009", "010", "011"}
    for part in (split.train, split.validation, split.test):
        assert part == sorted(part) and all("mic2" not in file.name for file in part)
    speakers = {file.parent.name for file in split.train + split.validation}
    assert speakers == {"p225", "p226", "s5"}
    assert split == splits.vctk(tmp_path)


def test_ljspeech(tmp_path):
    split = splits.ljspeech(small_ljspeech(tmp_path))
    assert len(split.validation) == 150 and split.test == split.validation
    assert len(split.train) == 27 and not set(split.train) & set(split.validation)
    assert split.validation[0].name == "LJ001-0028.wav"
    assert split.validation[-1].name == "LJ050-0278.wav"


@pytest.mark.parametrize("above", ["", "wav8k/min", "2speakers/wav8k/min"])
def test_wsj0_2mix(above, tmp_path):
    for place in (above, "wav16k/max"):
        small_mixtures(tmp_path / place, ("tr", "cv", "tt"), ("mix", "s1", "s2"), ("a", "b"))
    split = splits.wsj0_2mix(tmp_path)
    for part, files in (("tr", split.train), ("cv", split.validation), ("tt", split.test)):
        assert files == {what: [tmp_path / above / part / what / f"{name}.wav" for name in "ab"]
                         for what in ("mix", "s1", "s2")}
    named = splits.wsj0_2mix(tmp_path / "wav16k" / "max")
    assert all("wav16k" in file.parts for file in named.train["s1"])


@pytest.mark.parametrize("parts", [("train-100", "train-360"), ("train-360",)])
@pytest.mark.parametrize("above", ["", "wav8k/min", "Libri2Mix/wav8k/min"])
def test_libri2mix(above, parts, tmp_path):
    folders = ("mix_clean", "mix_both", "mix_single", "s1", "s2", "noise")
    for part in (*parts, "dev", "test"):
        small_mixtures(tmp_path / above, [part], folders, [f"1-{part}-0_2-1-1", "0-0-0_9-9-9"])
    split = splits.libri2mix(tmp_path)
    assert list(split.train) == ["mix", "s1", "s2"]
    assert splits.count(split.train) == 2 * len(parts)
    assert {file.parent.name for file in split.train["mix"]} == {"mix_clean"}
    for files, names in ((split.train, set(parts)), (split.validation, {"dev"}),
                         (split.test, {"test"})):
        assert {f.parent.parent.name for found in files.values() for f in found} == names
        assert len({tuple(f.name for f in found) for found in files.values()}) == 1


def test_voicebank_demand(tmp_path):
    split = splits.voicebank_demand(small_voicebank(tmp_path))
    for files, speakers, part in ((split.train, {"p228", "p230"}, "trainset_28spk"),
                                  (split.validation, {"p226", "p287"}, "trainset_28spk"),
                                  (split.test, {"p232", "p257"}, "testset")):
        assert set(files) == {"noisy", "clean"} and splits.count(files) == 4
        for what, found in files.items():
            assert {file.name[:4] for file in found} == speakers
            assert {file.parent.name for file in found} == {f"{what}_{part}_wav"}


def test_errors_of_mixtures_say_what_was_expected(tmp_path):
    with pytest.raises(splits.DatasetError, match="expected tr or wav8k/min/tr in"):
        splits.wsj0_2mix(tmp_path)
    root = small_mixtures(tmp_path / "wsj", ("tr", "cv"), ("mix", "s1", "s2"), ("a", "b"))
    with pytest.raises(splits.DatasetError, match="tt/mix: no .wav files there; expected mix,"):
        splits.wsj0_2mix(root)
    (root / "tr" / "s2" / "b.wav").unlink()
    with pytest.raises(splits.DatasetError, match="tr/s2: b.wav is missing \\(1 in all\\)"):
        splits.wsj0_2mix(root)
    make(tmp_path / "libri", "dev/mix_clean/a.wav")
    with pytest.raises(splits.DatasetError, match="expected train-100, train-360 or both"):
        splits.libri2mix(tmp_path / "libri")
    root = small_voicebank(tmp_path / "voicebank", ("p228",))
    with pytest.raises(splits.DatasetError, match="speakers p226 and p287, which"):
        splits.voicebank_demand(root)


def test_errors_say_what_was_expected(tmp_path):
    with pytest.raises(splits.DatasetError, match="expected wav48_silence_trimmed/p225/"):
        splits.vctk(tmp_path)
    with pytest.raises(splits.DatasetError, match="expected wavs/LJ001-0001.wav"):
        splits.ljspeech(tmp_path)
    root = make(tmp_path / "part", "wav48/p225/p225_001.wav", "wav48/p361/p361_001.wav")
    with pytest.raises(splits.DatasetError, match="p362, p363, p364, p374, p376, which"):
        splits.vctk(root)
    root = small_ljspeech(tmp_path / "lj")
    (root / "wavs" / "LJ028-0138.wav").unlink()
    with pytest.raises(splits.DatasetError, match="LJ028-0138.wav.*missing \\(1 in all\\)"):
        splits.ljspeech(root)


def test_links_lead_to_the_files(tmp_path, monkeypatch):
    small_vctk(tmp_path / "corpus", "0.92")
    monkeypatch.chdir(tmp_path)  # relative roots must not make dangling links
    split = splits.vctk("corpus")
    splits.link_split(split, "out/speech")
    for name, files in (("train", split.train), ("val", split.validation), ("test", split.test)):
        links = corpus.audio_files(tmp_path / "out" / "speech" / name)
        assert {link.resolve() for link in links} == {file.resolve() for file in files}
        assert len(links) == len(files) and all(link.is_symlink() for link in links)
    with pytest.raises(splits.DatasetError, match="exists already"):
        splits.link_split(split, "out/speech")


def test_links_of_mixtures_have_folders_of_their_own(tmp_path):
    splits.link_split(splits.voicebank_demand(small_voicebank(tmp_path / "a")), tmp_path / "b")
    found = sorted(str(p.relative_to(tmp_path / "b")) for p in (tmp_path / "b").rglob("*.wav"))
    assert len(found) == 3 * 2 * 4 and found[0] == "test/clean/p232_001.wav"
    assert (tmp_path / "b" / "val" / "noisy" / "p287_002.wav").resolve() == (
        tmp_path / "a" / "noisy_trainset_28spk_wav" / "p287_002.wav")


def test_links_tell_the_speaker(tmp_path):
    for name, split in (("vctk", splits.vctk(small_vctk(tmp_path / "a", "0.92"))),
                        ("lj", splits.ljspeech(small_ljspeech(tmp_path / "b")))):
        splits.link_split(split, tmp_path / name)
    speakers = {name: {corpus.speaker(link.relative_to(tmp_path / name / "train"))
                       for link in corpus.audio_files(tmp_path / name / "train")}
                for name in ("vctk", "lj")}
    assert speakers == {"vctk": {"p225", "p226", "s5"}, "lj": {"LJ"}}


def test_corpora_of_the_command_are_those_there_are(tmp_path, capsys):
    assert get_args(Corpus) == tuple(splits.CORPORA)
    small_voicebank(tmp_path / "corpus")
    assert cli.main(["dataset", "voicebank-demand", str(tmp_path / "corpus"),
                     str(tmp_path / "out")]) == 0
    assert "4 files to train on, 4 for validation, 4 to test" in capsys.readouterr().out


def test_verb(tmp_path, capsys):
    small_ljspeech(tmp_path / "LJSpeech-1.1")
    command = ["dataset", "ljspeech", str(tmp_path / "LJSpeech-1.1"), str(tmp_path / "out")]
    assert cli.main(command) == 0
    assert "27 files to train on, 150 for validation, 150 to test" in capsys.readouterr().out
    assert sorted(os.listdir(tmp_path / "out")) == ["test", "train", "val"]
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert "exists already" in error and error.count("\n") == 1
