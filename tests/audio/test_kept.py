"""What a mended file keeps of the one it is made of, read by mutagen, wave, struct and libav."""

import os
import struct
import wave as waves
from base64 import b64decode, b64encode
from fractions import Fraction

import av
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen import flac, id3

from helpers.media import decode, encode, film, frames, lag, snr_db, speechlike
from voxmend import audio
from voxmend.audio import AudioError, Reader, Writer, chunks, writing
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


@pytest.mark.parametrize("name, codec", [("in.mka", "flac"), ("in.ogg", "flac"),
                                         ("in.m4a", "aac")])
def test_tags_in_matroska_and_flac_in_ogg(tmp_path, name, codec):
    encode(tmp_path / name, WAVE, 48000, codec, tags={"title": "Ünïcode"})
    for out in (tmp_path / "out.mka", tmp_path / "out.ogg"):
        assert copy(tmp_path / name, out).lost == []
        with av.open(str(out)) as file:  # of an Ogg they are the stream's
            assert "Ünïcode" in {**file.metadata, **file.streams[0].metadata}.values()


def test_cue_sheet_of_a_flac(tmp_path):
    """It counts samples; libav takes it for chapters, which an m4a has."""
    audio.save(tmp_path / "in.flac", WAVE, 16000)
    file, sheet = flac.FLAC(tmp_path / "in.flac"), flac.CueSheet(None)
    for number, offset in ((1, 0), (2, 8000), (170, 20_000)):
        sheet.tracks.append(flac.CueSheetTrack(number, offset))
        if number < 170:
            sheet.tracks[-1].indexes.append(flac.CueSheetTrackIndex(1, 0))
    file.metadata_blocks.append(sheet)
    file.save()
    assert copy(tmp_path / "in.flac", tmp_path / "out.flac").lost == []
    assert flac.FLAC(tmp_path / "out.flac").cuesheet.write() == sheet.write()
    assert soundfile.info(tmp_path / "out.flac").frames == WAVE.shape[1]
    assert copy(tmp_path / "in.flac", tmp_path / "a.flac", rate=48000).lost == ["cue sheet"]
    assert copy(tmp_path / "in.flac", tmp_path / "a.wav").lost == ["cue sheet"]
    assert copy(tmp_path / "in.flac", tmp_path / "a.m4a").lost == []
    with av.open(str(tmp_path / "a.m4a")) as out:
        assert [c["start"] * c["time_base"] for c in out.chapters()] == [0, 0.5]


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


def append(path, *chunks):
    data = b"".join([path.read_bytes(), *chunks])
    path.write_bytes(data[:4] + struct.pack("<I", len(data) - 8) + data[8:])


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
    append(path, chunk(b"cue ", CUES), chunk(b"bext", BEXT), chunk(b"iXML", b"<a/>"),
           chunk(b"LIST", b"adtllabl\x0c\0\0\0\7\0\0\0hello\0\0\0"))
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


def test_a_position_beyond_its_field_stays_at_its_end(tmp_path):
    audio.save(tmp_path / "in.wav", WAVE, 8000)
    cue = struct.pack("<7I", 1, 7, 2**32 - 1, 0, 0, 0, 2**32 - 1)
    append(tmp_path / "in.wav", chunk(b"cue ", cue))
    assert copy(tmp_path / "in.wav", tmp_path / "out.wav", rate=16000).lost == []
    assert find(tmp_path / "out.wav", b"cue ") == cue


def test_lengths_and_loops_follow_the_rate(tmp_path):
    """A region of 600 samples, loops of 100 and of one, and the nanoseconds of a sample."""
    audio.save(tmp_path / "in.wav", WAVE, 16000)
    region = struct.pack("<4s4s3I4s4H", b"adtl", b"ltxt", 20, 7, 600, b"rgn ", 0, 0, 0, 0)
    loops = struct.pack("<9I", 0, 0, 62_500, 60, 0, 0, 0, 2, 0) + struct.pack(
        "<12I", 1, 0, 100, 199, 0, 0, 2, 0, 50, 50, 0, 0)
    append(tmp_path / "in.wav", chunk(b"LIST", region), chunk(b"smpl", loops))
    assert copy(tmp_path / "in.wav", tmp_path / "out.wav", rate=48000).lost == []
    assert struct.unpack_from("<I", find(tmp_path / "out.wav", b"LIST"), 16)[0] == 1800
    smpl = struct.unpack("<21I", find(tmp_path / "out.wav", b"smpl"))
    assert smpl[2:4] == (20_833, 60) and smpl[11:13] == (300, 599) and smpl[17:19] == (150, 152)


@pytest.mark.parametrize("suffix, name, body, place, form", [
    (".aiff", b"MARK", struct.pack(">HhI4shI2s", 2, 1, 4, b"\3abc", 2, 1234, b""), 14, ">I"),
    (".caf", b"mark", struct.pack(">IIIdIQI", 0, 1, 0, 1234, 1, 0, 0), 12, ">d"),
    (".caf", b"regn", struct.pack(">5IIdIQI", 0, 1, 5, 0, 1, 0, 1234, 1, 0, 0), 24, ">d")])
