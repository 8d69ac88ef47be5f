"""Audio files: round trips, limits, and what is left behind when something fails."""

import errno
import os
import resource

import numpy as np
import pytest
import soundfile

from voxmend import audio
from voxmend.audio import ArrayReader, AudioError, Reader, Writer, writing
from voxmend.audio.arrays import BLOCK


def speechlike(channels, samples, seed=0):
    """Smooth noise at RMS 0.1, which lossy codecs keep. Shape: `[channels, samples]`."""
    noise = np.random.default_rng(seed).standard_normal((channels, samples + 15))
    smooth = sum(noise[:, k:k + samples] for k in range(16)) / 4
    return (0.1 * smooth).astype(np.float32)


def snr_db(reference, estimate):
    return 10 * np.log10(np.sum(reference**2) / np.sum((reference - estimate) ** 2))


def read(path, size=BLOCK):
    return np.concatenate(list(Reader(path).blocks(size)), axis=1)


def assert_fails(call, path, *words):
    """`call` raises a one-line AudioError naming the file and `words`; nothing is left behind."""
    folder = path.parent
    before = {p: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    with pytest.raises(AudioError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message
    assert {p: p.read_bytes() for p in folder.iterdir() if p.is_file()} == before


# Round trips

@pytest.mark.parametrize("suffix, rate, channels, least_db", [
    (".wav", 4000, 1, 60), (".wav", 44100, 16, 60), (".wav", 384000, 2, 60),
    (".flac", 8000, 1, 60), (".flac", 48000, 8, 60),
    (".ogg", 8000, 1, 10), (".ogg", 44100, 2, 10), (".ogg", 22050, 16, 10),
    (".opus", 8000, 1, 8), (".opus", 16000, 2, 8), (".opus", 48000, 3, 8),
    (".mp3", 8000, 1, 10), (".mp3", 22050, 2, 10), (".mp3", 48000, 1, 10),
    (".m4a", 8000, 1, 15), (".m4a", 44100, 2, 15), (".m4a", 48000, 6, 7), (".mp4", 16000, 2, 12),
    (".mov", 22050, 1, 15), (".mkv", 44100, 2, 15), (".webm", 48000, 2, 8), (".oga", 44100, 1, 10),
    (".aiff", 192_000, 3, 60), (".aif", 8000, 1, 60), (".caf", 11025, 8, 60),
    (".w64", 44100, 16, 60), (".rf64", 48000, 2, 60), (".au", 16000, 1, 60),
])
def test_round_trip(tmp_path, suffix, rate, channels, least_db):
    path = tmp_path / f"clip{suffix.upper()}"
    wave = speechlike(channels, 12345)
    assert audio.save(path, wave, rate) == 0
    reader = Reader(path)
    assert (reader.sample_rate, reader.channels, reader.frames) == (rate, channels, 12345)
    assert snr_db(wave, read(path)) > least_db
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix, wanted, kept", [
    (".wav", None, "PCM_16"), (".wav", "PCM_24", "PCM_24"), (".wav", "FLOAT", "FLOAT"),
    (".wav", "MPEG_LAYER_III", "PCM_16"), (".wav", "ULAW", "PCM_16"),
    (".flac", "PCM_24", "PCM_24"), (".flac", "FLOAT", "PCM_24"), (".flac", "VORBIS", "PCM_16"),
    (".ogg", "PCM_24", "VORBIS"), (".opus", None, "OPUS"), (".mp3", "FLOAT", "MPEG_LAYER_III"),
    (".caf", "ALAC_20", "ALAC_24"),
])
def test_subtype_is_kept_where_the_format_has_it(tmp_path, suffix, wanted, kept):
    path = tmp_path / f"clip{suffix}"
    audio.save(path, speechlike(1, 4000), 16000, wanted)
    assert Reader(path).subtype == kept


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_samples_beyond_one_are_clamped_and_counted(tmp_path, subtype):
    path = tmp_path / "loud.wav"
    wave = np.array([[0.5, 1.5, 1.0, -1.25, -1.0]], np.float32)
    assert audio.save(path, wave, 16000, subtype) == 2
    np.testing.assert_allclose(read(path), wave.clip(-1, 1), atol=2**-15)


