"""What a mended file keeps of the one it is made of, read by mutagen, wave, struct and libav."""

import struct
import wave as waves
from base64 import b64decode, b64encode

import av
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import flac, id3

from helpers.media import encode, film, frames, lag, snr_db, speechlike
from voxmend import audio
from voxmend.audio import AudioError, Reader, Writer, writing
from voxmend.audio.containers import bit_rate

PNG = (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc"
       b"\xf8\xcf\xc0\0\0\3\1\1\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82")
WAVE = speechlike(1, 20_000)


def copy(source, target, rate=None, gain=1.0):
    """A file through `Writer(like=…)`."""
    reader = Reader(source)
    with Writer(target, rate or reader.sample_rate, reader.channels, like=reader) as writer:
        for block in reader.blocks(5000):
            writer.write(gain * block)
    return writer


def tagged(path, rate=48000):
    """A file with a title, an artist, a track, a tag of no usual name, and a cover."""
    if path.suffix == ".m4a":
        encode(path, WAVE, rate, "aac")
    else:
        audio.save(path, WAVE, rate)
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, id3.ID3Tags):
        for frame in (id3.TIT2(3, ["Ünïcode"]), id3.TPE1(3, ["Somebody"]), id3.TRCK(3, ["3/9"]),
                      id3.TXXX(3, "mood", ["calm"]), id3.APIC(3, "image/png", 3, "", PNG)):
            file.tags.add(frame)
    elif path.suffix == ".m4a":
        file.tags.update({"\xa9nam": ["Ünïcode"], "\xa9ART": ["Somebody"], "trkn": [(3, 9)],
                          "----:com.apple.iTunes:mood": [b"calm"],
                          "covr": [mutagen.mp4.MP4Cover(PNG, mutagen.mp4.MP4Cover.FORMAT_PNG)]})
    else:
        file.tags.update({"title": ["Ünïcode"], "artist": ["Somebody"], "tracknumber": ["3/9"],
                          "mood": ["calm"]})
        picture = flac.Picture()
        picture.type, picture.mime, picture.data = 3, "image/png", PNG
        if path.suffix == ".flac":
            file.add_picture(picture)
        else:
            file.tags["metadata_block_picture"] = [b64encode(picture.write()).decode()]
    file.save()


def read_tags(path):
    """Title, artist, track, mood and cover as mutagen reads them."""
    file = mutagen.File(path)
    tags = file.tags
    if isinstance(tags, id3.ID3Tags):
        return (str(tags["TIT2"]), str(tags["TPE1"]), str(tags["TRCK"]).split("/")[0],
                str(next(iter(tags.getall("TXXX:mood") or tags.getall("TXXX:MOOD")), None)),
                tags.getall("APIC")[0].data)
    if isinstance(tags, mutagen.mp4.MP4Tags):
        return (tags["\xa9nam"][0], tags["\xa9ART"][0], str(tags["trkn"][0][0]),
                tags["----:com.apple.iTunes:mood"][0].decode(), bytes(tags["covr"][0]))
    cover = file.pictures[0] if path.suffix == ".flac" else flac.Picture(
        b64decode(tags["metadata_block_picture"][0]))
    return (tags["title"][0], tags["artist"][0], tags["tracknumber"][0].split("/")[0],
            tags["mood"][0], cover.data)


SUFFIXES = (".wav", ".aiff", ".mp3", ".flac", ".ogg", ".opus", ".m4a")


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("source", SUFFIXES)
def test_tags_and_cover(tmp_path, source, target):
    tagged(tmp_path / f"in{source}")
    writer = copy(tmp_path / f"in{source}", tmp_path / f"out{target}")
    assert read_tags(tmp_path / f"out{target}") == ("Ünïcode", "Somebody", "3", "calm", PNG)
    assert writer.lost == [] and Reader(tmp_path / f"out{target}").frames == WAVE.shape[1]


def test_what_is_lost_is_told(tmp_path):
    tagged(tmp_path / "in.mp3")
    assert copy(tmp_path / "in.mp3", tmp_path / "out.w64").lost == ["tags", "cover"]


