"""Files that libav reads: aligned with what went in, whole, and refused in one line."""

import struct

import av
import numpy as np
import pytest

from helpers.media import decode, encode, film, frames, lag, snr_db, speechlike
from voxmend.audio import AudioError, Reader, Writer
from voxmend.audio.containers import bit_rate

SAMPLES = 30_000


def read(path, size=4096, **options):
    return np.concatenate(list(Reader(path, **options).blocks(size)), axis=1)


def refuses(path, *words, **options):
    with pytest.raises(AudioError) as caught:
        Reader(path, **options)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("name, codec, rate, channels, subtype, least_db", [
    ("a.m4a", "aac", 44100, 2, "AAC", 13), ("a.mp4", "aac", 48000, 1, "AAC", 13),
    ("a.mov", "aac", 16000, 1, "AAC", 13), ("a.m4a", "alac", 44100, 1, "ALAC_24", 90),
    ("a.mov", "pcm_s24le", 48000, 2, "PCM_24", 90), ("a.3gp", "aac", 22050, 1, "AAC", 13),
    ("a.mp4", "libopus", 48000, 1, "OPUS", 13), ("a.mkv", "libopus", 48000, 2, "OPUS", 13),
    ("a.webm", "libopus", 48000, 1, "OPUS", 13), ("a.mkv", "flac", 44100, 2, "FLAC_16", 60),
    ("a.mkv", "libmp3lame", 44100, 1, "MPEG_LAYER_III", 13), ("a.mka", "pcm_s16le", 8000, 1,
                                                               "PCM_16", 60),
    ("a.wv", "wavpack", 44100, 2, "PCM_16", 30), ("a.m4a", "aac", 48000, 6, "AAC", 5),
])
def test_exact_in_length_and_place(tmp_path, name, codec, rate, channels, subtype, least_db):
    wave = speechlike(channels, SAMPLES)
    encode(tmp_path / name, wave, rate, codec, bit_rate=128_000 * channels)
    reader = Reader(tmp_path / name)
    assert (reader.sample_rate, reader.channels, reader.frames, reader.subtype) == (
        rate, channels, SAMPLES, subtype)
    out = read(tmp_path / name)
    assert out.shape == wave.shape and lag(wave, out) == 0 and snr_db(wave, out) > least_db


@pytest.mark.parametrize("name, codec, rate", [
    ("a.aac", "aac", 44100), ("a.mkv", "aac", 44100), ("a.wma", "wmav2", 44100),
    ("a.amr", "libopencore_amrnb", 8000), ("a.flv", "aac", 44100), ("a.ts", "aac", 48000),
    ("a.avi", "libmp3lame", 44100), ("a.ac3", "ac3", 48000)])
def test_what_libav_gives_where_no_mark_says_more(tmp_path, name, codec, rate):
    path = tmp_path / name
    encode(path, speechlike(1, SAMPLES), rate, codec,
           bit_rate=12_200 if "amr" in codec else 96_000)
    np.testing.assert_array_equal(read(path), decode(path))


@pytest.mark.parametrize("timescale", ["1000", "44100"])
def test_edit_list_tells_the_end_to_the_sample(tmp_path, timescale):
    """FFmpeg's own counts milliseconds and would cut or leave some 40 samples."""
    for samples in range(SAMPLES, SAMPLES + 45, 11):
        path = tmp_path / f"{samples}.m4a"
        encode(path, speechlike(1, samples), 44100, "aac", movie_timescale=timescale)
        assert decode(path).shape[1] > samples == Reader(path).frames


@pytest.mark.parametrize("name, codec", [("a.m4a", "aac"), ("a.webm", "libopus"),
                                         ("a.wma", "wmav2")])
def test_blocks_of_any_size_are_the_same_and_repeat(tmp_path, name, codec):
    path = tmp_path / name
    encode(path, speechlike(2, SAMPLES), 48000, codec)
    reader = Reader(path)
    whole = np.concatenate(list(reader.blocks(10**6)), axis=1)
    for size in (777, 4096):
        blocks = list(reader.blocks(size))
        assert all(b.dtype == np.float32 and b.shape[1] == size for b in blocks[:-1])
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


def test_eight_channels(tmp_path):
    wave = speechlike(8, SAMPLES)
    with av.open(str(tmp_path / "a.mka"), "w") as out:
        stream = out.add_stream("flac", rate=48000, layout="7.1")
        packed = np.ascontiguousarray(wave.T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, "flt", "7.1")
        frame.sample_rate, frame.pts = 48000, 0
        out.mux([*stream.encode(frame), *stream.encode(None)])
    np.testing.assert_allclose(read(tmp_path / "a.mka"), wave, atol=2**-16)
    with Writer(tmp_path / "a.ogg", 48000, 8, "FLAC_16") as writer:
        writer.write(wave)
    np.testing.assert_allclose(read(tmp_path / "a.ogg"), wave, atol=2**-16)


def test_sound_track_of_a_film(tmp_path):
    wave = speechlike(2, 2 * 48000)
    film(tmp_path / "a.mp4", wave, 48000)
    out = read(tmp_path / "a.mp4")
    assert out.shape == wave.shape and lag(wave, out) == 0


