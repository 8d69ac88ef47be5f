"""Several recordings in one file, and files whose header or end is missing."""

import struct

import numpy as np
import pytest
import soundfile

from helpers.media import encode, snr_db, speechlike
from voxmend import audio
from voxmend.audio import AudioError, Reader

WAVE = speechlike(1, 40_000)


def join(tmp_path, name, *parts):
    path = tmp_path / name
    path.write_bytes(b"".join(part if isinstance(part, bytes) else part.read_bytes()
                              for part in parts))
    return path


def read(path, size=4096, **options):
    return np.concatenate(list(Reader(path, **options).blocks(size)), axis=1)


# Joined

@pytest.mark.parametrize("order", [(0, 1), (1, 0, 1)])
@pytest.mark.parametrize("suffix, least_db", [(".ogg", 14), (".oga", 14), (".opus", 10),
                                              (".mp3", 12)])
def test_all_parts_are_read(tmp_path, suffix, least_db, order):
    waves = WAVE[:, :12_345], WAVE
    for number, wave in enumerate(waves):
        audio.save(tmp_path / f"{number}{suffix}", wave, 16000)
    path = join(tmp_path, f"all{suffix}", *(tmp_path / f"{n}{suffix}" for n in order))
    expected = np.concatenate([waves[n] for n in order], axis=1)
    assert Reader(path).frames == expected.shape[1]
    assert snr_db(expected, read(path)) > least_db
    np.testing.assert_array_equal(read(path), np.concatenate(
        [read(tmp_path / f"{n}{suffix}") for n in order], axis=1))


def plain_mp3(path, wave, table, title):
    encode(path, wave, 44100, "libmp3lame", bit_rate=64_000, tags={"title": title} if title else (),
           write_xing=table, id3v2_version="3" if title else "0")


@pytest.mark.parametrize("table", ["0", "1"])
@pytest.mark.parametrize("title", ["", "x" * 5000])
@pytest.mark.parametrize("between", [b"", b"TAG".ljust(128)])
def test_mp3_with_and_without_tags_and_tables(tmp_path, table, title, between):
    for number in range(2):
        plain_mp3(tmp_path / f"{number}.mp3", WAVE, table, title)
    path = join(tmp_path, "all.mp3", tmp_path / "0.mp3", between, tmp_path / "1.mp3", between)
    one = Reader(tmp_path / "0.mp3").frames
    frames = Reader(path).frames
    if table == "0" and not title:  # nothing tells that they are two: the second's priming stays
        assert abs(frames - 2 * one) <= 1152
    else:
        assert frames == 2 * one


def test_parts_of_different_rates_are_refused(tmp_path):
    audio.save(tmp_path / "0.mp3", WAVE, 16000)
    audio.save(tmp_path / "1.mp3", WAVE, 44100)
    path = join(tmp_path, "all.mp3", tmp_path / "0.mp3", tmp_path / "1.mp3")
    with pytest.raises(AudioError, match="several recordings, of 16000 and 44100 Hz.* split it"):
        Reader(path)


@pytest.mark.parametrize("salvage", [True, False])
@pytest.mark.parametrize("codec, channels, rates", [
    ("aac", (1, 2), (48000, 48000)), ("aac", (2, 1), (48000, 48000)),
    ("aac", (1, 1), (48000, 44100)), ("ac3", (2, 6), (48000, 48000))])
def test_a_recording_that_changes_is_refused(tmp_path, codec, channels, rates, salvage):
    """As what is broadcast, from programme to programme."""
    parts = [tmp_path / f"{number}.{codec}" for number in range(2)]
    for path, count, rate in zip(parts, channels, rates, strict=True):
        encode(path, speechlike(count, 20_000), rate, codec, bit_rate=192_000)
    said = (f"several recordings, of {rates[0]} and {rates[1]} Hz, {channels[0]} and {channels[1]} "
            "channels: split it")
    with pytest.raises(AudioError, match=said):
        Reader(join(tmp_path, f"all.{codec}", *parts), salvage)


# Broken off

@pytest.fixture(params=[("WAV", "PCM_16", 2), ("WAV", "PCM_24", 3), ("WAV", "FLOAT", 4),
                        ("WAVEX", "PCM_16", 2)])
