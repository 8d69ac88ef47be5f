"""Decoded audio on disk: what is there already stays, whoever builds, however it ends."""

import os
import signal
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.speech import voice
from voxmend import audio
from voxmend.training import cache
from voxmend.training.cache import Decoded
from voxmend.training.corpus import Corpus, Mixtures, recordings

RATE = 8000


@pytest.fixture
def speech(tmp_path):
    """Five files of 0.5 s."""
    (tmp_path / "speech").mkdir()
    for seed in range(5):
        add(tmp_path / "speech", seed)
    return tmp_path / "speech"


def add(folder, seed):
    audio.save(folder / f"{seed}.wav", voice(0.5, RATE, seed=seed), RATE)


def decoded(monkeypatch):
    """The files that are decoded from here on."""
    seen, decode = [], cache.decode
    monkeypatch.setattr(cache, "decode",
                        lambda some, rate: seen.append(some[0].path.name) or decode(some, rate))
    return seen


def check(corpus, folder):
    files = sorted(folder.glob("*.wav"))
    assert len(corpus) == len(files)
    for i, file in enumerate(files):
        wave, _ = soundfile.read(file, dtype="float32")
        np.testing.assert_array_equal(corpus[i], wave)  # 16 bits
        assert corpus.rms[i] == pytest.approx(np.sqrt(np.mean(wave**2)), rel=1e-4)
    assert corpus.hours == pytest.approx(len(files) * 0.5 / 3600)


def test_an_interrupted_write_is_not_counted(speech, tmp_path, monkeypatch):
    """What has no samples in its shard would never be decoded again."""
    class Interrupted(np.ndarray):
        def tobytes(self):
            raise KeyboardInterrupt

    def third(some, rate, decode=cache.decode):
        for samples in decode(some, rate):
            yield samples._replace(wave=samples.wave.view(Interrupted)) if (
                some[0].path.name == "2.wav") else samples

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(cache, "decode", third)
        Corpus(speech, tmp_path / "cache", RATE)
    seen = decoded(monkeypatch)
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert sorted(seen) == ["2.wav", "3.wav", "4.wav"]


def test_shards_hold_no_more_than_their_limit(speech, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "SHARD_BYTES", 20_000)  # two files and a half
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    sizes = [p.stat().st_size for p in sorted((tmp_path / "cache").glob("*.int16"))]
    assert sizes == [16_000, 16_000, 8_000]
    monkeypatch.setattr(cache, "SHARD_BYTES", 100)  # a file that is longer has a shard of its own
    Corpus(speech, tmp_path / "other", RATE)
    assert len(list((tmp_path / "other").glob("*.int16"))) == 5


def test_only_what_is_new_is_decoded(speech, tmp_path, monkeypatch):
    Corpus(speech, tmp_path / "cache", RATE)
    seen = decoded(monkeypatch)
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert seen == []
    add(speech, 5)
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert seen == ["5.wav"]
    (speech / "0.wav").unlink()
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    audio.save(speech / "1.wav", voice(0.5, RATE, seed=9), RATE, overwrite=True)  # as long, later
    os.utime(speech / "1.wav", ns=(0, 0))
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert seen == ["5.wav", "1.wav"]
    Corpus(speech, tmp_path / "cache", 4000)  # another rate is another cache
    assert len(seen) == 2 + 5


def test_bad_files_are_told_together_when_all_others_are_decoded(
        speech, tmp_path, monkeypatch, capsys):
    (speech / "1.wav").write_bytes(b"no audio")
    (speech / "3.wav").write_bytes(b"")
    with pytest.raises(audio.AudioError, match=r"^2 recordings of 5 cannot be read"):
        Corpus(speech, tmp_path / "cache", RATE)
    told = [line for line in capsys.readouterr().err.splitlines() if ".wav: " in line]
    assert [line.partition(": ")[0] for line in told] == [f"{speech}/1.wav", f"{speech}/3.wav"]
    (speech / "1.wav").unlink()
    add(speech, 1)
    seen = decoded(monkeypatch)
    with pytest.raises(audio.AudioError, match=r"/3\.wav: the file is empty"):  # the only one
        Corpus(speech, tmp_path / "cache", RATE)
    (speech / "3.wav").unlink()
    add(speech, 3)
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert sorted(seen) == ["1.wav", "3.wav", "3.wav"]
    assert not list((tmp_path / "cache").glob("*.part"))


def test_what_resampling_leaves_nothing_of_is_told(speech, tmp_path):
    audio.save(speech / "one.wav", np.full((1, 1), 0.5), 8 * RATE)
    with pytest.raises(audio.AudioError, match=r"one\.wav: too short for a sample at 8000 Hz"):
        Corpus(speech, tmp_path / "cache", RATE)


def test_a_full_disk_leaves_nothing_half_written(speech, tmp_path, monkeypatch):
    """/dev/full takes what is buffered, and nothing when that is flushed or the file is closed."""
    path = tmp_path / "cache" / f"{RATE}-00000.int16"
    with monkeypatch.context() as patch, pytest.raises(
            audio.AudioError, match=rf"{path}: .*No space left on device"):
        opened = Path.open

        def full(file, mode="r", *more):
            if file.suffix == ".part":
                opened(file, mode).close()
                return opened(Path("/dev/full"), mode)
            return opened(file, mode, *more)

        patch.setattr(Path, "open", full)
        Corpus(speech, tmp_path / "cache", RATE)
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []
    check(Corpus(speech, tmp_path / "cache", RATE), speech)


def test_where_no_one_tells_the_processors_of_a_process(speech, tmp_path, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    check(Corpus(speech, tmp_path / "cache", RATE), speech)


def test_two_at_once_build_one_cache_once(speech, tmp_path, monkeypatch):
    seen, made = decoded(monkeypatch), []
    threads = [threading.Thread(
        target=lambda: made.append(Corpus(speech, tmp_path / "cache", RATE))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for corpus in made:
        check(corpus, speech)
    assert len(made) == 2 and len(seen) == 5


def test_a_dead_builder_is_taken_over(speech, tmp_path):
    """One that is killed with the lock in hand and a shard half-written."""
    def build():
        add_to, count = cache._Shard.add, []

        def slow(shard, *what):
            add_to(shard, *what)
            shard._file.flush()
            count.append(1)
            if len(count) == 3:
                (tmp_path / "half").touch()
                time.sleep(60)

        cache._Shard.add = slow
        Corpus(speech, tmp_path / "cache", RATE)

    child = get_context("fork").Process(target=build)
    child.start()
    while not (tmp_path / "half").exists():
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert [p.suffix for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == [".part"]
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_missing_file_is_named(speech, tmp_path):
    found = recordings(speech)
    (speech / "2.wav").unlink()
    with pytest.raises(audio.AudioError, match=r"2\.wav: no such file"):
        Decoded(found, tmp_path / "cache", RATE)


def test_a_crop_of_a_mixture_decodes_no_more_than_itself(speech, tmp_path, monkeypatch):
    """However long the file is."""
    mixtures = Mixtures(tmp_path, ("speech", "speech"), tmp_path / "cache", RATE)
    wholes = [mixtures.parts[0][i] for i in range(5)]
    monkeypatch.delattr(Corpus, "__getitem__")
    crops = mixtures.crops(8, 100, np.random.default_rng(0)).numpy()
    np.testing.assert_array_equal(crops[:, 0], crops[:, 1])
    for crop in crops[:, 0]:
        assert any((np.lib.stride_tricks.sliding_window_view(w, 100) == crop).all(1).any()
                   for w in wholes)