def test_missing_packets_are_silence(tmp_path):
    """Whoever goes on a second later says so by his timestamps, which a film's pictures follow."""
    wave = speechlike(1, 48000)
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=48000, layout="mono")
        for first in (0, 96000):
            for frame in frames(wave, 48000, first):
                out.mux(stream.encode(frame))
    out = read(tmp_path / "a.mkv")
    expected = np.concatenate([wave, np.zeros((1, 48000)), wave], axis=1)
    assert abs(out.shape[1] - expected.shape[1]) < 48  # Matroska counts milliseconds
    assert snr_db(wave, out[:, :48000]) > 60 and snr_db(wave, out[:, -48000:]) > 60


def test_bit_rate(tmp_path):
    encode(tmp_path / "a.m4a", speechlike(1, 96000), 48000, "aac", bit_rate=64_000)
    assert abs(bit_rate(tmp_path / "a.m4a") - 64_000) < 6000


# What cannot be read

@pytest.mark.parametrize("name, codec, kept, words", [
    ("a.m4a", "aac", 0.5, ("breaks off", "index")), ("a.m4a", "aac", 0.01, ("breaks off",)),
    ("a.mkv", "aac", 0.5, ("breaks off", "of 1.27 s", "--salvage")), ("a.mkv", "aac", 0.01, ()),
    ("a.wma", "wmav2", 0.5, ("damaged at", "--salvage")), ("a.aac", "aac", 0.5, ("--salvage",)),
    ("a.amr", "libopencore_amrnb", 0.4999, ("--salvage",)), ("a.webm", "libopus", 0.02, ()),
    ("a.caf", "pcm_s16be", 0.5, ("breaks off", "of 1.25 s", "--salvage")),
])
def test_broken_off(tmp_path, name, codec, kept, words):
    path, rate = tmp_path / name, 8000 if "amr" in codec else 48000
    encode(path, speechlike(1, 60_000), rate, codec, bit_rate=12_200 if rate == 8000 else 96_000)
    path.write_bytes(path.read_bytes()[:int(kept * path.stat().st_size)])
    refuses(path, *words)


@pytest.mark.parametrize("name, codec", [("a.mkv", "aac"), ("a.wma", "wmav2"), ("a.aac", "aac"),
                                         ("a.mov", "pcm_s16le"), ("a.caf", "pcm_s24be")])
def test_salvage_reads_what_is_there(tmp_path, name, codec):
    path = tmp_path / name
    options = {"movflags": "faststart"} if name == "a.mov" else {}
    encode(path, speechlike(1, 60_000), 44100, codec, **options)
    whole = decode(path)
    path.write_bytes(path.read_bytes()[:path.stat().st_size // 2 + 1000])
    refuses(path, "--salvage")
    out = read(path, salvage=True)
    assert 20_000 < out.shape[1] < 35_000
    np.testing.assert_array_equal(out[:, :20_000], whole[:, :20_000])


def test_index_of_two_hours_in_a_kilobyte(tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, speechlike(1, 2000), 8000, "aac", bit_rate=8000)
    data = path.read_bytes()
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):  # their durations
        at = data.index(box) + place
        rate = struct.unpack(">I", data[at - 4:at])[0] if box != b"tkhd" else 1000
        data = data[:at] + struct.pack(">I", 7200 * rate) + data[at + 4:]
    for box, place, form in ((b"stts", 12, ">II"), (b"elst", 12, ">I")):
        at = data.index(box) + place
        told = struct.pack(form, *((56_250, 1024) if form == ">II" else (7200_000,)))
        data = data[:at] + told + data[at + len(told):]
    path.write_bytes(data)
    assert len(data) < 2000
    refuses(path, "breaks off")


def test_film_without_sound(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        out.mux(stream.encode(None))
    refuses(tmp_path / "a.mp4", "no sound track")


def test_protected_sound(tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, speechlike(1, 4000), 44100, "aac")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"drms"))
    refuses(path, "protected")


def test_track_of_no_samples(tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="ipod") as out:
        out.add_stream("aac", rate=44100, layout="mono")
        out.start_encoding()
    refuses(path)


def test_playlists_lead_nowhere(tmp_path):
    encode(tmp_path / "a.aac", speechlike(1, 4000), 44100, "aac")
    path = tmp_path / "list.m3u8"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.aac\n#EXT-X-ENDLIST\n")
    refuses(path)
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile a.aac\n")
    refuses(tmp_path / "list.txt")


def test_a_lossless_track_without_a_whole_packet_is_refused(tmp_path):
    """libav then knows no sample format."""
    path = tmp_path / "a.wv"
    encode(path, speechlike(1, 4000), 16000, "wavpack")
    data = path.read_bytes()
    path.write_bytes(data[:44] + bytes(len(data) - 44))
    with av.open(str(path)) as file:
        assert file.streams.audio[0].codec_context.format is None
    refuses(path)
    refuses(path, salvage=True)