def test_markers_follow_the_rate(tmp_path, suffix, name, body, place, form):
    source, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    audio.save(source, WAVE, 16000)
    size = struct.pack(">q" if suffix == ".caf" else ">I", len(body))
    source.write_bytes(source.read_bytes() + name + size + body)
    assert copy(source, out, rate=48000).lost == [] and Reader(out).sample_rate == 48000
    written = out.read_bytes()
    at = written.index(name + size) + 4 + len(size)
    assert struct.unpack_from(form, written, at + place)[0] == 3 * 1234


def test_chunks_beyond_4_gib_are_left_out(tmp_path, broadcast):
    audio.save(tmp_path / "out.wav", WAVE, 16000)
    os.truncate(tmp_path / "out.wav", 2**32 - 60)  # most of it takes no room on the disk
    lost = chunks.copy(broadcast, tmp_path / "out.wav", Fraction(1))
    assert lost == ["bext", "LIST"] and (tmp_path / "out.wav").stat().st_size < 2**32 + 8
    with (tmp_path / "out.wav").open("rb") as file:
        assert struct.unpack("<4xI", file.read(8))[0] == file.seek(0, 2) - 8


def test_cue_points_that_cannot_be_kept(tmp_path, broadcast):
    assert copy(broadcast, tmp_path / "out.flac").lost == ["bext", "cue points", "iXML"]
    assert Reader(tmp_path / "out.flac").subtype == "PCM_24"


# Encoding and level

@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".caf", ".w64"])
def test_sample_encoding(tmp_path, suffix, subtype):
    audio.save(tmp_path / f"in{suffix}", WAVE, 16000, subtype)
    copy(tmp_path / f"in{suffix}", tmp_path / f"out{suffix}")
    assert soundfile.info(tmp_path / f"out{suffix}").subtype == subtype


@pytest.mark.parametrize("source, codec, target, wanted, same", [
    ("in.caf", "ALAC_16", "out.caf", "ALAC_16", True),
    ("in.caf", "ALAC_24", "out.m4a", "ALAC_24", True),
    ("in.m4a", "ALAC_24", "out.caf", "ALAC_24", True),
    ("in.m4a", "ALAC_24", "out.wav", "PCM_24", True),
    ("in.m4a", "ALAC_16", "out.mka", "PCM_16", True),
    ("in.oga", "FLAC_24", "out.ogg", "FLAC_24", True),
    ("in.ogg", "FLAC_16", "out.mka", "FLAC_16", True),
    ("in.mka", "FLAC_24", "out.flac", "PCM_24", True), ("in.wav", "PCM_24", "out.ogg", "VORBIS", 0),
    ("in.ogg", "OPUS", "out.oga", "OPUS", 0), ("in.mka", "OPUS", "out.mkv", "OPUS", 0)])
def test_codec_where_the_format_has_it(tmp_path, source, codec, target, wanted, same):
    wave = speechlike(2, 30_001)
    with Writer(tmp_path / source, 48000, 2, codec) as writer:
        writer.write(wave)
    assert copy(tmp_path / source, tmp_path / target).lost == []
    assert Reader(tmp_path / source).subtype == codec
    assert Reader(tmp_path / target).subtype == wanted
    before, after = (np.concatenate([*Reader(tmp_path / name).blocks()], 1)
                     for name in (source, target))
    assert before.shape == after.shape == wave.shape and lag(before, after) == 0
    assert np.array_equal(before, after) if same else snr_db(before, after) > 10
    assert (tmp_path / target).stat().st_size < 1.2 * (tmp_path / source).stat().st_size or same
    if target != "out.m4a":  # whose edit list libav's last packet ignores
        np.testing.assert_allclose(decode(tmp_path / target), after, atol=2**-12)


def test_opus_at_a_rate_that_it_lacks_becomes_vorbis(tmp_path):
    audio.save(tmp_path / "in.opus", WAVE, 48000)
    copy(tmp_path / "in.opus", tmp_path / "out.ogg", rate=44100)
    assert Reader(tmp_path / "out.ogg").subtype == "VORBIS"


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


@pytest.mark.parametrize("rate, bit_rate", [
    (8000, 8000), (8000, 16_000), (11025, 16_000), (16000, 32_000), (22050, 24_000),
    (22050, 48_000), (24000, 40_000), (24000, 56_000), (44100, 32_000), (44100, 48_000),
    (44100, 56_000), (48000, 56_000)])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_of_small_frames_tells_its_length(tmp_path, rate, bit_rate, channels):
    """As it says in a table, which many of these frames have no room for."""
    wave = speechlike(channels, 3 * rate)
    encode(tmp_path / "in.mp3", wave, rate, "libmp3lame", bit_rate=bit_rate)
    copy(tmp_path / "in.mp3", tmp_path / "out.mp3")
    out = decode(tmp_path / "out.mp3")
    assert out.shape == wave.shape and lag(wave, out) == 0
    assert soundfile.info(tmp_path / "out.mp3").frames == wave.shape[1]
    assert bit_rate * 0.8 < mutagen.File(tmp_path / "out.mp3").info.bitrate < bit_rate * 1.3


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