def test_float_keeps_samples_beyond_one(tmp_path):
    wave = 3 * speechlike(2, 1000) / 0.1
    assert audio.save(tmp_path / "loud.wav", wave, 16000, "FLOAT") == 0
    np.testing.assert_array_equal(read(tmp_path / "loud.wav"), wave)


def test_long_vorbis_block_does_not_overflow_the_encoder(tmp_path):
    audio.save(tmp_path / "long.ogg", speechlike(1, 3_000_000), 16000)
    assert Reader(tmp_path / "long.ogg").frames == 3_000_000


# Reading

@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".mkv"])
def test_blocks_do_not_depend_on_their_size_and_repeat(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    audio.save(path, speechlike(2, 50_000), 16000)
    reader = Reader(path)
    whole = np.concatenate(list(reader.blocks(10**6)), axis=1)
    for size in (777, 4096, 777):
        blocks = list(reader.blocks(size))
        assert all(b.dtype == np.float32 and b.shape[1] <= size for b in blocks)
        np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole)


@pytest.fixture
def variable_rate_mp3(tmp_path):
    """An mp3 of 40 000 samples of uneven complexity at a variable bit rate."""
    path = tmp_path / "variable.mp3"
    wave = np.concatenate([np.zeros((1, 16000)), 2 * speechlike(1, 8000), np.zeros((1, 16000))], 1)
    with soundfile.SoundFile(path, "w", 16000, 1, format="MP3", bitrate_mode="VARIABLE") as file:
        file.write(wave.T)
    return path


def test_variable_rate_mp3_is_decoded_whole_at_any_block_size(variable_rate_mp3):
    whole = soundfile.read(variable_rate_mp3, dtype="float32")[0]
    np.testing.assert_allclose(read(variable_rate_mp3, 500)[0], whole, atol=1e-6)


def test_frames_are_counted_where_an_mp3_has_no_index(variable_rate_mp3):
    data = variable_rate_mp3.read_bytes()
    index = max(data.find(b"Xing"), data.find(b"Info"))
    bare = variable_rate_mp3.with_name("bare.mp3")
    bare.write_bytes(data[data.index(data[:2], index):])
    assert soundfile.info(bare).frames != Reader(bare).frames == read(bare).shape[1]


def test_frames_are_counted_where_a_flac_was_streamed(tmp_path):
    path = tmp_path / "streamed.flac"
    audio.save(path, speechlike(1, 30_000), 16000)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # the 36-bit count of samples in STREAMINFO: 0 is "unknown"
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert Reader(path).frames == 30_000


def test_load_resamples_and_keeps_channels(tmp_path):
    audio.save(tmp_path / "clip.wav", speechlike(2, 44100), 44100)
    wave = audio.load(tmp_path / "clip.wav", 16000)
    assert wave.shape == (2, 16000) and wave.dtype == np.float32 and wave.flags.c_contiguous