def recording(request, tmp_path):
    """A wav, its samples, how many bytes each has, and where they begin."""
    path, (container, subtype, width) = tmp_path / "a.wav", request.param
    soundfile.write(path, WAVE.T, 16000, format=container, subtype=subtype)
    return path, read(path), width, path.read_bytes().index(b"data") + 8


@pytest.mark.parametrize("riff", [0, None])
def test_wav_whose_header_says_that_it_is_empty(recording, riff):
    path, wave, _, at = recording
    data = bytearray(path.read_bytes())
    data[at - 4:at] = bytes(4)
    if riff is not None:
        data[4:8] = struct.pack("<I", riff)
    path.write_bytes(data)
    with pytest.raises(AudioError, match="says that it holds no samples.* --salvage"):
        Reader(path)
    np.testing.assert_array_equal(read(path, salvage=True), wave)


def test_wav_that_is_empty_has_nothing_to_salvage(tmp_path):
    audio.save(tmp_path / "a.wav", WAVE, 16000)
    data = (tmp_path / "a.wav").read_bytes()
    at = data.index(b"data") + 4
    path = tmp_path / "b.wav"
    path.write_bytes(data[:at] + bytes(4) + b"LIST\4\0\0\0INFO")
    with pytest.raises(AudioError, match="holds no samples: record"):
        Reader(path, salvage=True)


def test_wav_that_breaks_off(recording):
    path, wave, width, at = recording
    path.write_bytes(path.read_bytes()[:at + 30_001])
    with pytest.raises(AudioError, match=r"breaks off after 30001 of \d+ bytes.* --salvage"):
        Reader(path)
    out = read(path, salvage=True)
    np.testing.assert_array_equal(out, wave[:, :30_001 // width])


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".opus", ".mp3"])
def test_salvage_of_what_libsndfile_reads(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    audio.save(path, speechlike(1, 120_000), 16000)
    whole = read(path)
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2 + 7])
    with pytest.raises(AudioError, match="--salvage") as refused:
        list(Reader(path).blocks())
    out = read(path, salvage=True)
    if suffix == ".flac":
        assert f"damaged at about {out.shape[1] / 16000:.2f} s" in str(refused.value)
    assert 30_000 < out.shape[1] < 80_000
    np.testing.assert_allclose(out[:, :30_000], whole[:, :30_000], atol=1e-6)


@pytest.mark.parametrize("form", ["AIFF", "W64", "AU", "RF64", "WAV"])
def test_headers_tell_what_is_missing(tmp_path, form):
    path = tmp_path / f"a.{form.lower()}"
    soundfile.write(path, speechlike(1, 20_000).T, 16000, "PCM_16", format=form)
    data = path.read_bytes()
    path.write_bytes(data[:len(data) * 6 // 10])
    with pytest.raises(AudioError, match="breaks off after .* --salvage"):
        Reader(path)
    assert read(path, salvage=True).shape[1] > 11_000


def test_salvage_changes_nothing_of_what_is_whole(tmp_path):
    for suffix in (".wav", ".flac", ".ogg", ".mp3", ".m4a"):
        audio.save(tmp_path / f"a{suffix}", WAVE, 16000)
        np.testing.assert_array_equal(read(tmp_path / f"a{suffix}", salvage=True),
                                      read(tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("suffix", [".ogg", ".opus"])
@pytest.mark.parametrize("share", [0.35, 0.6])
def test_all_whole_packets_of_an_ogg_that_breaks_off_are_read(tmp_path, suffix, share):
    """A page holds up to a second of sound, and the last one breaks off with the file."""
    path = tmp_path / f"a{suffix}"
    audio.save(path, speechlike(1, 160_000), 16000)
    whole, data = read(path), path.read_bytes()
    path.write_bytes(data[:round(share * len(data))])
    found = read(path, salvage=True)
    np.testing.assert_array_equal(found, whole[:, :found.shape[1]])
    pages = [at for at in range(len(data)) if data[at:at + 4] == b"OggS"]
    path.write_bytes(data[:max(at for at in pages if at <= share * len(data))])
    assert found.shape[1] > read(path, salvage=True).shape[1]