def test_damaged_tags_stop_nothing(tmp_path):
    tagged(tmp_path / "in.ogg")
    file = mutagen.File(tmp_path / "in.ogg")
    file.tags["metadata_block_picture"] = ["no base64"]
    file.save()
    assert copy(tmp_path / "in.ogg", tmp_path / "out.flac").lost == ["tags (they are damaged)"]
    assert Reader(tmp_path / "out.flac").frames == WAVE.shape[1]


def test_delay_of_the_old_encoder_is_not_kept(tmp_path):
    encode(tmp_path / "in.m4a", WAVE, 44100, "aac")
    file = mutagen.File(tmp_path / "in.m4a")
    file.tags["----:com.apple.iTunes:iTunSMPB"] = [b" 00000000 00000840 0000037C 0000000000004E20"]
    file.save()
    copy(tmp_path / "in.m4a", tmp_path / "out.m4a")
    assert not any("SMPB" in key for key in mutagen.File(tmp_path / "out.m4a").tags)


# Chunks

def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def find(path, name):
    data, at = path.read_bytes(), 12
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    while at < len(data):
        size = struct.unpack("<I", data[at + 4:at + 8])[0]
        if data[at:at + 4] == name:
            return data[at + 8:at + 8 + size]
        at += 8 + size + size % 2
    return None


CUES = struct.pack("<IIIIIIIIII", 1, 7, 1234, 0, 0, 0, 1234, 0, 0, 0)[:28]
BEXT = b"Interview".ljust(338, b"\0") + struct.pack("<Q", 480_000) + bytes(256)


@pytest.fixture
def broadcast(tmp_path):
    """A wav of 24 bits with cue points, bext, iXML and a list of labels."""
    path = tmp_path / "in.wav"
    audio.save(path, WAVE, 16000, "PCM_24")
    data = path.read_bytes() + chunk(b"cue ", CUES) + chunk(b"bext", BEXT) + chunk(
        b"iXML", b"<a/>") + chunk(b"LIST", b"adtllabl\x0c\0\0\0\7\0\0\0hello\0\0\0")
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])
    return path


def test_chunks_of_a_wav(tmp_path, broadcast):
    out = tmp_path / "out.wav"
    assert copy(broadcast, out).lost == []
    for name in (b"cue ", b"bext", b"iXML", b"LIST"):
        assert find(out, name) == find(broadcast, name) and find(out, name)
    with waves.open(str(out)) as file:
        assert (file.getsampwidth(), file.getnframes()) == (3, WAVE.shape[1])
    assert Reader(out).subtype == "PCM_24"


def test_positions_follow_the_rate(tmp_path, broadcast):
    copy(broadcast, tmp_path / "out.wav", rate=48000)
    assert struct.unpack_from("<I", find(tmp_path / "out.wav", b"cue "), 8)[0] == 3 * 1234
    assert struct.unpack_from("<Q", find(tmp_path / "out.wav", b"bext"), 338)[0] == 3 * 480_000


def test_cue_points_that_cannot_be_kept(tmp_path, broadcast):
    assert copy(broadcast, tmp_path / "out.flac").lost == ["bext", "cue points", "iXML"]
    assert Reader(tmp_path / "out.flac").subtype == "PCM_24"


@pytest.mark.parametrize("mask", [0x3F, 0x60F])
def test_loudspeakers_of_the_channels(tmp_path, mask):
    path, out = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(path, np.repeat(WAVE.T, 6, 1), 48000, format="WAVEX", subtype="PCM_16")
    data = path.read_bytes()
    path.write_bytes(data[:40] + struct.pack("<I", mask) + data[44:])
    copy(path, out)
    assert struct.unpack_from("<I", find(out, b"fmt "), 20)[0] == mask


def test_loudspeakers_of_an_m4a(tmp_path):
    wave = speechlike(6, 20_000)
    encode(tmp_path / "in.m4a", wave, 48000, "aac", bit_rate=400_000)
    copy(tmp_path / "in.m4a", tmp_path / "out.wav")
    assert struct.unpack_from("<I", find(tmp_path / "out.wav", b"fmt "), 20)[0] == 0x3F
    out = audio.load(tmp_path / "out.wav", 48000)
    assert all(snr_db(wave[c], out[c]) > 5 for c in range(6) if c != 3)  # that is low-passed


