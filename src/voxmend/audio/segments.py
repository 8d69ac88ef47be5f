"""Long signals in constant memory: overlapping segments, cross-fades, and the order of voices.

A long recording is mended segment by segment; neighbours share an overlap, in which both are
cross-faded.

    segment 0   ├──────────────┤
    segment 1             ├──────────────┤
                          │  overlap │
    weight of 1           0 0 ╱ ╱ 1 1
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import permutations
from typing import Protocol

import numpy as np

from .batches import Function, Made, Segment, apply, groups


def segments(blocks: Iterable[np.ndarray], segment: int,
             overlap: int) -> Iterator[tuple[int, np.ndarray]]:
    """Starts and overlapping segments; the last has at most `segment + overlap` samples."""
    pending, size, start = [], 0, 0
    for block in blocks:
        pending.append(block)
        size += block.shape[1]
        if size > segment + overlap:
            signal = np.concatenate(pending, axis=1)
            while signal.shape[1] > segment + overlap:
                yield start, signal[:, :segment].copy()
                signal = signal[:, segment - overlap:]
                start += segment - overlap
            pending, size = [signal], signal.shape[1]
    if size:
        yield start, np.concatenate(pending, axis=1)


def crossfade(overlap: int) -> np.ndarray:
    """Weight of the later of two segments over their overlap: 0, a raised cosine, 1.

    w = ½ − ½ cos(π·clip(2u − ½, 0, 1)) at u in 0…1, so the outermost quarters, where segments
    suffer from their ends, are dropped; the earlier segment has weight 1 − w.

    Shape: `[overlap]` (samples), float32.
    """
    position = (np.arange(overlap) + 0.5) / max(overlap, 1)
    ramp = np.clip(2 * position - 0.5, 0, 1)
    return (0.5 - 0.5 * np.cos(np.pi * ramp)).astype(np.float32)


class Spread(Protocol):
    """Applies a function to segments, each with its start, wherever; the results in their order."""

    def __call__(self, function: Function[Made], parts: Iterable[Segment], /) -> Iterator[Made]:
        """What the function makes of each."""


def in_turn(function: Function[Made], parts: Iterable[Segment]) -> Iterator[Made]:
    """What a function makes of segments, one group after another."""
    for group in groups(function, parts):
        yield from apply(function, group)


def process(blocks: Iterable[np.ndarray], function: Function[np.ndarray],
            segment: int, overlap: int, ratio: int | Fraction = 1, multiple: int = 1,
            progress: Callable[[int], None] | None = None,
            spread: Spread = in_turn,
            arrange: Callable[[np.ndarray], np.ndarray] | None = None) -> Iterator[np.ndarray]:
    """Apply a function to a signal of any length in overlapping, cross-faded segments.

    Segments start every `segment − overlap` samples; memory is that of a few segments, or of as
    many as a function makes at once (`batches.Jointly`). A signal
    of at most `segment + overlap` samples is passed whole, and so is such a rest at the end.

    Args:
        blocks: the signal in order, in blocks of any length.
        function: `(chunk, start) -> out`, with `start` the chunk's first sample in the signal.
        segment, overlap: samples; rounded up until starts are multiples of `multiple` and fall
            on whole output samples.
        ratio: output rate / input rate.
        multiple: what every start must be a multiple of, in samples.
        progress: told the number of samples processed, after every segment.
        spread: applies the function, in other processes for instance.
        arrange: is given what becomes of every segment, in turn and in this process, and tells
            what is cross-faded, as the same with its rows in another order.

    Shape:
        - blocks: `[C, n]`, function: `[C, n]` to `[C_out, ⌊n·ratio + ½⌋]`
        - output: blocks `[C_out, m]`, ⌊T·ratio + ½⌋ samples in all

    Raises ValueError if `overlap` exceeds half a segment or the function changes the length.
    """
    ratio = Fraction(ratio)
    unit = math.lcm(multiple, ratio.denominator)
    segment, overlap = math.ceil(segment / unit) * unit, math.ceil(overlap / unit) * unit
    if not 0 <= 2 * overlap <= segment or segment == 0:
        raise ValueError(f"overlap of {overlap} samples for segments of {segment}: "
                         "at most half of it")
    weight = crossfade(int(overlap * ratio))
    held, given = None, deque[tuple[int, int]]()

    def noted() -> Iterator[tuple[int, np.ndarray]]:
        for start, chunk in segments(blocks, segment, overlap):
            given.append((start, chunk.shape[1]))
            yield start, chunk

    for whole in spread(function, noted()):
        out, (start, samples) = whole, given.popleft()
        if out.shape[1] != math.floor(samples * ratio + Fraction(1, 2)):
            raise ValueError(f"{samples} samples became {out.shape[1]}, expected {ratio} times")
        if arrange:
            out = arrange(out)
        if held is not None:
            head, rest = np.split(out, [len(weight)], axis=1)
            out = np.concatenate([held + weight * (head - held), rest], axis=1)
        ready, held = np.split(out, [max(0, out.shape[1] - len(weight))], axis=1)
        if progress:
            progress(start + samples)
        if ready.shape[1]:
            yield ready
    if held is not None and held.shape[1]:
        yield held


class Aligner:
    """Keeps the order of separated voices from segment to segment and from channel to channel.

    A segment's voices take the order π that is nearest to the voices before them where both
    overlap, max_π Σ_k ⟨before_k, now_π(k)⟩, and those of a further channel also to the first
    channel's, of whatever polarity, all over the segment. An overlap in which nobody speaks tells
    no order, but all channels still have the same.

    Args:
        voices: K.
        channels: C.
        overlap: samples that a segment shares with the one before.

    Shape: `align(out)` takes the segments `[K·C, n]` in turn and returns the order of the rows.
    """

    def __init__(self, voices: int, channels: int, overlap: int):
        self.voices, self.channels, self.overlap = voices, channels, overlap
        self.tail: np.ndarray | None = None

    def __call__(self, out: np.ndarray) -> list[int]:
        grid = np.arange(len(out)).reshape(self.voices, self.channels)
        order = np.empty_like(grid)
        for channel in range(self.channels):
            rows = grid[:, channel]
            match = np.zeros((self.voices, self.voices))
            if self.tail is not None:
                now = out[rows, :self.tail.shape[1]]
                match += self.tail[rows, :now.shape[1]] @ now.T
            if channel:
                match += np.abs(out[order[:, 0]] @ out[rows].T)
            best = max(permutations(range(self.voices)),
                       key=lambda p: sum(match[i, j] for i, j in enumerate(p)))
            order[:, channel] = rows[list(best)]
        found: list[int] = order.flatten().tolist()
        self.tail = out[found][:, -self.overlap:]
        return found

    def arrange(self, out: np.ndarray) -> np.ndarray:
        """A segment's rows in that order; of `[n·K·C, T]` those of every part, by the first."""
        parts = np.split(out, len(out) // (self.voices * self.channels))
        order = self(parts[0])
        return np.concatenate([part[order] for part in parts])
