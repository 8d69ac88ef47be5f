"""Decoded audio on disk: what is there already stays, whoever builds, however it ends."""

import os
import signal
import threading
import time
from multiprocessing import get_context

import numpy as np
import pytest
import soundfile

from helpers.speech import voice
from voxmend import audio
from voxmend.training import cache
from voxmend.training.cache import Decoded
from voxmend.training.corpus import Corpus, recordings

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
                        lambda some, rate: seen.append(some.path.name) or decode(some, rate))
    return seen


def check(corpus, folder):
    files = sorted(folder.glob("*.wav"))
    assert len(corpus) == len(files)
    for i, file in enumerate(files):
        wave, _ = soundfile.read(file, dtype="float32")
        np.testing.assert_array_equal(corpus[i], wave)  # 16 bits
        assert corpus.rms[i] == pytest.approx(np.sqrt(np.mean(wave**2)), rel=1e-4)
    assert corpus.hours == pytest.approx(len(files) * 0.5 / 3600)


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


def test_what_is_decoded_before_a_bad_file_stays(speech, tmp_path, monkeypatch):
    (speech / "3.wav").write_bytes(b"no audio")
    with pytest.raises(audio.AudioError, match=r"3\.wav"):
        Corpus(speech, tmp_path / "cache", RATE)
    add_again = speech / "3.wav"
    add_again.unlink()
    add(speech, 3)
    seen = decoded(monkeypatch)
    check(Corpus(speech, tmp_path / "cache", RATE), speech)
    assert sorted(seen) == ["3.wav", "4.wav"]
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_full_disk_leaves_nothing_half_written(speech, tmp_path, monkeypatch):
    def full(shard, key, samples, rms):
        if shard.bytes:
            raise OSError(28, "No space left on device")
        add_to(shard, key, samples, rms)

    add_to = cache._Shard.add
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(cache._Shard, "add", full)
        Corpus(speech, tmp_path / "cache", RATE)
    assert [p.name for p in (tmp_path / "cache").iterdir() if p.suffix != ".lock"] == []
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
