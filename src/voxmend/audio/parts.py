"""Files that are several recordings one after another: chained Ogg, joined MP3.

A decoder ends where the first one does; each is decoded by itself here.
"""

import io
import mmap
import os
import re
from pathlib import Path
from typing import NamedTuple

from . import ogg

ID3 = b"ID3"
FOOTER = b"\x10"  # a flag of an ID3 tag
NEXT = re.compile(rb"ID3|\xff[\xe2-\xff]")  # what may be a tag or a frame
TABLES = (b"Xing", b"Info")
BIT_RATES = {  # kbit/s by MPEG-1 or not; Layer III (ISO/IEC 11172-3, 13818-3)
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)}
RATES = (44100, 48000, 32000)  # Hz, of MPEG-1; half and a quarter of them of MPEG-2 and 2.5
TABLE = 156  # bytes of a table by LAME, which tells how much an encoder put before and behind


class Span(NamedTuple):
    """Bytes of a file, from `start` up to `end`.

    Attributes:
        whole: whether what they hold is all there.
        tail: bytes that end it, where it breaks off.
    """

    start: int
    end: int
    whole: bool = True
    tail: bytes = b""


class View(io.RawIOBase):
    """A span of a file, and its tail, read as if it were a file of its own."""

    def __init__(self, path: Path, span: Span):
        self._file, self._span, self._at = path.open("rb"), span, 0
        self._inside = span.end - span.start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        """As of any file; up to the span's end."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        if self._at < self._inside:
            self._file.seek(self._span.start + self._at)
            count = self._file.readinto(view[:self._inside - self._at])
        else:
            piece = self._span.tail[self._at - self._inside:][:len(view)]
            view[:len(piece)], count = piece, len(piece)
        self._at += count
        return count

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As of any file; from the span's beginning, or its end."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at,
                os.SEEK_END: self._inside + len(self._span.tail)}[whence]
        self._at = max(0, base + offset)
        return self._at

    def close(self) -> None:
        self._file.close()
        super().close()


def ogg_parts(data: mmap.mmap) -> list[Span]:
    """The links of a chained Ogg: each begins at a page that begins a stream after others."""
    at, starts, opening, tail, last = 0, [0], True, b"", len(data)
    while page := ogg.page_at(data, at):
        if page.begins and not opening:
            starts.append(at)
        opening = page.begins
        if page.end > len(data):
            last, tail = at, ogg.whole_packets(data, page)
        at = page.end
    ends = [*starts[1:], last]
    spans = [Span(start, end) for start, end in zip(starts, ends, strict=True)]
    return [*spans[:-1], spans[-1]._replace(whole=at <= len(data), tail=tail)]


def _frame(header: bytes) -> tuple[int, int]:
    """The length in bytes of an MP3 frame, and where its table of contents would begin; or 0."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return 0, 0
    version, (rate, bits) = header[1] >> 3 & 3, (header[2] >> 2 & 3, header[2] >> 4)
    if version == 1 or rate == 3 or bits in (0, 15):
        return 0, 0
    first, mono = version == 3, header[3] >> 6 == 3
    hertz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    length = _bytes(first, BIT_RATES[first][bits], hertz) + (header[2] >> 1 & 1)
    return length, _side(first, mono)


def _bytes(first: bool, kilobits: int, sample_rate: int) -> int:
    """The length of a frame that is not padded, of MPEG-1 or not."""
    return (144 if first else 72) * 1000 * kilobits // sample_rate


def _side(first: bool, mono: bool) -> int:
    """Where a table of contents begins in a frame: after the header and the side information."""
    return 4 + ((17 if mono else 32) if first else (9 if mono else 17))


def frame_rate(sample_rate: int, channels: int, bit_rate: float) -> int | None:
    """The bit rate (bit/s) of MP3 frames nearest to one; None where LAME's table does not fit."""
    first = sample_rate >= min(RATES)
    nearest = min(BIT_RATES[first][1:], key=lambda kilobits: abs(1000 * kilobits - bit_rate))
    room = _bytes(first, nearest, sample_rate) - _side(first, channels == 1)
    return 1000 * nearest if room >= TABLE else None


def mp3_parts(data: mmap.mmap) -> list[Span]:
    """The parts of joined MP3 files: each begins at an ID3 tag or a table of contents after frames.

    The table of contents ("Xing" or "Info") is a frame that tells a decoder how many follow.
    """
    found: list[Span] = []
    at, start, seen, told = 0, 0, 0, 0
    while at < len(data):
        length, table = _frame(data[at:at + 4])
        tag, named = data[at:at + 3] == ID3, data[at + table:at + table + 4] in TABLES
        if seen and (tag or (length and named)):
            found.append(Span(start, at, seen > told))
            start, seen, told = at, 0, 0
        if tag:
            size = sum(byte << shift for byte, shift in
                       zip(data[at + 6:at + 10], (21, 14, 7, 0), strict=False))
            at += 10 + size + (10 if data[at + 5:at + 6] >= FOOTER else 0)
        elif length:
            if named and data[at + table + 7:at + table + 8] >= b"\1":  # it tells their number
                told = int.from_bytes(data[at + table + 8:at + table + 12], "big")
            at += length
            seen += at <= len(data)
        else:  # another tag
            other = NEXT.search(data, at + 1)
            at = other.start() if other else len(data)
    if not seen:  # a tag at the end, or nothing that can be told
        return found or [Span(0, len(data))]
    return [*found, Span(start, len(data), seen > told)]


def find_parts(path: Path) -> list[Span]:
    """The recordings that a file of Ogg or MP3 holds; one that is all of it for any other."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"OggS":
            return ogg_parts(data)
        if data[:3] == ID3 or _frame(data[:4])[0]:
            return mp3_parts(data)
        return [Span(0, len(data))]