def test_array_reader_has_the_interface_of_reader(tmp_path):
    wave = speechlike(2, 1000)
    audio.save(tmp_path / "clip.wav", wave, 16000, "FLOAT")
    file, array = Reader(tmp_path / "clip.wav"), ArrayReader(wave, 16000)
    for name in ("sample_rate", "channels", "frames", "subtype"):
        assert getattr(file, name) == getattr(array, name)
    for ours, theirs in zip(array.blocks(300), file.blocks(300), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# What cannot be read

def test_missing_file(tmp_path):
    assert_fails(lambda: Reader(tmp_path / "a.wav"), tmp_path / "a.wav", "no such file")


def test_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    assert_fails(lambda: Reader(tmp_path / "sub"), tmp_path / "sub", "folder")


@pytest.mark.parametrize("name, content, word", [
    ("empty.wav", b"", "empty (0 bytes)"),
    ("text.wav", b"not audio at all " * 100, "export it as wav"),
    ("text.mp3", b"not audio at all " * 100, "export it as wav"),
    ("headerless.raw", bytes(1000), "export it as wav"),
    ("phone.m4a", b"\0\0\0\x20ftypM4A " + bytes(1000), "missing, without which --salvage"),
    ("phone.AAC", bytes(1000), "export it as wav"),
])
def test_not_audio(tmp_path, name, content, word):
    path = tmp_path / name
    path.write_bytes(content)
    assert_fails(lambda: Reader(path), path, word)


@pytest.mark.parametrize("suffix, kept", [(".flac", 0.5), (".flac", 0.99), (".ogg", 0.01),
                                          (".opus", 0.01), (".mp3", 0.001)])
def test_truncated_file(tmp_path, suffix, kept):
    path = tmp_path / f"cut{suffix}"
    audio.save(path, speechlike(1, 50_000), 16000)
    path.write_bytes(path.read_bytes()[:int(kept * path.stat().st_size)])
    assert_fails(lambda: list(Reader(path).blocks()), path)


def test_truncated_wav_is_no_stream(tmp_path):
    """A header from before a stream's length was known says the most there can be."""
    path = tmp_path / "cut.wav"
    audio.save(path, speechlike(1, 50_000), 16000)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:70_000])
    assert_fails(lambda: Reader(path), path, "breaks off after 69956 of 100000 bytes")
    data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    assert Reader(path).frames == 50_000


def test_file_damaged_half_way(tmp_path):
    path = tmp_path / "damaged.ogg"
    audio.save(path, speechlike(1, 100_000), 16000)
    data = bytearray(path.read_bytes())
    data[len(data) // 3:len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    assert_fails(lambda: list(Reader(path).blocks()), path, "of 100000 samples")


def test_no_samples(tmp_path):
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros((0, 1)), 16000)
    assert_fails(lambda: Reader(path), path, "no samples")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_samples(tmp_path, bad):
    path = tmp_path / "bad.wav"
    wave = speechlike(1, 40_000)
    wave[0, 32_500] = bad
    soundfile.write(path, wave.T, 16000, subtype="FLOAT")
    assert_fails(lambda: list(Reader(path).blocks(1000)), path, "NaN", "at 2.03 s")


@pytest.mark.parametrize("rate, channels, word", [
    (300, 1, "300 Hz is no speech rate: resample"), (500_000, 1, "500000 Hz"),
    (16000, 32, "32 channels"),
])
def test_out_of_limits(tmp_path, rate, channels, word):
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.zeros((100, channels)), rate)
    assert_fails(lambda: Reader(path), path, word)


@pytest.mark.parametrize("wave, rate", [
    (np.zeros(100), 16000), (np.zeros((1, 0)), 16000), (np.zeros((100, 1)), 16000),
    (np.zeros((1, 100), np.int16), 16000), (np.full((1, 100), np.nan), 16000),
    (np.zeros((1, 100)), 300),
])
def test_array_reader_refuses_what_reader_refuses(wave, rate):
    with pytest.raises(AudioError, match="array"):
        list(ArrayReader(wave, rate).blocks())


# What cannot be written

@pytest.mark.parametrize("name, rate, channels, subtype, word", [
    ("a.wma", 16000, 1, None, "ffmpeg"), ("a.m4a", 16000, 7, None, "6 channels"),
    ("a.m4a", 10000, 1, None, "11025 Hz"), ("a.webm", 44100, 1, None, "48000 Hz"),
    ("a", 16000, 1, None, ".wav"),
    ("a.opus", 44100, 1, None, "48000 Hz"), ("a.mp3", 96000, 1, None, "48000 Hz"),
    ("a.mp3", 4000, 1, None, "8000 Hz"), ("a.ogg", 384_000, 1, None, "200000 Hz"),
    ("a.mp3", 16000, 3, None, "2 channels"), ("a.flac", 16000, 9, None, "8 channels"),
    ("a.wav", 300, 1, None, "300 Hz"), ("a.wav", 16000, 17, None, "17 channels"),
    ("a.wav", 16000, 1, "PCM_17", "PCM_17"),
])
def test_format_cannot_hold_it(tmp_path, name, rate, channels, subtype, word):
    path = tmp_path / name
    assert_fails(lambda: audio.save(path, speechlike(channels, 100), rate, subtype), path, word)


