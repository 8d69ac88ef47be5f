"""Clipping: samples that pile up at a level, exactly or nearly.

A clipper leaves a pile of equal samples, which a codec, a resampler, noise or a soft knee spreads
into a band around the level. Natural speech, limited or not, has round peaks of all heights, so its
amplitudes grow rarer towards the highest, and its highest lobes are no fuller than others.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ...dsp.runs import runs
from ..damage import Clipping as Stretch
from ..damage import Damage, decibel
from .base import Detector, View
from .lobes import Lobes, top_fullness
from .quantisation import quantisation_step

LOWEST, COLUMNS = -160, 32000  # dB of the first column of a histogram, and how many, 0.01 dB each
BLOCK_SECONDS, AROUND_SECONDS = 0.5, 1.0  # what is judged by itself, and with how much on each side
ALIKE = 1.07  # ratio of levels that count as one
EQUAL, PLATEAU = 5e-4, 0.25  # difference within a plateau, and share of samples in plateaus
PAIRED, SHOULDERS = 0.05, 0.2  # equal samples beside one another: of all, of those 5 % below
FEWEST = 10  # equal samples
HARD = 0.8  # share of equal samples that a hard clipper leaves: 0.95…1, others at most 0.7
TOPS = 50  # columns from the top that are tried
STEPS, LOBE_STEPS, PAIR_STEPS = 8, 12, 200  # of quantisation: the least level, by each evidence
LIKE = 0.02  # difference of levels within a stretch, in units of the level
EXACT, KNEE, SPREAD = 0.005, 0.1, 0.2  # tolerances: of equal samples, above a knee, spread ones
SURE, UNSURE = 0.15, 5.0  # log density that many blocks must show, and how much more a single one
CERTAIN = 0.4  # log density of a block that shows clipping by itself
FULL, UNSURE_FULL = 0.032, 0.05  # the same of the fullness of lobes
FAINT, LASTING = 10 ** (-30 / 20), 4  # of the loudest, and blocks that a fainter stretch must last
LOUD = 0.25  # of the highest level: blocks that tell of the clipping of a whole channel


@dataclass(frozen=True)
class Pile:
    """Samples at an upper level, at a lower one or at both, and the others that lead up to them.

    False if nothing piles up. What a clipper cut off on both sides may have been shifted since, so
    that its levels have different distances from zero, or even one sign.

    Attributes:
        centre: of the recording; 0 if it has no offset to speak of.
        lowest, highest: of all samples.
        low, high: levels, ∓∞ where there is none.
        flat, equal: samples within 0.5 % of a level, and those of them within 0.05 % of their
            median.
        near, below: samples in the tenth of the level under the flat ones and in that below it.
    """

    centre: float
    lowest: float
    highest: float
    low: float = -np.inf
    high: float = np.inf
    flat: int = 0
    equal: int = 0
    near: int = 0
    below: int = 0

    def with_level(self, side: int, half: np.ndarray, level: float, equal: int) -> "Pile":
        """This and what piles up on one side.

        Args:
            half: how far samples lie out on that side of the centre.
            level: of the pile there.
            equal: how many samples of it are.

        Shape: half `[n]`.
        """
        edges = np.array([1 - 2 * KNEE, 1 - KNEE, 1 - EXACT]) * level
        below, near, flat = (int(np.count_nonzero(half >= edge)) for edge in edges)
        edge = {"high" if side > 0 else "low": float(self.centre + side * level)}
        return self + replace(self, **edge, flat=flat, equal=equal, near=near - flat,
                              below=below - near)

    def __add__(self, other: "Pile") -> "Pile":
        """Both, at the inner levels."""
        return Pile(self.centre if self else other.centre,
                    min(self.lowest, other.lowest), max(self.highest, other.highest),
                    max(self.low, other.low), min(self.high, other.high),
                    self.flat + other.flat, self.equal + other.equal,
                    self.near + other.near, self.below + other.below)

    def __bool__(self) -> bool:
        return bool(np.isfinite(self.low) or np.isfinite(self.high))

    @property
    def edges(self) -> tuple[float, float]:
        """Both levels; where there is one, the other is as far from the centre."""
        return (self.low if np.isfinite(self.low) else 2 * self.centre - self.high,
                self.high if np.isfinite(self.high) else 2 * self.centre - self.low)

    @property
    def level(self) -> float:
        """Half the distance between the levels."""
        low, high = self.edges
        return (high - low) / 2

    @property
    def side(self) -> Literal[-1, 0, 1]:
        """±1 if samples pass what would be the level on the other side, else 0."""
        (low, high), slack = self.edges, EXACT * self.level
        if np.isinf(self.low) and self.lowest < low - slack:
            return 1
        return -1 if np.isinf(self.high) and self.highest > high + slack else 0

    def joins(self, other: "Pile") -> bool:
        """Whether both may be of one clipper: no samples of either pass its levels."""
        both = self + other
        alike, slack = LIKE * both.level, EXACT * both.level
        return all(min(pile.high - alike, pile.highest - slack) <= both.high
                   and max(pile.low + alike, pile.lowest + slack) >= both.low
                   for pile in (self, other))

    def beyond(self, wave: np.ndarray, tolerance: float) -> np.ndarray:
        """Samples that reach a level, but for a share of it. Shape: `[n]` to the same, bool."""
        slack = tolerance * self.level
        return (wave >= self.high - slack) | (wave <= self.low + slack)

    @property
    def tolerance(self) -> float:
        """What is clipped: the flat samples or, of a spread pile or a knee, a tenth below as well.

        A hard clipper leaves equal samples; a resampler, a codec and a soft clipper spread them.
        There is a knee if more lie in that tenth than are flat, and than lie in the next, where
        speech by itself grows rarer upwards.
        """
        spread = self.equal < HARD * self.flat
        return KNEE if spread or self.near > max(self.flat, self.below) else EXACT


@dataclass(frozen=True)
class Block:
    """What half a second, or what is left of a view, says of clipping.

    Attributes:
        start: its first sample.
        peak: highest magnitude, about the centre.
        pile: of equal samples in it or, if it has none, in the seconds around.
        level, density: of the peaks of the seconds around, as `peak_level` has them.
        top, fullness: of the lobes of the seconds around, as `top_fullness` has them.
        beyond: how many samples reach the level of the pile, of the peaks, and of the lobes.
    """

    start: int
    peak: float
    pile: Pile
    level: float
    density: float
    top: float
    fullness: float
    beyond: tuple[int, ...]


class Clipping(Detector):
    """Finds `Damage.clipping` and marks `View.clipped`."""

    def __init__(self, sample_rate: int):
        self.size = round(BLOCK_SECONDS * sample_rate)
        self.around = round(AROUND_SECONDS * sample_rate)
        self.sample_rate = sample_rate
        self.samples = 0
        self.blocks: list[Block] = []

    def update(self, view: View) -> None:
        self.samples += int(np.count_nonzero(view.wave[view.inner]))
        centre = view.centre
        wave = np.where(view.silent, np.float32(centre), view.wave)  # gaps pile up as well
        for first in range(view.inner.start, view.inner.stop, self.size):
            last = min(first + self.size, view.inner.stop)
            own = wave[first:last]
            window = wave[max(0, first - self.around):last + self.around]
            lowest, highest = float(own.min()), float(own.max())
            pile = replace(find_pile(own, self.sample_rate, centre)
                           or find_pile(window, self.sample_rate, centre),
                           lowest=lowest, highest=highest)
            window = window - centre
            lobes = Lobes.of(window)
            size, peaks = np.abs(own - centre), peak_level(window, lobes)
            tops = top_fullness(window, lobes, self.sample_rate)
            # A few steps up all lobes end at one of few levels, and are full.
            least = LOBE_STEPS * quantisation_step(window)
            peaks, tops = (found if found[0] >= least else (0.0, -np.inf)
                           for found in (peaks, tops))
            level = pile or replace(pile, low=lowest, high=highest)
            block = Block(view.offset + first, float(size.max()), pile, *peaks, *tops, (
                int(np.count_nonzero(level.beyond(own, EXACT))),
                *(int(np.count_nonzero(size >= (1 - SPREAD) * level)) if level else 0
                  for level in (peaks[0], tops[0]))))
            self.blocks.append(block)
            if pile:
                view.clipped[first:last] = pile.beyond(own, 0.05)
            elif block.density > CERTAIN:
                view.clipped[first:last] = size >= 0.95 * block.level

    def find(self, found: Damage) -> Damage:
        kind, parts = next(((kind, parts) for kind, way in enumerate(
            (self._exact, self._spread, self._full)) if (parts := way())), (0, []))
        if not parts:
            return found
        rate = self.sample_rate
        beyond = sum(block.beyond[kind] for part in parts for block in self.blocks
                     if round(part.start * rate) <= block.start < round(part.end * rate)
                     and block.peak >= part.floor)
        return replace(found, clipping=tuple(parts), clipped=beyond / max(self.samples, 1))

    def _stretch(self, first: int, last: int, level: float, tolerance: float) -> Stretch:
        blocks = self.blocks[first:last]
        centre = float(np.median([block.pile.centre for block in blocks]))
        end = self.blocks[last].start if self.blocks[last:] else blocks[-1].start + self.size
        return Stretch(level, blocks[0].start / self.sample_rate, end / self.sample_rate,
                       tolerance, centre)

    def _exact(self) -> list[Stretch]:
        """Stretches of one level; softer blocks beside them, which say nothing, count to them.

        A brief one far below the loudest is a pause, where coarse noise may pile up by chance.
        """
        parts: list[tuple[int, int, Pile]] = []
        for number, block in enumerate(self.blocks):
            first, pile = number, block.pile
            while parts and (pile or parts[-1][2]) and parts[-1][2].joins(pile):
                first, _, before = parts.pop()
                pile = before + pile
            parts.append((first, number + 1, pile))
        highest = max((block.peak for block in self.blocks), default=0.0)
        found = []
        for first, last, pile in parts:
            lasting = sum(bool(block.pile) for block in self.blocks[first:last]) >= LASTING
            if pile and (lasting or pile.level > FAINT * highest):
                offset = sum(pile.edges) / 2
                found.append(replace(
                    self._stretch(first, last, pile.level, pile.tolerance), side=pile.side,
                    offset=offset if abs(offset) > EXACT * pile.level else 0.0))
        return found

    def _spread(self) -> list[Stretch]:
        """Stretches in whose blocks peaks end near one level, densely."""
        parts = []
        for first, last in self._groups():
            blocks = self.blocks[first:last]
            levels = [block.level for block in blocks if block.level]
            if not levels:  # silence
                continue
            level = float(np.median(levels))
            loud = [b for b in blocks if alike(b.level, level)]
            if loud and np.mean([b.density for b in loud]) > SURE + UNSURE / len(loud) ** 2:
                parts.append(self._stretch(first, last, level, SPREAD))
        return parts

    def _full(self) -> list[Stretch]:
        """The whole channel, where lobes near the top are fuller than those below."""
        highest = max((block.top for block in self.blocks), default=0.0)
        loud = [block for block in self.blocks if block.top > LOUD * highest]
        needed = FULL + UNSURE_FULL / max(len(loud), 1) ** 2
        if not loud or np.mean([block.fullness for block in loud]) < needed:
            return []
        level = float(np.median([block.top for block in loud]))
        return [self._stretch(0, len(self.blocks), level, SPREAD)]

    def _groups(self) -> list[tuple[int, int]]:
        """Runs of blocks whose peaks end at one level, or below it."""
        groups: list[list[int]] = []
        level = 0.0
        for number, block in enumerate(self.blocks):
            if groups and (alike(block.level, level) or block.peak < level or not block.level):
                groups[-1][1] = number + 1
            else:
                groups.append([number, number + 1])
                level = block.level
        return [(first, last) for first, last in groups]


def alike(one: float, other: float) -> bool:
    """Whether two levels are nearly the same."""
    return max(one, other) < ALIKE * min(one, other)


def histogram(wave: np.ndarray) -> np.ndarray:
    """Samples by sign and level; zeros are left out. Shape: `[n]` to `[2, COLUMNS]`."""
    wave = wave[wave != 0]
    column = np.clip((decibel(wave) - LOWEST) * 100, 0, COLUMNS - 1).astype(np.int64)
    column += COLUMNS * (wave < 0)
    return np.bincount(column, minlength=2 * COLUMNS).reshape(2, -1)


def peak_level(wave: np.ndarray, lobes: Lobes) -> tuple[float, float]:
    """The level at which most peaks end, and how dense samples are at it, log(at it/below it).

    A peak is the highest sample of a lobe, and weighs by its width at half its height; the level is
    the one within 5 % of which most weight lies, at least half of the level that a tenth of the
    weight exceeds. Densities are those of 0.93…1.04 and of 0.65…0.9 of it. Of speech, limited or
    not, the second is higher.

    Shape: `[n]`, and its lobes. (0, −∞) of silence.
    """
    magnitude, heights, widths = np.abs(wave), lobes.heights, lobes.widths
    if not heights.max() > 1e-5:
        return 0.0, -np.inf
    columns = 400  # 0.1 dB each, below the highest
    place = np.round(columns - 1 + 200 * np.log10(np.maximum(heights / heights.max(), 1e-9)))
    weight = np.bincount(place.clip(0).astype(int), widths, columns)
    weight[0] = 0
    top = np.searchsorted(weight.cumsum(), 0.9 * weight.sum())
    near = np.convolve(weight, np.ones(9), "same")
    best = top - 60 + int(np.argmax(near[max(top - 60, 0):])) if top >= 60 else int(np.argmax(near))
    level = heights.max() * 10 ** ((best - columns + 1) / 200)
    ordered = np.sort(magnitude[magnitude >= 0.6 * level])  # all that densities are asked of

    def density(low: float, high: float) -> float:
        first, last = np.searchsorted(ordered, [low, high])
        return float((last - first) / (high - low) * level)

    at = max(density(0.93 * k * level, 1.04 * k * level) for k in (0.96, 0.98, 1.0, 1.02, 1.04))
    return float(level), float(np.log((at + 1) / (density(0.65 * level, 0.9 * level) + 80)))


def find_pile(wave: np.ndarray, sample_rate: int, centre: float = 0.0) -> Pile:
    """The equal samples that a clipper left on either side of a recording's centre.

    Noise of a few quantisation steps piles up as well, and does not count.

    Shape: `[n]`.
    """
    found = Pile(centre, float(wave.min()), float(wave.max()))
    step = None
    for side in (1, -1):
        half = side * (wave - centre)
        column = clip_column(histogram(half)[0])
        if column is None:
            continue
        if step is None:
            step = np.diff(np.unique(wave)).min(initial=np.inf)
        pile = cut_off(half, 10 ** ((column / 100 + LOWEST) / 20), step, sample_rate)
        if pile:
            found = found.with_level(side, half, *pile)
    return found


def cut_off(half: np.ndarray, level: float, step: float,
            sample_rate: int) -> tuple[float, int] | None:
    """The level at which a clipper cut samples off, and how many are equal; None if none did.

    Of the samples there many have equal neighbours for 0.2 ms. Or, if peaks are too sharp for that,
    some have one that is exactly equal, and few lie just below: the round peaks that a limiter let
    touch its ceiling have shoulders, and are of two equal samples by chance alone.

    Args:
        level: nearly that at which they end.
        step: between values that occur.

    Shape: `[n]`.
    """
    flat = half >= (1 - EXACT) * level
    middle = float(np.median(half[flat]))
    equal, same = np.abs(half - middle) <= EQUAL * level, half == middle
    plateaus = np.diff(runs(equal, max(3, round(0.0002 * sample_rate)))).sum()
    count, pairs = np.count_nonzero(same), np.diff(runs(same, 2)).sum()
    below = np.count_nonzero((half >= 0.95 * middle) & (half < middle))
    paired = (level >= PAIR_STEPS * step and count >= FEWEST
              and pairs > max(PAIRED * count, SHOULDERS * below))
    if level < STEPS * step or not (paired or plateaus > PLATEAU * flat.sum()):
        return None
    return middle if paired else level, int(np.count_nonzero(equal & flat))


def clip_column(row: np.ndarray) -> int | None:
    """Column of an amplitude histogram where the signal is cut off sharply. Shape: `[A]`.

    The fullest 0.02 dB of the top hold at least 10 samples and 5 times what the next 1 dB holds per
    non-empty 0.01 dB. A hundredth of the samples that loud may lie above: clicks, or a sound after
    the clipper.
    """
    tops = np.flatnonzero(row[110:])[::-1][:TOPS]  # numbered from the first that is tried
    if not len(tops):
        return None
    first, tops = tops[-1], tops - tops[-1] + 110
    row = row[first:]
    samples, filled = np.append(0, row.cumsum()), np.append(0, (row > 0).cumsum())
    near, below = tops - 10, tops - 110
    above = samples[-1] - samples[tops + 1]
    columns = np.maximum(filled[near] - filled[below], 1)
    usual = np.maximum((samples[near] - samples[below]) / columns, 1)
    starts = near[:, None] + np.arange(10)
    pairs = samples[starts + 2] - samples[starts]
    sharp = pairs.max(1) >= np.maximum(FEWEST, np.maximum(5 * usual, 10 * above))
    if not sharp.any():
        return None
    found = sharp.argmax()
    return int(first + near[found] + pairs[found].argmax() + 1)
