"""Pages of Ogg (RFC 3533), and what is there of one that breaks off.

A page has a header of 27 bytes: flags in byte 5, a checksum in bytes 22 to 25, and in byte 26 the
number of its lacing values, which follow. A packet is as long as the lacing values up to one under
255 together, and packets may go on in the next page.
"""

import mmap
import struct
from typing import NamedTuple

BEGINS, ENDS = 2, 4  # flags of a stream's first and last page
HEADER, FLAGS, CHECKSUM, COUNT = 27, 5, 22, 26
POLYNOMIAL = 0x04C11DB7


class Page(NamedTuple):
    """A page: where it is in a file, in bytes, and the lengths of its pieces."""

    start: int
    end: int
    begins: bool
    lacing: bytes


def page_at(data: mmap.mmap | bytes, start: int) -> Page | None:
    """The page that begins there, which may end after the data; None if there is none."""
    if data[start:start + 4] != b"OggS" or start + HEADER > len(data):
        return None
    lacing = bytes(data[start + HEADER:start + HEADER + data[start + COUNT]])
    end = start + HEADER + data[start + COUNT] + sum(lacing)
    return Page(start, end, bool(data[start + FLAGS] & BEGINS), lacing)


def whole_packets(data: mmap.mmap | bytes, page: Page) -> bytes:
    """A page that breaks off, ended after its last whole packet; nothing if it has none."""
    there = len(data) - page.start - HEADER - len(page.lacing)
    kept = length = total = 0
    for number, size in enumerate(page.lacing, 1):
        total += size
        if total > there:
            break
        if size < 255:
            kept, length = number, total
    if not kept:
        return b""
    body = page.start + HEADER + len(page.lacing)
    header = bytearray(data[page.start:page.start + HEADER])
    header[FLAGS] &= ~ENDS
    header[CHECKSUM:CHECKSUM + 4], header[COUNT] = bytes(4), kept
    made = bytearray(header + page.lacing[:kept] + data[body:body + length])
    made[CHECKSUM:CHECKSUM + 4] = struct.pack("<I", checksum(made))
    return bytes(made)


def checksum(page: bytes | bytearray) -> int:
    """CRC-32 of a page whose own is 0: not reflected, as zlib's is, and begun at 0.

    >>> hex(checksum(b"123456789"))  # CRC-32/CKSUM without its length and last inversion
    '0x89a1897f'
    """
    register = 0
    for byte in page:
        register = (register << 8 & 0xFFFFFFFF) ^ TABLE[register >> 24 ^ byte]
    return register


def _entry(index: int) -> int:
    register = index << 24
    for _ in range(8):
        register = (register << 1 & 0xFFFFFFFF) ^ (POLYNOMIAL if register >> 31 else 0)
    return register


TABLE = [_entry(index) for index in range(256)]
