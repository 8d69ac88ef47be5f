"""Which channel is for which loudspeaker, in every format, by libav and by the headers."""

import struct

import numpy as np
import pytest
import soundfile

from helpers.media import decode, encode, snr_db, speechlike
from voxmend import audio
from voxmend.audio import AudioError, Reader, Writer, chunks
from voxmend.audio.formats import FORMATS

TONES = np.stack([0.1 * np.sin(np.arange(48000) * 2 * np.pi * (40 + 20 * k) / 48000)
                  for k in range(6)]).astype(np.float32)  # low, as an LFE channel has to be


def copy(source, target):
    """A file through `Writer(like=…)`."""
    reader = Reader(source)
    with Writer(target, reader.sample_rate, reader.channels, like=reader) as writer:
        for block in reader.blocks(5000):
            writer.write(block)


def hertz(wave):
    """What is loudest in every channel. Shape: `[C, T]`."""
    part = wave[:, 12_000:36_000] * np.hanning(24_000)
    return (2 * np.abs(np.fft.rfft(part)).argmax(1)).tolist()


@pytest.mark.parametrize("source, codec, container", [
    ("in.opus", "libopus", None), ("in.ogg", "flac", "ogg"), ("in.m4a", "alac", None),
    ("in.caf", "alac", None), ("in.caf", "pcm_s16be", None), ("in.flac", "flac", None)])
def test_channels_of_any_codec_are_in_the_order_of_a_wav(tmp_path, source, codec, container):
    encode(tmp_path / source, TONES, 48000, codec, container, bit_rate=600_000)
    assert hertz(audio.load(tmp_path / source, 48000)) == hertz(TONES)
    copy(tmp_path / source, tmp_path / "out.wav")
    assert hertz(decode(tmp_path / "out.wav")) == hertz(TONES)


@pytest.mark.parametrize("name, subtype", [
    ("a.ogg", "VORBIS"), ("a.opus", None), ("a.caf", "ALAC_16"), ("a.flac", None), ("a.m4a", None),
    ("a.mka", "OPUS")])
def test_channels_reach_their_loudspeakers(tmp_path, name, subtype):
    audio.save(tmp_path / name, TONES, 48000, subtype)
    assert hertz(decode(tmp_path / name)) == hertz(TONES)
    assert hertz(audio.load(tmp_path / name, 48000)) == hertz(TONES)


@pytest.mark.parametrize("channels", range(1, 10))
@pytest.mark.parametrize("name, subtype", [("a.ogg", "VORBIS"), ("a.opus", None),
                                           ("a.caf", "ALAC_16")])
def test_so_many_channels_come_back_in_their_order(tmp_path, name, subtype, channels):
    wave = np.tile(TONES, (2, 1))[:channels] * np.linspace(0.3, 1, channels)[:, None]
    audio.save(tmp_path / name, wave.astype(np.float32), 48000, subtype)
    assert hertz(audio.load(tmp_path / name, 48000)) == hertz(wave)
    if channels < 8:  # of which PyAV reads all planes
        assert hertz(decode(tmp_path / name)) == hertz(wave)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8, 9, 16])
@pytest.mark.parametrize("name, subtype", [
    (f"a{suffix}", subtype) for suffix, form in FORMATS.items() for subtype in form.subtypes
    if subtype.startswith(("ALAC", "FLAC", "OPUS", "AAC"))])
def test_what_is_written_is_read(tmp_path, name, subtype, channels):
    wave = np.repeat(TONES[:1, :9600], channels, 0)
    if channels > FORMATS[f".{name[2:]}"].channels:
        with pytest.raises(AudioError, match="at most"):
            audio.save(tmp_path / name, wave, 48000, subtype)
    else:
        audio.save(tmp_path / name, wave, 48000, subtype)
        assert audio.load(tmp_path / name, 48000).shape == wave.shape


@pytest.mark.parametrize("suffix, codec", [(".mov", "pcm_s16le"), (".caf", "pcm_s16be")])
def test_loudspeakers_in_another_order_are_not_claimed(tmp_path, suffix, codec):
    """L C R Ls Rs LFE, as a channel layout says (kAudioChannelLayoutTag_MPEG_5_1_C)."""
    path = tmp_path / f"in{suffix}"
    encode(path, TONES, 48000, codec)
    data, head = path.read_bytes(), 4 if suffix == ".mov" else 8  # a version, or a length
    at = data.index(b"chan") + 4 + head
    path.write_bytes(data[:at] + struct.pack(">III", (123 << 16) | 6, 0, 0) + data[at + 12:])
    for out in (tmp_path / "a.wav", tmp_path / "b.wav"):  # PyAV frees such layouts twice
        copy(path, out)
        assert chunks.channel_mask(out) is None
        np.testing.assert_allclose(audio.load(out, 48000), TONES, atol=2**-15)


@pytest.mark.parametrize("mask", [0x3F, 0x60F])
def test_loudspeakers_of_the_channels(tmp_path, mask):
    path, out = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(path, TONES.T, 48000, format="WAVEX", subtype="PCM_16")
    data = path.read_bytes()
    path.write_bytes(data[:40] + struct.pack("<I", mask) + data[44:])
    copy(path, out)
    assert chunks.channel_mask(out) == mask


def test_loudspeakers_of_an_m4a(tmp_path):
    wave = speechlike(6, 20_000)
    encode(tmp_path / "in.m4a", wave, 48000, "aac", bit_rate=400_000)
    copy(tmp_path / "in.m4a", tmp_path / "out.wav")
    assert chunks.channel_mask(tmp_path / "out.wav") == 0x3F
    out = audio.load(tmp_path / "out.wav", 48000)
    assert all(snr_db(wave[c], out[c]) > 5 for c in range(6) if c != 3)  # that is low-passed