# Encoding and level

@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".caf", ".w64"])
def test_sample_encoding(tmp_path, suffix, subtype):
    audio.save(tmp_path / f"in{suffix}", WAVE, 16000, subtype)
    copy(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}")
    assert soundfile.info(tmp_path / f"out{suffix}").subtype == subtype


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".caf"])
def test_float_where_a_peak_asks_for_it(tmp_path, suffix):
    """Only then, from wherever it comes, and what was written before stays."""
    wave = 0.5 * np.clip(WAVE, -1, 1)
    wave[0, 12_345] = 0.75
    audio.save(tmp_path / f"in{suffix}", wave, 16000, "PCM_16")
    before = soundfile.read(tmp_path / f"in{suffix}", dtype="float32")[0]
    writer = copy(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}", gain=2)
    out, _ = soundfile.read(tmp_path / f"out{suffix}", dtype="float32")
    assert soundfile.info(tmp_path / f"out{suffix}").subtype == "FLOAT"
    assert (writer.clamped, writer.peak, writer.subtype) == (0, 1.5, "FLOAT")
    np.testing.assert_allclose(out, 2 * before, atol=2**-15)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"in{suffix}", f"out{suffix}"]


def test_peaks_are_limited_where_there_is_no_float(tmp_path):
    audio.save(tmp_path / "in.flac", WAVE, 16000, "PCM_24")
    writer = copy(tmp_path / "in.flac", tmp_path / "out.flac", gain=20)
    assert writer.clamped > 0 and writer.peak > 1
    assert Reader(tmp_path / "out.flac").subtype == "PCM_24"


@pytest.mark.parametrize("suffix, rate, levels", [
    (".mp3", 44100, (64_000, 320_000)), (".mp3", 16000, (24_000, 128_000)),
    (".ogg", 44100, (80_000, 128_000)), (".opus", 48000, (24_000, 160_000)),
    (".m4a", 44100, (48_000, 128_000))])
def test_bit_rate_class(tmp_path, suffix, rate, levels):
    codec = {".mp3": "libmp3lame", ".opus": "libopus", ".m4a": "aac"}.get(suffix)
    for level in levels:
        source, target = tmp_path / f"in{level}{suffix}", tmp_path / f"out{level}{suffix}"
        if codec:
            encode(source, speechlike(1, rate), rate, codec, bit_rate=level)
        else:  # no Vorbis encoder in libav
            soundfile.SoundFile(source, "w", rate, 1, format="OGG", subtype="VORBIS",
                                compression_level=1 - level / 240_000).write(speechlike(1, rate).T)
        copy(source, target)
        assert bit_rate(target) == pytest.approx(bit_rate(source), rel=0.13)


def test_wav_beyond_4_gib_becomes_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "WAV_LIMIT", 100_000)
    audio.save(tmp_path / "in.w64", speechlike(1, 60_000), 16000)
    copy(tmp_path / "in.w64", tmp_path / "out.wav")
    assert soundfile.info(tmp_path / "out.wav").format == "RF64"
    assert Reader(tmp_path / "out.wav").frames == 60_000


# Films

@pytest.fixture
def mp4(tmp_path):
    """A film of two sound tracks and two chapters."""
    path = tmp_path / "in.mp4"
    film(path, speechlike(2, 2 * 48000), 48000)
    return path


