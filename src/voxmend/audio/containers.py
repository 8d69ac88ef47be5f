"""Files that libav reads: the sound of phones, films and the net.

Samples that an encoder put before and behind the recording (priming, padding) are left out, as the
container's edit list or its skip marks say.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from .arrays import BLOCK
from .errors import AudioError, broken_off, check_alike, damaged, decoding, unreadable

DEMUXERS = ("aac,ac3,aiff,alaw,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,eac3,flac,flv,gsm,latm,loas,"
            "matroska,mov,mp3,mpc,mpc8,mpeg,mpegts,mulaw,mxf,nut,ogg,rm,spdif,tak,tta,voc,w64,wav,"
            "webm,wv,xwma")  # none that leads to other files, as playlists do
SAFE = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
TIMED = ("mov", "matroska", "asf", "avi", "flv")  # whose headers say how long they are
LIBAV = (av.error.FFmpegError, OSError, ValueError)  # what it raises for damage
LATE = 0.5  # seconds of it that may be missing
HOLE = 0.05  # seconds without packets that are silence, and not an uneven clock
PCM = {"s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT", "f64": "DOUBLE",
       "u8": "PCM_U8", "mulaw": "ULAW", "alaw": "ALAW"}
LOSSLESS = ("alac", "flac", "wavpack", "tta", "ape", "wmalossless", "truehd", "mlp")
CODECS = {"mp3": "MPEG_LAYER_III", "mp3float": "MPEG_LAYER_III"}
PROTECTED = ("drms", "enca")  # codec tags of sound that needs a key
TECHNICAL = {"major_brand", "minor_version", "compatible_brands", "encoder", "handler_name",
             "vendor_id", "language", "duration", "bps", "number_of_frames", "number_of_bytes"}
# of dwChannelMask, from its lowest bit
SPEAKERS = ("FL", "FR", "FC", "LFE", "BL", "BR", "FLC", "FRC", "BC", "SL", "SR", "TC", "TFL", "TFC",
            "TFR", "TBL", "TBC", "TBR")


def av_path(path: Path) -> str:
    """A path that libav does not take for an address."""
    return f"file:{path}"


def lacks_index(path: Path) -> bool:
    """Whether a file is of the family of mp4 and has no table of where its sound is."""
    at, size = 0, path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:] != b"ftyp":
            return False
        while at + 8 <= size:  # boxes: a length, a name, and as many bytes in all
            file.seek(at)
            length, name = struct.unpack(">I4s", file.read(8))
            if name == b"moov":
                return False
            if length == 1 and at + 16 <= size:
                length = struct.unpack(">Q", file.read(8))[0]
            at += max(length, 8)
    return True


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file as libav's container; failures come as AudioError."""
    with decoding(path):
        try:
            container = av.open(av_path(path), metadata_errors="replace", options=SAFE)
        except LIBAV:
            if lacks_index(path):
                raise AudioError(f"{path}: breaks off, or was never finished: its index (moov) is "
                                 "missing, without which --salvage finds nothing either; fetch or "
                                 "export it again, or have it repaired (untrunc)") from None
            raise
    with container:
        yield container


def is_cover(stream: Any) -> bool:
    """Whether a stream is one image that goes with the sound."""
    return bool(stream.disposition & stream.disposition.attached_pic)


def has_pictures(container: Any) -> bool:
    """Whether there is a film, and not just a cover."""
    return not all(is_cover(stream) for stream in container.streams.video)


def sound_track(container: Any) -> Any:
    """The stream of the best sound track; raises ValueError where nothing can be decoded."""
    stream = container.streams.best("audio")
    if stream is None:
        raise ValueError("its sound track is empty" if container.streams.audio else
                         "it has no sound track")
    if stream.codec_context is None or stream.codec_context.codec_tag in PROTECTED:
        raise ValueError("its sound is protected, or in an encoding that is not known here")
    layout = stream.codec_context.layout
    if layout.nb_channels and mask_of(layout) is None:  # PyAV frees some of them twice, or more
        stream.codec_context.layout = f"{layout.nb_channels}C"  # so many, of no layout
    return stream