def test_existing_file_stays_unless_overwriting(tmp_path):
    path = tmp_path / "a.wav"
    audio.save(path, speechlike(1, 100), 16000)
    assert_fails(lambda: audio.save(path, speechlike(1, 200), 16000), path, "exists")
    audio.save(path, speechlike(1, 200), 16000, overwrite=True)
    assert Reader(path).frames == 200


def test_output_is_a_folder(tmp_path):
    path = tmp_path / "a.wav"
    path.mkdir()
    assert_fails(lambda: audio.save(path, speechlike(1, 100), 16000, overwrite=True), path,
                 "folder")


def test_folder_missing_or_not_a_folder(tmp_path):
    (tmp_path / "file").write_text("")
    wave = speechlike(1, 100)
    for path in (tmp_path / "none" / "a.wav", tmp_path / "file" / "a.wav"):
        with pytest.raises(AudioError, match="cannot be written"):
            audio.save(path, wave, 16000)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"),
                                   soundfile.LibsndfileError(2)])
def test_disk_full(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error
    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    path = tmp_path / "a.wav"
    assert_fails(lambda: audio.save(path, speechlike(1, 100), 16000), path, "space left")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".mkv"])
def test_file_size_limit_of_the_system(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert_fails(lambda: audio.save(path, speechlike(1, 60_000), 16000), path, "space left")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".aif"])
def test_beyond_a_length_field(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(writing, "WAV_LIMIT", 40_000)
    path = tmp_path / f"a{suffix}"
    assert_fails(lambda: audio.save(path, speechlike(1, 60_000), 16000), path,
                 f"{suffix} holds at most 4 GiB: choose .flac")


@pytest.mark.parametrize("gain", [1, 20])
def test_an_aiff_that_will_be_too_long_is_refused_before_the_work(tmp_path, monkeypatch, gain):
    """Or as soon as it becomes float, which is twice as long."""
    monkeypatch.setattr(writing, "WAV_LIMIT", BLOCK + 130_000 * gain / (gain + 1))
    wave = speechlike(1, 60_000)
    audio.save(tmp_path / "in.w64", wave, 16000)
    like, path = Reader(tmp_path / "in.w64"), tmp_path / "a.aiff"

    def write():
        with Writer(path, 16000, 1, like=like) as writer:
            assert gain > 1
            writer.write(gain * wave)

    assert_fails(write, path, "4 GiB")


@pytest.mark.parametrize("wave, said", [
    (np.ones((1, 100), np.int16), "int16"), (np.ones((1, 100), bool), "bool"),
    (np.zeros(32000), r"\(32000,\): give it as \[channels, samples\]"),
    (np.zeros((1, 1, 100)), "channels, samples")])
def test_save_takes_channels_of_floats(tmp_path, wave, said):
    with pytest.raises(AudioError, match=f"^array of .*{said}"):
        audio.save(tmp_path / "a.wav", wave, 16000)
    assert not os.listdir(tmp_path)


def test_writer_refuses_integers(tmp_path):
    with pytest.raises(AudioError, match="int16: convert"), Writer(tmp_path / "a.wav", 16000,
                                                                   1) as writer:
        writer.write(np.ones((1, 10), np.int16))
    assert not os.listdir(tmp_path)


def test_writer_refuses_nan_and_other_channel_counts(tmp_path):
    path = tmp_path / "a.wav"
    assert_fails(lambda: audio.save(path, np.full((1, 10), np.nan), 16000), path, "NaN")
    with pytest.raises(ValueError, match="2 channels"), Writer(path, 16000, 2) as writer:
        writer.write(speechlike(1, 10))
    assert not os.listdir(tmp_path)


# Atomicity

@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, SystemExit])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".mkv"])
def test_interrupted_writing_leaves_the_old_file(tmp_path, suffix, error):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(error), Writer(path, 16000, 1, overwrite=True) as writer:
        writer.write(speechlike(1, 1000))
        raise error
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == b"old"


def test_file_appears_only_when_complete(tmp_path):
    path = tmp_path / "a.wav"
    with Writer(path, 16000, 1) as writer:
        writer.write(speechlike(1, 1000))
        assert not path.exists()
    assert os.listdir(tmp_path) == ["a.wav"]


