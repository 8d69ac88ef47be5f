"""Numbers of samples in chunks of WAV, AIFF and CAF, for sound at another rate.

Cue points, loops, regions and markers say where they are in samples.
"""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

CUE, LOOP, SEGMENT, MARKER = 24, 24, 12, 28  # bytes of one: of cue, smpl, plst, and a CAF's
LOOPS = 36  # where smpl has them
PERIOD = 8  # where it has the nanoseconds of a sample
ORIGIN = 338  # where bext has the time since midnight, in samples (EBU Tech 3285)


class Count(NamedTuple):
    """A number of samples in a chunk.

    Attributes:
        form: for struct.
        place: in bytes.
        last: it is the last sample of a stretch, not where something begins.
    """

    form: str
    place: int
    last: bool = False


def _labelled(body: bytes) -> Iterator[Count]:
    """The lengths of a list's labelled texts, its chunks `ltxt`."""
    at = 4
    while body[:4] == b"adtl" and at + 16 <= len(body):
        name, size = struct.unpack_from("<4sI", body, at)
        if name == b"ltxt":
            yield Count("<I", at + 12)
        at += 8 + size + size % 2


def _markers(body: bytes) -> Iterator[Count]:
    """The places of an AIFF's markers: a number of 16 bits, the place, and a name."""
    at = 2
    while at + 7 <= len(body):
        yield Count(">I", at + 2)
        at += 6 + (body[at + 6] + 2) // 2 * 2  # its length, and padding


def _caf_markers(start: int, number: int) -> Iterator[Count]:
    for at in range(start, start + MARKER * number, MARKER):
        yield Count(">d", at + 4)


def _regions(body: bytes) -> Iterator[Count]:
    """The places of the markers of a CAF's regions."""
    at = 8
    while at + 12 <= len(body):
        number = min(struct.unpack_from(">I", body, at + 8)[0], (len(body) - at - 12) // MARKER)
        yield from _caf_markers(at + 12, number)
        at += 12 + MARKER * number


def counts(name: bytes, body: bytes) -> Iterator[Count]:
    """The numbers of samples that a chunk of a name holds."""
    if name == b"cue ":
        for at in range(4, len(body) - CUE + 1, CUE):
            yield from (Count("<I", at + 4), Count("<I", at + 20))
    elif name == b"smpl":
        for at in range(LOOPS, len(body) - LOOP + 1, LOOP):
            yield from (Count("<I", at + 8), Count("<I", at + 12, last=True))
    elif name == b"plst":
        for at in range(4, len(body) - SEGMENT + 1, SEGMENT):
            yield Count("<I", at + 4)
    elif name == b"bext" and len(body) >= ORIGIN + 8:
        yield Count("<Q", ORIGIN)
    elif name == b"LIST":
        yield from _labelled(body)
    elif name == b"MARK":
        yield from _markers(body)
    elif name == b"mark":
        yield from _caf_markers(8, (len(body) - 8) // MARKER)
    elif name == b"regn":
        yield from _regions(body)


def rescaled(name: bytes, body: bytes, ratio: Fraction) -> bytes:
    """A chunk at another rate, whose numbers of samples are no more than their fields can hold.

    Args:
        ratio: the new sample rate by the old.
    """
    def scale(count: Count, by: Fraction) -> None:
        value = struct.unpack_from(count.form, out, count.place)[0]
        if isinstance(value, float):
            value *= float(by)
        else:
            most = 2 ** (8 * struct.calcsize(count.form)) - 1
            value = min(max(round((value + count.last) * by) - count.last, 0), most)
        struct.pack_into(count.form, out, count.place, value)

    out = bytearray(body)
    if ratio != 1:
        for count in counts(name, body):
            scale(count, ratio)
        if name == b"smpl" and len(body) >= PERIOD + 4:
            scale(Count("<I", PERIOD), 1 / ratio)
    return bytes(out)
