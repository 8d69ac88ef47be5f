"""Sound in every container that libsndfile or FFmpeg (by PyAV) writes, and read back by the latter.

A voice memo, a video, a phone's or a dictaphone's recording: `CONTAINERS` by what they are called.
"""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import soundfile

from .damage import pcm


class Container(NamedTuple):
    """How a file of a kind is written: by libsndfile if there is a subtype, else by PyAV."""

    suffix: str
    format: str  # libsndfile's or FFmpeg's name
    subtype: str = ""  # libsndfile's
    codec: str = ""  # FFmpeg's
    sample: str = "fltp"  # FFmpeg's, as the encoder takes it
    rate: int = 16000  # Hz
    channels: int = 2  # at most
    video: str = ""  # a codec: a picture track is written, too
    bit_rate: int = 64000


CONTAINERS = {
    "wav, 8 bits": Container(".wav", "WAV", "PCM_U8"),
    "wav, 16 bits": Container(".wav", "WAV", "PCM_16", channels=8),
    "wav, 24 bits": Container(".wav", "WAV", "PCM_24", channels=8),
    "wav, 32 bits": Container(".wav", "WAV", "PCM_32", channels=8),
    "wav, float": Container(".wav", "WAV", "FLOAT", channels=8),
    "wav, double": Container(".wav", "WAV", "DOUBLE", channels=8),
    "wav, A-law": Container(".wav", "WAV", "ALAW"),
    "wav, µ-law": Container(".wav", "WAV", "ULAW"),
    "wav, IMA ADPCM": Container(".wav", "WAV", "IMA_ADPCM"),
    "wav, Microsoft ADPCM": Container(".wav", "WAV", "MS_ADPCM"),
    "wav, GSM 6.10": Container(".wav", "WAV", "GSM610", rate=8000, channels=1),
    "wav, extensible": Container(".wav", "WAVEX", "PCM_16", channels=8),
    "rf64": Container(".rf64", "RF64", "PCM_16"),
    "w64": Container(".w64", "W64", "PCM_16"),
    "aiff": Container(".aiff", "AIFF", "PCM_16"),
    "aif, 24 bits": Container(".aif", "AIFF", "PCM_24"),
    "caf": Container(".caf", "CAF", "PCM_16"),
    "caf, ALAC": Container(".caf", "CAF", "ALAC_16"),
    "au": Container(".au", "AU", "PCM_16"),
    "snd, µ-law": Container(".snd", "AU", "ULAW"),
    "voc": Container(".voc", "VOC", "PCM_16"),
    "flac": Container(".flac", "FLAC", "PCM_16", channels=8),
    "flac, 24 bits": Container(".flac", "FLAC", "PCM_24", channels=8),
    "ogg, Vorbis": Container(".ogg", "OGG", "VORBIS"),
    "oga, Vorbis": Container(".oga", "OGG", "VORBIS"),
    "opus": Container(".opus", "OGG", "OPUS"),
    "mp3": Container(".mp3", "MP3", "MPEG_LAYER_III"),
    "ogg, FLAC": Container(".ogg", "ogg", codec="flac", sample="s16"),
    "ogg, Opus": Container(".ogg", "ogg", codec="libopus", sample="flt"),
    "m4a, AAC": Container(".m4a", "ipod", codec="aac"),
    "m4a, ALAC": Container(".m4a", "ipod", codec="alac", sample="s16p"),
    "m4b, AAC": Container(".m4b", "ipod", codec="aac"),
    "aac (ADTS)": Container(".aac", "adts", codec="aac"),
    "mp4, AAC and a picture": Container(".mp4", "mp4", codec="aac", video="mpeg4"),
    "mov, PCM and a picture": Container(".mov", "mov", codec="pcm_s16le", sample="s16",
                                        video="mpeg4"),
    "mkv, Opus and a picture": Container(".mkv", "matroska", codec="libopus", sample="flt",
                                         video="mpeg4"),
    "webm, Opus and a picture": Container(".webm", "webm", codec="libopus", sample="flt",
                                          video="vp8"),
    "avi, mp3 and a picture": Container(".avi", "avi", codec="libmp3lame", sample="s16p",
                                        video="mpeg4"),
    "flv, AAC": Container(".flv", "flv", codec="aac"),
    "ts, AAC": Container(".ts", "mpegts", codec="aac"),
    "mka, FLAC": Container(".mka", "matroska", codec="flac", sample="s16"),
    "3gp, AMR": Container(".3gp", "3gp", codec="libopencore_amrnb", sample="s16", rate=8000,
                          channels=1, bit_rate=12200),
    "amr": Container(".amr", "amr", codec="libopencore_amrnb", sample="s16", rate=8000,
                     channels=1, bit_rate=12200),
    "wma": Container(".wma", "asf", codec="wmav2", rate=44100),
    "ac3": Container(".ac3", "ac3", codec="ac3", rate=48000, bit_rate=192000),
    "mp2": Container(".mp2", "mp2", codec="mp2", sample="s16"),
    "wv": Container(".wv", "wv", codec="wavpack", sample="s16p"),
    "tta": Container(".tta", "tta", codec="tta", sample="s16"),
}
LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")


def write(path: Path, wave: np.ndarray, kind: Container) -> None:
    """Writes a signal `[C, T]`, −1…1, at the container's own rate."""
    if kind.subtype:
        soundfile.write(path, wave.T, kind.rate, kind.subtype, format=kind.format)
        return
    layout = LAYOUTS[len(wave) - 1]
    with av.open(str(path), "w", format=kind.format) as container:
        picture = _picture_track(container, kind.video) if kind.video else None
        exact = kind.codec.startswith(("pcm", "flac", "alac", "tta", "wavpack"))
        stream = container.add_stream(kind.codec, rate=kind.rate, layout=layout,
                                      **({} if exact else {"bit_rate": kind.bit_rate}))
        stream.codec_context.format = kind.sample
        stream.codec_context.open()
        if picture:
            for number in range(10 * wave.shape[1] // kind.rate):
                container.mux(picture.encode(_picture(number)))
            container.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm(wave).T.reshape(1, -1)), "s16", layout)
        frame.sample_rate, frame.pts = kind.rate, 0
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(kind.sample, layout, kind.rate, size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def _picture_track(container: av.container.OutputContainer, codec: str) -> av.VideoStream:
    """A small picture track of ten pictures a second."""
    stream = container.add_stream(codec, rate=10)
    stream.width = stream.height = 32
    stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, 10)
    return stream


def _picture(number: int) -> av.VideoFrame:
    """A line that wanders down the picture."""
    image = np.full((32, 32, 3), 25 * number % 256, np.uint8)
    image[number % 32] = 255
    frame = av.VideoFrame.from_ndarray(image, "rgb24")
    frame.pts, frame.time_base = number, Fraction(1, 10)
    return frame


def read(path: Path, subtype: str = "") -> tuple[np.ndarray, int]:
    """The sound track `[C, T]` of a file and its rate, by FFmpeg, or libsndfile if it wrote it."""
    if subtype:
        wave, rate = soundfile.read(path, always_2d=True)
        return wave.T, rate
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler, parts = av.AudioResampler("fltp"), []
        for frame in container.decode(stream):
            frame.pts = None
            parts += [part.to_ndarray() for part in resampler.resample(frame)]
        parts += [part.to_ndarray() for part in resampler.resample(None)]
        return np.concatenate(parts, 1), stream.rate


def pictures(path: Path) -> list[bytes]:
    """The packets of a picture track, as they are."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]