def subtype_of(stream: Any) -> str:
    """The sample encoding as libsndfile would call it: PCM_24, AAC, ALAC_16."""
    name = stream.codec_context.codec.name
    if name.startswith("pcm_"):
        return next((PCM[k] for k in PCM if name[4:].startswith(k)), name.upper())
    if name in LOSSLESS:
        form = stream.codec_context.format  # None where no packet at the beginning is whole
        sample = form.name if form else ""
        bits = 24 if sample.startswith("s32") else 16
        return ("FLOAT" if sample.startswith("flt") else
                f"{name.upper()}_{bits}" if name in ("alac", "flac") else f"PCM_{bits}")
    return CODECS.get(name, name.removeprefix("lib").upper())


def mask_of(layout: Any) -> int | None:
    """The loudspeakers of a layout's channels as a wav's dwChannelMask.

    None if that is unsaid, or if the channels are in another order than a mask stands for.
    """
    names = [channel.name for channel in layout.channels]
    if not names or names != [name for name in SPEAKERS if name in names]:
        return None
    return sum(1 << SPEAKERS.index(name) for name in names)


class ContainerSource:
    """The best sound track of a file that libav reads.

    It is decoded once at first, so that its length, and what is broken, is known at once.

    Attributes:
        sample_rate, channels, subtype, frames: as of `Reader`.

    Raises AudioError for a file without sound, whose sound is protected or whose encoding is
    unknown, and unless `salvage` for one that is damaged or breaks off.
    """

    def __init__(self, path: Path, salvage: bool):
        self.path, self.salvage = path, salvage
        with self._track() as (container, stream):
            context = stream.codec_context
            self.sample_rate, self.channels = context.sample_rate, context.channels
            if not self.sample_rate or not self.channels:
                raise unreadable(path, "its sound track is empty")
            self.subtype, self.container = subtype_of(stream), container.format.name
            timed = any(name in container.format.name for name in TIMED)
            self._length = (container.duration or 0) / av.time_base if timed else 0.0
            if self.container == "caf" and self.subtype in PCM.values():  # not what is there
                self._length = stream.frames / self.sample_rate
            mov = "mov" in container.format.name and stream.duration
            self._edited = mov and round(mov * stream.time_base * self.sample_rate)
        self._reached, self._packed = 0.0, 0
        decoded = sum(block.shape[1] for block in self._decoded())
        if not salvage and self._reached + LATE < self._length:
            raise broken_off(path, f"{self._reached:.2f} of {self._length:.2f} s")
        self.frames = self._trimmed(decoded)

    def _trimmed(self, decoded: int) -> int:
        """How many of the decoded samples are the recording's.

        The edit list of an mp4 says it. Where it counts milliseconds it is not exact, and the
        durations of the packets are.
        """
        if not self._edited:
            return decoded
        tick = Fraction(self.sample_rate, 1000)
        coarse = abs(round(round(self._edited / tick) * tick) - self._edited) <= 1
        exact = coarse and abs(self._packed - self._edited) <= tick
        return min(decoded, self._packed if exact else self._edited)

    @contextmanager
    def _track(self) -> Iterator[tuple[Any, Any]]:
        with opened(self.path) as container:
            try:
                stream = sound_track(container)
            except ValueError as error:
                raise AudioError(f"{self.path}: {error}: name a file with sound") from None
            yield container, stream

    def _decoded(self) -> Iterator[np.ndarray]:
        """All that the decoder gives, with silence where packets are missing."""
        with self._track() as (container, stream):
            # not "fltp": PyAV reads the eighth of its planes from nowhere
            resampler = av.AudioResampler("flt", stream.codec_context.layout, self.sample_rate)
            first = expected = None  # when the first packet, the next frame begin, in seconds
            form: tuple[int, int] | None = None
            for packet in self._packets(container):
                if packet.stream_index != stream.index:
                    continue
                if packet.pts is not None:
                    begin = packet.pts * packet.time_base
                    first = max(begin, 0) if first is None else first
                    end = begin + (packet.duration or 0) * packet.time_base
                    self._packed = round((end - first) * self.sample_rate)
                for frame in self._frames(packet):
                    begin = expected if frame.pts is None else frame.pts * frame.time_base
                    if expected is not None and HOLE < begin - expected < self._length:
                        yield from self._silence(begin - expected)
                    if begin is not None:
                        expected = begin + Fraction(frame.samples, self.sample_rate)
                    now = frame.sample_rate, frame.layout.nb_channels
                    form = form or now
                    check_alike(self.path, *now, form)
                    with decoding(self.path):
                        for out in resampler.resample(frame):
                            block = out.to_ndarray().reshape(-1, self.channels)
                            yield np.ascontiguousarray(block.T)

    def _silence(self, seconds: Fraction) -> Iterator[np.ndarray]:
        left = round(seconds * self.sample_rate)
        while left > 0:
            yield np.zeros((self.channels, min(left, BLOCK)), np.float32)
            left -= BLOCK

    def _packets(self, container: Any) -> Iterator[Any]:
        """All packets of all streams, as far as they can be read; notes how far they reach."""
        packets = container.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except LIBAV as error:
                if self.salvage:
                    return
                raise damaged(self.path, self._reached, error) from error
            if packet.pts is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self._reached = max(self._reached, float(end))
            yield packet

    def _frames(self, packet: Any) -> Iterator[Any]:
        """What a packet holds; nothing of a damaged one that is salvaged from."""
        try:
            yield from packet.decode()
        except LIBAV as error:
            if not self.salvage:
                raise damaged(self.path, self._reached, error) from error

    def blocks(self, size: int) -> Iterator[np.ndarray]:
        """The signal from its beginning in blocks of at most `size` samples.

        Shape: float32 `[C, n]`. Raises AudioError for damage, unless it is to salvage what it can.
        """
        held, count, left = [], 0, self.frames
        for block in self._decoded():
            held.append(block[:, :left])
            count += held[-1].shape[1]
            left -= held[-1].shape[1]
            if count >= size:
                signal = np.concatenate(held, axis=1)
                whole = count - count % size
                for start in range(0, whole, size):
                    yield np.ascontiguousarray(signal[:, start:start + size])
                held, count = [signal[:, whole:]], count - whole
        if count:
            yield np.concatenate(held, axis=1)