def test_a_file_can_replace_the_one_it_is_made_from(tmp_path):
    path = tmp_path / "a.wav"
    wave = speechlike(1, 10_000)
    audio.save(path, wave, 16000, "FLOAT")
    reader = Reader(path)
    with Writer(path, 16000, 1, "FLOAT", overwrite=True) as writer:
        for block in reader.blocks(1000):
            writer.write(block / 2)
    np.testing.assert_array_equal(read(path), wave / 2)


def test_atomic_path_keeps_suffix_and_permissions(tmp_path):
    previous = os.umask(0o027)
    try:
        with audio.atomic_path(tmp_path / "a.json") as temporary:
            assert temporary.suffix == ".json" and temporary.parent == tmp_path
            temporary.write_text("{}")
    finally:
        os.umask(previous)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_unrelated_errors_pass_through(tmp_path):
    with pytest.raises(FileNotFoundError), Writer(tmp_path / "a.wav", 16000, 1):
        (tmp_path / "weights").read_bytes()
    assert not os.listdir(tmp_path)


# Resampling

@pytest.mark.parametrize("from_rate, to_rate", [(44100, 16000), (48000, 16000), (16000, 44100),
                                                (8000, 16000), (11025, 16000), (22050, 8000)])
def test_resampled_sinusoid_is_the_sinusoid(from_rate, to_rate):
    hz = 0.35 * min(from_rate, to_rate)
    times = [np.arange(rate) / rate for rate in (from_rate, to_rate)]
    source, expected = (np.sin(2 * np.pi * hz * t)[None].astype(np.float32) for t in times)
    out = audio.resample(source, from_rate, to_rate)
    inner = slice(to_rate // 10, -to_rate // 10)
    assert snr_db(expected[:, inner], out[:, inner]) > 75


@pytest.mark.parametrize("samples", [1, 2, 3, 441, 1000, 12347])
@pytest.mark.parametrize("from_rate, to_rate", [(44100, 16000), (16000, 44100), (48000, 16000),
                                                (11025, 16000), (16000, 8000), (16000, 16000)])
def test_resampled_length(samples, from_rate, to_rate):
    out = audio.resample(speechlike(2, samples), from_rate, to_rate)
    assert out.shape == (2, int(samples * to_rate / from_rate + 0.5)) and out.dtype == np.float32


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.caf", "a.w64"])
def test_no_time_of_day_is_in_a_file(tmp_path, name):
    """The same samples are the same bytes: libsndfile's PEAK chunk would hold the time."""
    audio.save(tmp_path / name, 0.1 * np.ones((1, 1000), np.float32), 16000, "FLOAT")
    data = (tmp_path / name).read_bytes()
    assert b"PEAK" not in data and b"peak" not in data
    assert np.array_equal(audio.load(tmp_path / name, 16000), np.full((1, 1000), np.float32(0.1)))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a"])
def test_a_span_is_a_part_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"clip{suffix}"
    audio.save(path, speechlike(2, 150_000), 16000)
    reader, whole = Reader(path), read(path)
    for start, stop in ((0, 10), (70_000, 80_000), (149_000, 150_000), (5, 5)):
        np.testing.assert_array_equal(reader.span(start, stop), whole[:, start:stop])
    with pytest.raises(AudioError, match="150000 of 150001 samples"):
        reader.span(149_000, 150_001)


@pytest.mark.parametrize("suffix, subtype, steps", [
    (".wav", "PCM_16", 2**15), (".wav", "PCM_24", 2**23), (".aiff", "PCM_16", 2**15),
    (".flac", "PCM_16", 2**15), (".flac", "PCM_24", 2**23)])
def test_samples_are_rounded_to_the_nearest_step(tmp_path, suffix, subtype, steps):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 5000)).astype(np.float32)
    with Writer(tmp_path / f"a{suffix}", 16000, 1, subtype) as writer:
        writer.write(wave)
    read, _ = soundfile.read(tmp_path / f"a{suffix}", dtype="float64")
    assert np.abs((read - wave[0]) * steps).max() <= 0.5
