"""Gaps that a codec has filled: speech that falls away and is back at once, for a packet's time."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

import numpy as np

from ...dsp.runs import runs
from ..damage import Damage
from .base import Detector, View
from .clicks import is_click

GRID = 0.0005  # seconds between the places that are looked at
SHORTEST, LONGEST = 0.012, 0.1  # seconds; speech alone has shorter ones
# Of speech beside a gap: dB over the 2 ms that begin 1 ms within, and over all that lies within.
EDGE, DEPTH = 13.0, 15.0
TINY = 1e-12  # power
LEAST = 0.03  # power of that speech, over the mean of all
BLUR = 0.001  # seconds that a codec blurs at either edge
MORE = 0.004  # seconds by which a drop must be longer than a gap in it, whose edges are exact
ALIKE, AROUND, OTHERS = 0.003, 10.0, 2  # seconds of difference, seconds apart, and how many

Span = tuple[float, float]


class Drops(Detector):
    """Adds to `Damage.gaps` those that a codec, which came after the loss, filled with hiss.

    A stop consonant may look like one, but packets are lost alike: a drop counts beside two others,
    or gaps, of its length.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.drops: list[Span] = []

    def update(self, view: View) -> None:
        wave = view.wave.astype(np.float64) - view.centre
        for first, last in drops(wave, self.sample_rate):
            if view.start <= first + view.offset < view.end:
                self.drops.append(((first + view.offset) / self.sample_rate - BLUR,
                                   (last + view.offset) / self.sample_rate + BLUR))

    def find(self, found: Damage) -> Damage:
        """Damage with the drops, in the place of gaps that are a part of one."""
        new = [drop for drop in self.drops
               if covered(drop, found.gaps) < drop[1] - drop[0] - MORE]
        spans = sorted([*new, *apart_from(new, found.gaps)])
        begin, end = np.array(spans).reshape(-1, 2).T
        sure = []
        for first, last in new:
            around = slice(*np.searchsorted(begin, (first - AROUND, first + AROUND)))
            lengths = end[around] - begin[around]
            if np.sum(np.abs(lengths - (last - first)) < ALIKE) > OTHERS:
                sure.append((first, last))
        return replace(found, gaps=tuple(sorted([*sure, *apart_from(sure, found.gaps)])))


def overlapping(span: Span, others: Sequence[Span]) -> Sequence[Span]:
    """Those of spans in order, and apart, that overlap one."""
    return others[bisect_right(others, span[0], key=itemgetter(1)):
                  bisect_left(others, span[1], key=itemgetter(0))]


def covered(span: Span, others: Sequence[Span]) -> float:
    """How much of a span others have, which are in order and apart."""
    return sum(min(span[1], end) - max(span[0], start) for start, end in overlapping(span, others))


def apart_from(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Those of `others` that overlap none of some spans, which are in order and apart."""
    return [other for other in others if not overlapping(other, spans)]


def drops(wave: np.ndarray, sample_rate: int) -> list[tuple[int, int]]:
    """Stretches of 12 to 100 ms that are far softer than what is before and after, edge to edge.

    Shape: `[T]`.
    """
    falls = falls_of(wave, sample_rate)
    found = []
    for rise in len(wave) - falls_of(wave[::-1], sample_rate)[::-1]:
        earlier = falls[(falls >= rise - LONGEST * sample_rate)
                        & (falls <= rise - SHORTEST * sample_rate)]
        if len(earlier) and is_soft(wave, int(earlier[-1]), int(rise), sample_rate):
            found.append((int(earlier[-1]), int(rise)))
    return found


def is_soft(wave: np.ndarray, first: int, last: int, sample_rate: int) -> bool:
    """Whether every 2 ms of a stretch, 1 ms from its edges, are far softer than 5 ms beside it.

    Clicks beside it do not count.
    """
    ms = sample_rate // 1000
    size = (last - first - 2 * ms) // (2 * ms)
    inside = np.square(wave[first + ms:first + ms + 2 * ms * size]).reshape(size, -1).mean(1)
    sides = wave[first - 5 * ms:first], wave[last:last + 5 * ms]
    beside = min(np.mean(side**2) for side in sides)
    return (bool(inside.max() < 10 ** (-DEPTH / 10) * beside)
            and not any(is_click(side) for side in sides))


def falls_of(wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """Samples at which loud speech falls away at once.

    Shape: `[T]` to `[N]`.
    """
    ms = sample_rate / 1000
    places = np.arange(round(8 * ms), len(wave) - round(8 * ms), max(1, round(GRID * sample_rate)))
    energy = np.cumsum(np.pad(np.square(wave, dtype=np.float64), (1, 0)))

    def power(first: int, last: int) -> np.ndarray:
        """Mean square from `first` to `last` ms after every place."""
        first, last = round(first * ms), round(last * ms)
        return np.maximum(energy[places + last] - energy[places + first], 0) / (last - first)

    just_before, before = power(-2, 0), power(-5, 0)
    edge = just_before / (power(1, 3) + TINY)
    deep = np.minimum(just_before, before) > 10 ** (DEPTH / 10) * power(2, 8)
    loud = before > LEAST * energy[-1] / max(1, len(wave))
    return np.array([places[first + np.argmax(edge[first:last])]
                     for first, last in runs((edge > 10 ** (EDGE / 10)) & deep & loud)], np.int64)