class Description(NamedTuple):
    """What a file says beside the sound, as libav reads it.

    Attributes:
        tags: by their generic names (title, artist, …), without those of the encoder.
        cover: an image, JPEG or PNG.
        chapters: as libav has them.
        pictures: there is a film.
        mask: of the loudspeakers of the channels, as a wav's dwChannelMask; None if unsaid.
    """

    tags: dict[str, str] = {}  # noqa: RUF012
    cover: bytes = b""
    chapters: tuple[Any, ...] = ()
    pictures: bool = False
    mask: int | None = None


def describe(path: Path) -> Description:
    """What a file says beside the sound; nothing of one that libav does not read."""
    try:
        with opened(path) as container:
            stream = sound_track(container)
            said = {**stream.metadata, **container.metadata}
            tags = {k.lower(): v for k, v in said.items() if k.lower() not in TECHNICAL}
            covers = [s for s in container.streams.video if is_cover(s)]
            cover = next((bytes(p) for p in container.demux(covers[:1]) if p.size), b"") \
                if covers else b""
            return Description(tags, cover, tuple(container.chapters()), has_pictures(container),
                               mask_of(stream.codec_context.layout))
    except (AudioError, *LIBAV):
        return Description()


def begin(path: Path) -> Fraction:
    """When the first decoded sample of a file's sound is heard, in seconds."""
    with opened(path) as container:
        try:
            frame = next(container.decode(sound_track(container)))
        except (StopIteration, *LIBAV):
            return Fraction(0)
        return frame.pts * Fraction(frame.time_base) if frame.pts is not None else Fraction(0)


def bit_rate(path: Path) -> float | None:
    """Bit/s of a file's sound, of Vorbis the nominal ones; None where libav does not read it."""
    try:
        with opened(path) as container:
            stream = sound_track(container)
            if stream.codec_context.codec.name == "vorbis" and stream.bit_rate:
                return float(stream.bit_rate)
            size = duration = 0
            for packet in container.demux(stream):
                size, duration = size + packet.size, duration + (packet.duration or 0)
            return 8 * size / float(duration * stream.time_base) if duration else None
    except (AudioError, *LIBAV):
        return None