def packets(path, kind, place=0):
    """Time and bytes of the packets of a stream, as libav reads them."""
    with av.open(str(path)) as file:
        stream = [s for s in file.streams if s.type == kind][place]
        return [(round(1000 * p.pts * p.time_base), bytes(p)) for p in file.demux(stream) if p.size]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_pictures_of_a_film(tmp_path, mp4, suffix):
    out = tmp_path / f"out{suffix}"
    assert copy(mp4, out, gain=0.5).lost == []
    assert packets(out, "video") == packets(mp4, "video")
    assert [p for _, p in packets(out, "audio", 1)] == [p for _, p in packets(mp4, "audio", 1)]
    with av.open(str(out)) as file:
        assert file.metadata["title"] == "A film"
        assert [c["metadata"]["title"] for c in file.chapters()] == ["part 0", "part 1"]
        if suffix != ".mov":  # whose muxer writes few languages
            assert [s.metadata["language"] for s in file.streams.audio] == ["fra", "deu"]
    was, now = (np.concatenate(list(Reader(p).blocks()), 1) for p in (mp4, out))
    assert was.shape == now.shape and lag(was, now) == 0 and snr_db(0.5 * was, now) > 12


@pytest.mark.skipif("libx264" not in av.codecs_available, reason="libav without H.264")
def test_pictures_in_another_order_than_they_are_shown(tmp_path):
    """Matroska has no decoding times; none of its packets may be left out for that."""
    film(tmp_path / "in.mkv", speechlike(1, 2 * 48000), 48000, picture="libx264")
    for suffix in (".mkv", ".mp4"):
        copy(tmp_path / "in.mkv", tmp_path / f"out{suffix}")
        assert packets(tmp_path / f"out{suffix}", "video") == packets(tmp_path / "in.mkv", "video")


def test_subtitles_of_a_film(tmp_path):
    (tmp_path / "in.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nhello\n")
    film(tmp_path / "in.mkv", speechlike(1, 2 * 48000), 48000, subtitles=tmp_path / "in.srt")
    assert copy(tmp_path / "in.mkv", tmp_path / "out.mkv").lost == []
    assert packets(tmp_path / "out.mkv", "subtitle") == [(500, b"hello")]
    assert copy(tmp_path / "in.mkv", tmp_path / "out.mp4").lost == ["its subtitle track"]


@pytest.mark.parametrize("source, codec, late, begins", [
    ("in.mkv", "aac", 24_000, 0.5), ("in.mkv", "aac", 0, 0.0),
    ("in.wmv", "wmav2", 0, 4096 / 48000),  # of which libav drops the first block
])
def test_sound_stays_in_step_with_the_pictures(tmp_path, source, codec, late, begins):
    film(tmp_path / source, speechlike(1, 48000), 48000, codec=codec, late=late)
    copy(tmp_path / source, tmp_path / "out.mkv")
    starts = []
    for path in (tmp_path / source, tmp_path / "out.mkv"):
        with av.open(str(path)) as file:
            starts.append(next(file.decode(audio=0)).time)
    assert starts == pytest.approx([begins, begins], abs=0.0015)


def test_sound_alone_of_a_film(tmp_path, mp4):
    copy(mp4, tmp_path / "out.m4a")
    assert mutagen.File(tmp_path / "out.m4a").tags["\xa9nam"] == ["A film"]
    with av.open(str(tmp_path / "out.m4a")) as file:
        assert not file.streams.video and len(file.chapters()) == 2


def test_pictures_that_do_not_fit_are_refused_before_the_work(tmp_path, mp4):
    with pytest.raises(AudioError, match=r"out.webm: .webm cannot hold the pictures of in.mp4"):
        Writer(tmp_path / "out.webm", 48000, 2, like=Reader(mp4))


def test_attachments_of_a_film(tmp_path):
    with av.open(str(tmp_path / "in.mkv"), "w") as out:
        video = out.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        sound = out.add_stream("pcm_s16le", rate=16000, layout="mono")
        out.add_attachment("font.ttf", "font/ttf", b"letters")
        out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        for frame in frames(WAVE, 16000):
            out.mux(sound.encode(frame))
        out.mux(video.encode(None))
    assert copy(tmp_path / "in.mkv", tmp_path / "out.mkv").lost == []
    with av.open(str(tmp_path / "out.mkv")) as file:
        assert [bytes(s.data) for s in file.streams.attachments] == [b"letters"]
    assert Reader(tmp_path / "out.mkv").subtype == "PCM_16"  # as it was
