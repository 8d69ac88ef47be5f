"""Files that libsndfile reads and writes."""

import io
import re
import struct
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from . import chunks
from .errors import AudioError, broken_off, check_alike, damaged, decoding
from .parts import View, find_parts, frame_rate
from .quiet import silenced

PIECE = 1 << 14  # samples per call to the encoder: libvorbis overflows its stack on long ones
SALVAGED = 1 << 10  # samples that are lost with one that cannot be read
NOMINAL = 48  # where an Ogg Vorbis has its nominal bit rate
STEPS = {"PCM_S8": 2**7, "PCM_U8": 2**7, "PCM_16": 2**15, "PCM_24": 2**23, "ALAC_16": 2**15,
         "ALAC_24": 2**23}  # up to full scale
NO_PEAK_CHUNK = 0x1050  # SFC_SET_ADD_PEAK_CHUNK of libsndfile, to be followed by 0
STREAMED = 2**31 - (1 << 16)  # bytes: headers of streams, of unknown length, say so many or more

# bytes of sound that the header of a wav, aiff, au, rf64 or w64 tells, and those that are there
SHORT = re.compile(r"^ *(?:data|SSND|Data Size|Riff size|riff) *: (\d+) \(should be (\d+)\)",
                   re.MULTILINE)
# Of others, as Vorbis, libsndfile may find another place than it was asked for.
SEEKABLE = ("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW")

# Where each channel of a wav (front left, right, centre, LFE, ...) is in a codec that has an order
# of its own, which libsndfile leaves as it is: Vorbis I, section 4.3.9, and RFC 7845, section
# 5.1.1.2; Apple's ALACAudioTypes.h.
XIPH = {3: (0, 2, 1), 5: (0, 2, 1, 3, 4), 6: (0, 2, 1, 5, 3, 4), 7: (0, 2, 1, 6, 5, 3, 4),
        8: (0, 2, 1, 7, 5, 6, 3, 4)}
APPLE = {3: (1, 2, 0), 4: (1, 2, 0, 3), 5: (1, 2, 0, 3, 4), 6: (1, 2, 0, 5, 3, 4),
         7: (1, 2, 0, 6, 3, 4, 5), 8: (3, 4, 0, 7, 5, 6, 1, 2)}


def _order(subtype: str, channels: int) -> np.ndarray:
    """Where in a file of a sample encoding each channel is."""
    orders = XIPH if subtype in ("VORBIS", "OPUS") else APPLE if "ALAC" in subtype else {}
    return np.array(orders.get(channels, range(channels)))


class _Stream(soundfile.SoundFile):
    """A sound file that only moves forwards.

    On a seekable file soundfile seeks after every call, even to where it already is, and each
    seek makes the mp3 decoder lose its bit reservoir: the signal would depend on the block size.
    That decoder, libmpg123, complains of damage on standard error; what it costs is found here.
    """

    def __init__(self, *args: Any, **options: Any):
        with silenced():
            super().__init__(*args, **options)

    def seekable(self) -> bool:
        return False

    def leave_out_peaks(self) -> None:
        """Writes no PEAK chunk, which holds the time of day, before the first sample."""
        soundfile._snd.sf_command(self._file, NO_PEAK_CHUNK, soundfile._ffi.NULL, 0)

    def buffer_read_into(self, buffer: np.ndarray, dtype: str) -> int:
        with silenced() if self.subtype.startswith("MPEG") else nullcontext():
            return super().buffer_read_into(buffer, dtype)


