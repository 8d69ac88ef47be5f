"""Files that libav writes: AAC and its like, alone or beside the pictures of a film."""

import io
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np

from .containers import LIBAV, Description, begin, is_cover, opened, sound_track
from .errors import AudioError
from .formats import Format

ENCODERS = {"AAC": "aac", "ALAC_16": "alac", "ALAC_24": "alac", "PCM_16": "pcm_s16le",
            "PCM_24": "pcm_s24le", "OPUS": "libopus", "FLAC_16": "flac", "FLAC_24": "flac"}
SAMPLES = {"ALAC_16": "s16p", "ALAC_24": "s32p",  # where the encoder has a choice
           "FLAC_16": "s16", "FLAC_24": "s32"}
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
SKIP = "skip_samples"
SKIPS = get_args(av.packet.PktSideDataT)  # libav numbers them
MARK = struct.Struct("<IIBB")  # samples to skip at the beginning, at the end, and why
BITS = 3  # a sample, of lossy sound that is not to be like another's


def check_film(path: Path, form: Format, film: Path) -> None:
    """Raises AudioError where a format cannot hold the pictures of a film as they are."""
    with opened(film) as source, av.open(io.BytesIO(), "w", format=form.container) as target:
        for stream in source.streams.video:
            name = stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"
            if not holds(target, stream) and not is_cover(stream):
                raise AudioError(f"{path}: {path.suffix} cannot hold the pictures of {film.name} "
                                 f"({name}): name a {film.suffix}, or a .wav for the sound alone")


def holds(target: Any, stream: Any) -> bool:
    """Whether a container takes a stream as it is."""
    if stream.codec_context is None:
        return stream.type == "attachment" and target.format.name == "matroska"
    return bool({stream.codec_context.codec.name, stream.codec_context.codec.canonical_name}
                & target.supported_codecs)


class Film:
    """What a film has beside its sound, copied packet by packet into another file.

    Args:
        path: of the film.
        target: libav's container for it.

    Attributes:
        begin: when its sound begins, in seconds.
        lost: what the container cannot hold.
    """

    def __init__(self, path: Path, target: Any):
        self._stack, self._target = ExitStack(), target
        self.lost: list[str] = []
        self._source = self._stack.enter_context(opened(path))
        self.sound, self.begin = sound_track(self._source), begin(path)
        self._streams: dict[int, Any] = {}

    def add_streams(self, add_sound: Any) -> Any:
        """Makes the streams of the film in the target, `add_sound()` in the place of its sound."""
        new = None
        for stream in self._source.streams:
            if stream is self.sound:
                new = add_sound()
                self._describe(new, stream)
            elif holds(self._target, stream):
                self._streams[stream.index] = self._target.add_stream_from_template(stream)
                self._describe(self._streams[stream.index], stream)
            elif not (stream.type == "data" and self._source.chapters()):  # the chapters' titles
                self.lost.append(f"its {stream.type} track")
        return new

    @staticmethod
    def _describe(new: Any, old: Any) -> None:
        new.metadata.update(old.metadata)
        new.disposition = old.disposition

    def packets(self) -> Iterator[tuple[float, Any]]:
        """The packets to copy with their times in seconds, up to where the film is damaged."""
        time, packets = 0.0, self._source.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except LIBAV:  # its sound was salvaged, or it would not be here
                self.lost.append(f"its pictures after {time:.2f} s")
                return
            new = self._streams.get(packet.stream_index)
            if new is not None and packet.size:
                time = time if packet.dts is None else float(packet.dts * packet.time_base)
                packet.stream = new
                yield time, packet

    def close(self) -> None:
        self._stack.close()


def mark_padding(packet: Any, samples: int) -> None:
    """Says that the last samples of a packet are none of the recording; FFmpeg's AAC forgets it."""
    make: Any = av.packet.PacketSideData  # whose arguments its types do not have
    data = make(SKIPS.index(SKIP), MARK.size)
    memoryview(data)[:] = MARK.pack(0, samples, 0, 0)
    packet.set_sidedata(data)


class ContainerSink:
    """A file that libav writes, in blocks.

    Args:
        path, form, subtype, sample_rate, channels: as of `Writer`.
        about: tags and chapters that it gets.
        bit_rate: bit/s of a lossy encoding; None for 3 bits a sample.
        film: whose pictures, subtitles and other tracks it gets.
    """

    def __init__(self, path: Path, form: Format, subtype: str, sample_rate: int, channels: int,
                 about: Description, bit_rate: float | None = None, film: Path | None = None):
        self.sample_rate, self.subtype, self.channels = sample_rate, subtype, channels
        self.container = form.container
        options = ({"movie_timescale": str(sample_rate)} if form.mov else  # exact edit lists
                   {"avoid_negative_ts": "disabled"})  # what precedes 0 is priming, which is marked
        self._file: Any = av.open(f"file:{path}", "w", format=form.container, options=options)
        four = channels == 4 and subtype == "OPUS"  # which has no centre then
        self._layout = "quad" if four else LAYOUTS[channels]
        self._bit_rate = bit_rate or BITS * sample_rate * channels
        self._done, self._held = 0, None
        self.film = Film(film, self._file) if film else None
        self._stream = self.film.add_streams(self._add) if self.film else self._add()
        self._begin = self.film.begin if self.film else Fraction(0)
        self._copied = self.film.packets() if self.film else iter(())
        self._next = next(self._copied, None)
        self._file.metadata.update(about.tags)
        self._file.set_chapters(list(about.chapters))

    def _add(self) -> Any:
        stream = self._file.add_stream(ENCODERS[self.subtype], rate=self.sample_rate,
                                       layout=self._layout)
        stream.bit_rate = round(self._bit_rate)
        if self.subtype in SAMPLES:
            stream.codec_context.format = SAMPLES[self.subtype]
        return stream

    @property
    def lost(self) -> list[str]:
        """What of a film the container could not hold."""
        return self.film.lost if self.film else []

    def write(self, block: np.ndarray) -> None:
        """Shape: `[C, n]`."""
        if not block.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block.T).reshape(1, -1), "flt",
                                           self._layout)
        frame.sample_rate, frame.time_base = self.sample_rate, Fraction(1, self.sample_rate)
        frame.pts = self._done + round(self._begin * self.sample_rate)
        self._done += block.shape[1]
        self._mux(frame)
        self._copy(float(self._begin) + self._done / self.sample_rate)

    def _mux(self, frame: Any) -> None:
        for packet in self._stream.encode(frame):
            size = self._stream.codec_context.frame_size
            missing = size - (packet.duration or size)
            if self.subtype == "AAC" and missing > 0 and not packet.has_sidedata(SKIP):
                mark_padding(packet, missing)
            self._file.mux(packet)

    def _copy(self, until: float) -> None:
        while self._next and self._next[0] < until:
            self._file.mux(self._next[1])
            self._next = next(self._copied, None)

    def close(self) -> None:
        """Writes what is left; a file without any samples stays empty."""
        try:
            if self._done:
                self._mux(None)
                self._copy(float("inf"))
        finally:
            self._file.close()
            if self.film:
                self.film.close()
