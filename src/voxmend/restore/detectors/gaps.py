"""Gaps: stretches of nothing whose edges are cut off rather than faded, and repeated packets."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ...dsp.rms import rms as root_mean_square
from ...dsp.runs import runs
from ..damage import Damage
from .base import Detector, View
from .clicks import is_click
from .quantisation import quantisation_step

SILENCE = 1e-5  # |x| below half a step of 16-bit PCM
SHORTEST, SHORTEST_NOISE = 0.0025, 0.01  # seconds of a constant, and of comfort noise
LONG, LONGEST = 0.3, 3.0  # seconds; of those that one edge tells, and what is a pause beyond
PACKETS = (0.01, 0.02, 0.03, 0.04, 0.06)  # seconds
# Quantisation steps that speech has at a gap. What is softer rounds to constants by itself: at both
# edges of those of 5 ms the first millisecond of speech has 1.6, the first 20 ms have 3.3.
CUT, AT_ONCE = 4, 2  # RMS of 20 ms, and of 1 ms, at both edges
SHORT_CUT = 8  # of 20 ms beside less than 5 ms, which a vowel leaves between two pulses
ONE_EDGE = 16  # at one edge alone: a plosive jumps by 8
RESIDUE = 0.4, 2  # share of the edges, and how many, beside which there is some of what is coded


def silence(rms: float) -> float:
    """Largest |x| of digital silence in a recording of this RMS."""
    return min(SILENCE, 0.01 * rms)


class Gaps(Detector):
    """Finds `Damage.gaps` and `Damage.ends`, and marks `View.silent`.

    A gap holds a constant, of any value near zero, or noise far below what it interrupts; a third
    kind is a packet that equals the one before it. One of 0.3 s or more shows by a single edge in a
    word, or by the room's noise, which ends and begins at once. A constant is none where speech as
    soft as beside it would have been rounded to it. What a codec left beside constants belongs to
    the gap.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.gaps: list[tuple[float, float, bool]] = []
        self.residue: dict[float, tuple[float, float]] = {}  # seconds before and after, by start
        self.seconds = 0.0

    def update(self, view: View) -> None:
        self.seconds = view.end / self.sample_rate
        rms = root_mean_square(view.wave - np.float32(view.centre))
        if rms < 1e-3 * SILENCE:
            view.silent[:] = True
            return
        step = quantisation_step(view.wave)
        for nothing in {0.0, view.centre}:  # an offset may be that of what came before a gap
            self._look_for(view, view.wave - np.float32(nothing), rms, step)
        for first, last in self._repeated(view.wave, max(0.1 * rms, step)):
            self._add(view, first, last, True)

    def _look_for(self, view: View, wave: np.ndarray, rms: float, step: float) -> None:
        """Takes in the gaps in which a view, less what nothing has there, is near zero."""
        for first, last in self._constant(wave, rms):
            self._judge_constant(view, first, last, rms, step)
        quiet = ~view.silent & (np.abs(wave) <= 0.06 * rms)
        shortest = round(SHORTEST_NOISE * self.sample_rate)
        for run in runs(quiet, shortest):
            first, last = steady_part(wave, *run)
            if last - first >= shortest and self._is_filled(wave, first, last, rms, step):
                view.silent[first:last] = True
                self._add(view, first, last, True)

    def _constant(self, wave: np.ndarray, rms: float) -> Iterator[tuple[int, int]]:
        """Runs of one value near zero or, after a low-pass, of nearly nothing."""
        flat = np.abs(np.diff(wave, prepend=np.inf, append=np.inf)) <= silence(rms)
        for first, last in runs(flat, round(SHORTEST * self.sample_rate)):
            if abs(wave[first]) <= 0.3 * rms:
                yield first - 1, last
        for first, last in runs(np.abs(wave) <= max(silence(rms), 1e-3 * rms),
                                self.sample_rate // 100):
            yield first, last

    def _is_filled(self, wave: np.ndarray, first: int, last: int, rms: float,
                   step: float) -> bool:
        """Whether quiet samples are steady to their edges, and the sound beside them is loud."""
        near, rate = self.sample_rate // 1000, self.sample_rate
        power = max(np.mean(wave[first:last] ** 2), step**2 / 12)  # rounding hides what is less
        for side, inside in ((wave[:first][::-1], wave[first:first + near]),
                             (wave[last:], wave[last - near:last])):
            if not edge_is_cut(np.abs(side), 0.2 * rms, rate, 0.001):
                return False
            if np.mean(inside**2) > 3 * power or np.mean(side[:2 * near] ** 2) < 200 * power:
                return False
        return True

    def _judge_constant(self, view: View, first: int, last: int, rms: float, step: float) -> None:
        rate = self.sample_rate
        peak = np.abs(view.wave - np.median(view.wave[first:last]))
        exact = np.mean(peak[first:last] <= silence(rms)) > 0.8
        left, right = peak[:first][::-1], peak[last:]
        at_edge = not (len(left) and len(right))
        short = last - first < rate // 200
        if any(is_silent(side[:rate // 50], silence(rms)) for side in (left, right) if len(side)):
            view.silent[first:last] |= exact and not short
            return
        audible = max(0.05 * rms, (SHORT_CUT if short else CUT) * step)
        cut = [edge_is_cut(side, audible, rate) for side in (left, right)]
        sure = all(cut) and not at_edge
        if exact and not short:
            view.silent[first:last] = True
            # A recording may well begin in a word, softly.
            alone = max(0.1 * rms, ONE_EDGE * step)
            enough = alone if at_edge else max(0.05 * rms, AT_ONCE * step)
            sides = [side for side in (left, right) if len(side)]
            levels = [root_mean_square(side[:rate // 1000]) for side in sides]
            sure |= max(levels) > enough and (at_edge or all(
                level > enough or edge_is_hard(side, step, rate)
                for level, side in zip(levels, sides, strict=True)))
            if last - first >= LONG * rate and not at_edge:
                sure |= any(one and level > alone for one, level in zip(cut, levels, strict=True))
                sure |= all(edge_is_hard(side, step, rate, 0.05) for side in sides)
        elif sure:
            view.silent[first:last] = True
        hard = exact and not short and not at_edge and any(
            edge_is_cut(side, ONE_EDGE * step, rate) for side in (left, right))
        if (sure or hard) and self._add(view, first, last, bool(sure)) and sure:
            start, _, _ = self.gaps[-1]
            self.residue[start] = residue(left, rate) / rate, residue(right, rate) / rate

    def _repeated(self, wave: np.ndarray, audible: float) -> Iterator[tuple[int, int]]:
        """Packets that equal the one before, among others that do not."""
        for seconds in PACKETS:
            size = round(seconds * self.sample_rate)
            same = np.zeros(len(wave), bool)
            same[size:] = wave[size:] == wave[:-size]
            if same.mean() > 0.3:  # a periodic sound
                continue
            for first, last in runs(same, size - 1):
                if last - first < 4 * size and np.std(wave[first:last]) > audible:
                    yield first, last

    def _add(self, view: View, first: int, last: int, sure: bool) -> bool:
        """Whether a gap is new, and the view's own."""
        begin = int(first + view.offset)
        if view.start <= begin < view.end and last - first <= LONGEST * self.sample_rate:
            gap = begin / self.sample_rate, int(last + view.offset) / self.sample_rate
            if all(gap[1] <= a or gap[0] >= b for a, b, _ in self.gaps[-50:]):
                self.gaps.append((*gap, sure))
                return True
        return False

    def find(self, found: Damage) -> Damage:
        """The gaps in order; less certain ones count only beside a certain one."""
        certain = any(sure for _, _, sure in self.gaps)
        beside = np.array(list(self.residue.values())) > 0
        coded = beside.sum() >= RESIDUE[1] and beside.mean() >= RESIDUE[0]
        gaps = []
        for start, end, _ in sorted(self.gaps) if certain else ():
            before, after = self.residue.get(start, (0.0, 0.0)) if coded else (0.0, 0.0)
            gaps.append((start - before, end + after))
        inner = tuple(gap for gap in gaps if gap[0] > 0 and gap[1] < self.seconds)
        return replace(found, gaps=inner, ends=tuple(gap for gap in gaps if gap not in inner))


def steady_part(wave: np.ndarray, first: int, last: int) -> tuple[int, int]:
    """A quiet run less those samples at its ends with which the sound beside it crosses zero.

    They exceed 5 times the standard deviation of what fills the run, by its median.
    """
    magnitude = np.abs(wave[first:last])
    loud = np.flatnonzero(magnitude > 5 * np.median(magnitude) / 0.6745)
    half = len(magnitude) // 2
    left, right = loud[loud < half], loud[loud >= half]
    return (first + int(left[-1]) + 1 if len(left) else first,
            first + int(right[0]) if len(right) else last)


def edge_is_hard(side: np.ndarray, step: float, sample_rate: int, within: float = 0.005) -> bool:
    """Whether noise, of 4 quantisation steps or more, is at once as loud as within some seconds.

    Within 8 dB in the first millisecond: of 5 ms, what a gate fades within 2 ms is not.

    Shape: `[T]`, as `edge_is_cut`; step in the units of `side`.
    """
    power = float(np.mean(side[:round(within * sample_rate)] ** 2))
    return power > (4 * step) ** 2 and np.mean(side[:sample_rate // 1000] ** 2) > 0.16 * power


def residue(side: np.ndarray, sample_rate: int, within: float = 0.025) -> int:
    """Samples of a side that only hiss or ring, of a codec or a low-pass that came after the cut.

    They last 2 ms or more, and end at once, where the RMS of 2 ms is 20 dB over that of all before;
    else there are none.

    Shape: `[T]`, as `edge_is_cut`.
    """
    size = sample_rate // 500
    count = min(len(side), round(within * sample_rate)) // size
    power = np.square(side[:count * size])
    frames = power.reshape(count, size).mean(1)
    loud = np.flatnonzero(frames > 0.02 * frames.max(initial=0.0))
    if not len(loud):
        return 0
    begin = max(0, int(loud[0]) - 1) * size
    first = begin + int(np.argmax(power[begin:] > 0.02 * frames[loud[0]]))
    return first if first >= size and power[:first].mean() < 0.01 * frames[loud[0]] else 0


def is_silent(side: np.ndarray, silent: float) -> bool:
    """Whether three quarters of the magnitudes are silent: what is beside them is a click.

    Shape: `[T]`.
    """
    return bool(np.mean(side <= silent) > 0.75)


def edge_is_cut(side: np.ndarray, audible: float, sample_rate: int, within: float = 0.008) -> bool:
    """Whether a signal begins abruptly after a silence, rather than fading in.

    The RMS of its first 20 ms must be audible, a sample of 15 % of that must come within 8 ms, and
    the 2 ms from there must be within 8 dB of it, and no click. The 8 ms allow for the ringing of a
    low-pass that came after the cut.

    Args:
        side: magnitudes that follow the silence (or, reversed, precede it), the nearest first.
        audible: RMS that counts as signal.
        sample_rate: Hz.
        within: seconds in which it must begin.

    Shape: `[T]`.
    """
    power = float(np.mean(side[:sample_rate // 50] ** 2)) if len(side) else 0.0
    if power <= audible**2:
        return False
    active = np.flatnonzero(side[:max(1, round(within * sample_rate))] >= 0.15 * power**0.5)
    if len(active) == 0:
        return False
    near = side[active[0]:][:sample_rate // 500]
    return bool(np.mean(near**2) > 0.15 * power) and not is_click(near)
