"""The chunks of WAV, RF64, AIFF and CAF: read, copied, and searched for lost sound.

A file of these is a header and a row of chunks: a name, a length, and as many bytes. Cue points,
loops, broadcast data (bext), iXML, and tags live there.
"""

import struct
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .parts import Span
from .positions import rescaled

PLAIN, FLOATING, ALAW, MULAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE  # of the field wFormatTag
MASK = 20  # where an extensible fmt has its channel mask


class Layout(NamedTuple):
    """How a family of files is laid out."""

    header: int  # bytes before the first chunk
    size: str  # a chunk's length, for struct
    padded: bool  # to an even length
    own: frozenset[bytes]  # chunks of the sound itself


RIFF = Layout(12, "<I", True, frozenset({b"fmt ", b"data", b"fact", b"ds64", b"PEAK", b"JUNK",
                                         b"junk", b"PAD ", b"FLLR", b"wavl", b"slnt"}))
AIFF = Layout(12, ">I", True, frozenset({b"COMM", b"SSND", b"FVER", b"PEAK"}))
CAF = Layout(8, ">q", False, frozenset({b"desc", b"data", b"free", b"pakt", b"kuki", b"peak"}))
LAYOUTS = {(b"RIFF", b"WAVE"): RIFF, (b"RF64", b"WAVE"): RIFF, (b"FORM", b"AIFF"): AIFF,
           (b"FORM", b"AIFC"): AIFF}
COUNTED = (b"RIFF", b"FORM")  # their headers say in 32 bits how many bytes follow
NAMES = {b"cue ": "cue points", b"smpl": "loops", b"bext": "bext", b"iXML": "iXML",
         b"axml": "axml", b"MARK": "markers", b"mark": "markers", b"regn": "regions",
         b"INST": "loops"}


class Chunk(NamedTuple):
    """A chunk by its name and the place of its bytes."""

    name: bytes
    start: int
    size: int


def layout(path: Path) -> Layout | None:
    """How a file is laid out in chunks; None if it is not."""
    with path.open("rb") as file:
        head = file.read(12)
    return CAF if head[:4] == b"caff" else LAYOUTS.get((head[:4], head[8:]))


def chunks(path: Path) -> list[Chunk]:
    """The whole chunks of a file in order; none of a file that has none."""
    form, found = layout(path), []
    if not form:
        return []
    width, end, long = struct.calcsize(form.size), path.stat().st_size, 0
    with path.open("rb") as file:
        at = form.header
        while at + 4 + width <= end:
            file.seek(at)
            name = file.read(4)
            size = struct.unpack(form.size, file.read(width))[0]
            if name == b"ds64" and at + 4 + width + 16 <= end:
                long = struct.unpack("<8xQ", file.read(16))[0]
            if name == b"data" and size == 2**32 - 1 and long:
                size = long
            at += 4 + width
            if not 0 <= size <= end - at or not name.strip().isalnum():
                break
            found.append(Chunk(name, at, size))
            at += size + (size & 1 if form.padded else 0)
    return found


def _body(path: Path, name: bytes) -> bytes:
    """What the first chunk of a name holds, or nothing."""
    found = next((c for c in chunks(path) if c.name == name), None)
    if not found:
        return b""
    with path.open("rb") as file:
        file.seek(found.start)
        return file.read(found.size)


class Headless(NamedTuple):
    """Samples of a wav whose header says that it has none."""

    span: Span
    sample_rate: int
    channels: int
    subtype: str


def headless(path: Path) -> Headless | None:
    """The samples behind a data chunk of 0 bytes, which no other chunk follows; None for others.

    A recorder writes the length last, and some are switched off before.
    """
    if layout(path) is not RIFF:
        return None
    found = {c.name: c for c in reversed(chunks(path))}
    if b"data" not in found or b"fmt " not in found or found[b"data"].size:
        return None
    start, end, fmt = found[b"data"].start, path.stat().st_size, _body(path, b"fmt ")
    if len(fmt) < 16 or any(c.start > start for c in found.values()):
        return None
    tag, channels, rate, _, step, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack("<H", fmt[24:26])[0]
    subtype = {(PLAIN, 8): "PCM_U8", (PLAIN, 16): "PCM_16", (PLAIN, 24): "PCM_24",
               (PLAIN, 32): "PCM_32", (FLOATING, 32): "FLOAT", (FLOATING, 64): "DOUBLE",
               (ALAW, 8): "ALAW", (MULAW, 8): "ULAW"}.get((tag, bits))
    if not subtype or not step or end - start < step:
        return None
    return Headless(Span(start, end - (end - start) % step), rate, channels, subtype)


def channel_mask(path: Path) -> int | None:
    """Which loudspeakers the channels of a wav are for, as its dwChannelMask; None if unsaid."""
    fmt = _body(path, b"fmt ") if layout(path) is RIFF else b""
    if len(fmt) < MASK + 4 or struct.unpack("<H", fmt[:2])[0] != EXTENSIBLE:
        return None
    return int(struct.unpack("<I", fmt[MASK:MASK + 4])[0])


def set_channel_mask(path: Path, mask: int) -> None:
    """Writes the channel mask of a wav that has one."""
    place = next(c.start for c in chunks(path) if c.name == b"fmt ")
    with path.open("r+b") as file:
        file.seek(place + MASK)
        file.write(struct.pack("<I", mask))


def foreign(path: Path) -> list[Chunk]:
    """The chunks of a file that are not of the sound itself."""
    form = layout(path)
    return [c for c in chunks(path) if form and c.name not in form.own]


def copy(source: Path, target: Path, ratio: Fraction) -> list[str]:
    """Appends the foreign chunks of a file to one of the same layout; returns what was left out.

    Args:
        ratio: the target's sample rate by the source's.
    """
    form, lost = layout(target), []
    if not form:
        return []
    has = {c.name for c in foreign(target)}
    with source.open("rb") as old, target.open("r+b") as new:
        longest = 2**32 + 7 if new.read(4) in COUNTED else float("inf")
        new.seek(0, 2)
        if form.padded and new.tell() % 2:
            new.write(b"\0")
        for chunk in foreign(source):
            if chunk.name in has:
                continue
            old.seek(chunk.start)
            body = rescaled(chunk.name, old.read(chunk.size), ratio)
            whole = chunk.name + struct.pack(form.size, len(body)) + body
            whole += b"\0" * (len(whole) % 2 if form.padded else 0)
            if new.tell() + len(whole) > longest:
                lost.append(NAMES.get(chunk.name, chunk.name.decode("latin-1").strip()))
            else:
                new.write(whole)
        _set_length(new, form)
    return lost


def _set_length(file: BinaryIO, form: Layout) -> None:
    """Makes the header of a file say how long it is now; a CAF's does not say it."""
    length = file.seek(0, 2) - 8
    file.seek(0)
    if file.read(4) == b"RF64":
        file.seek(20)
        file.write(struct.pack("<Q", length))
    elif form is not CAF:
        file.seek(4)
        file.write(struct.pack(form.size, length))