class SoundFileSource:
    """A file that libsndfile reads; all parts of a chained Ogg or a joined MP3.

    Attributes:
        sample_rate, channels, subtype: as of `Reader`.
        frames: samples per channel; None where the header only estimates them (mp3) or leaves them
            open (streamed flac).

    Raises AudioError for what libsndfile does not read and, unless `salvage`, for a wav that breaks
    off.
    """

    def __init__(self, path: Path, salvage: bool):
        self.path, self.salvage = path, salvage
        self._parts = find_parts(path)
        self._raw = chunks.headless(path) if salvage else None
        with self._open(0) as stream:
            self.sample_rate, self.channels = stream.samplerate, stream.channels
            self.subtype, frames = stream.subtype, stream.frames
            self.container = stream.format
            if not salvage:
                self._check_whole(stream.extra_info)
        known = not (salvage or len(self._parts) > 1 or self.subtype.startswith("MPEG")
                     or frames >= 2**62)
        self.frames = frames if known else None
        self.seeks = known and self.subtype.startswith(SEEKABLE)

    def _check_whole(self, log: str) -> None:
        """Raises AudioError for less than a header says, by libsndfile's log."""
        found = SHORT.search(log)
        if not all(part.whole for part in self._parts):
            raise broken_off(self.path, f"{self.path.stat().st_size} bytes")
        if found and int(found[2]) + 1 < int(found[1]) < STREAMED:
            raise broken_off(self.path, f"{found[2]} of {found[1]} bytes")
        if chunks.headless(self.path):
            raise AudioError(f"{self.path}: its header says that it holds no samples, but more "
                             "follows it: read that with --salvage, or export it again")

    def _open(self, number: int) -> _Stream:
        with decoding(self.path):
            if self._raw:
                return _Stream(View(self.path, self._raw.span), "r", self._raw.sample_rate,
                               self._raw.channels, self._raw.subtype, "LITTLE", "RAW")
            if len(self._parts) == 1 and not self._parts[0].tail:
                return _Stream(self.path)
            return _Stream(View(self.path, self._parts[number]))

    def blocks(self, size: int, begin: int = 0) -> Iterator[np.ndarray]:
        """The signal in blocks of at most `size` samples.

        Args:
            begin: its first sample, of a file that `seeks`.

        Shape: float32 `[C, n]`. Raises AudioError for damage, unless it is to salvage what it can.
        """
        for number in range(len(self._parts)):
            with self._open(number) as stream:
                check_alike(self.path, stream.samplerate, stream.channels,
                            (self.sample_rate, self.channels))
                try:
                    if begin:
                        stream.seek(begin)
                    yield from self._read(stream, min(size, SALVAGED) if self.salvage else size)
                except (soundfile.SoundFileError, OSError) as error:
                    if not self.salvage:
                        raise damaged(self.path, self._sound_seconds(), error) from error

    def _sound_seconds(self) -> float:
        """How much of a damaged file can be read."""
        blocks = SoundFileSource(self.path, salvage=True).blocks(SALVAGED)
        return sum(block.shape[1] for block in blocks) / self.sample_rate

    def _read(self, stream: _Stream, size: int) -> Iterator[np.ndarray]:
        order = _order(self.subtype, self.channels)
        while True:
            buffer = np.empty((size, self.channels), np.float32)
            count = stream.buffer_read_into(buffer, "float32")
            if count == 0:
                return
            yield np.ascontiguousarray(buffer[:count, order].T)


def _nominal(sample_rate: int, channels: int, level: float) -> int:
    """The nominal bit rate (bit/s) that the Vorbis encoder states for a compression level."""
    data = io.BytesIO()
    _Stream(data, "w", sample_rate, channels, "VORBIS", format="OGG",
            compression_level=level).close()
    return int(struct.unpack_from("<i", data.getvalue(), NOMINAL)[0])


def compression(subtype: str, sample_rate: int, channels: int, bit_rate: float) -> float:
    """libsndfile's compression level, 0 to 1, for a bit rate (bit/s).

    It is linear in it for MP3 and Opus; of Vorbis the nominal bit rate of the encoder is met.
    """
    if subtype == "VORBIS":
        low, high = 0.0, 1.0
        for _ in range(8):
            level = (low + high) / 2
            if _nominal(sample_rate, channels, level) > bit_rate:
                low = level
            else:
                high = level
        return (low + high) / 2
    if subtype == "OPUS":
        least, most = 6000 * channels, 256_000 * channels
    else:
        least, most = ((32_000, 320_000) if sample_rate >= 32_000 else
                       (8000, 160_000) if sample_rate >= 16_000 else (8000, 64_000))
    return min(max((most - bit_rate) / (most - least), 0.0), 0.999)


class SoundFileSink:
    """A file that libsndfile writes, in blocks.

    Args:
        subtype, sample_rate, channels: as of `Writer`.
        container: libsndfile's name of the format.
        bit_rate: bit/s of a lossy encoding; None for the encoder's own.
    """

    def __init__(self, path: Path, subtype: str, sample_rate: int, channels: int, container: str,
                 bit_rate: float | None = None):
        options: dict = {}
        self.container, self.lost = container, list[str]()
        if bit_rate and container == "MP3":  # whose frames may be too small for one constant rate
            constant = frame_rate(sample_rate, channels, bit_rate)
            options["bitrate_mode"] = "CONSTANT" if constant else "AVERAGE"
            bit_rate = constant or bit_rate
        if bit_rate:
            options["compression_level"] = compression(subtype, sample_rate, channels, bit_rate)
        self._steps, self._places = STEPS.get(subtype), np.argsort(_order(subtype, channels))
        self._stream = _Stream(path, "w", sample_rate, channels, subtype, format=container,
                               **options)
        if subtype in ("FLOAT", "DOUBLE"):  # the same samples are to be the same bytes
            self._stream.leave_out_peaks()

    def write(self, block: np.ndarray) -> None:
        """Shape: `[C, n]`."""
        if self._steps:  # libsndfile rounds down, by half a step in the mean
            block = np.rint(block * np.float32(self._steps)) / np.float32(self._steps)
        for start in range(0, block.shape[1], PIECE):
            self._stream.write(block[self._places, start:start + PIECE].T)

    def close(self) -> None:
        self._stream.close()
