"""Clipping: samples that pile up at a level, exactly or nearly.

A clipper leaves a pile of equal samples, which a codec, a resampler, noise or a soft knee spreads
into a band around the level. Natural speech, limited or not, has round peaks of all heights, so its
amplitudes grow rarer towards the highest, and its highest lobes are no fuller than others.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..damage import Clipping as Stretch
from ..damage import Damage, decibel
from .base import Detector, View, runs
from .lobes import Lobes, top_fullness
from .quantisation import quantisation_step

LOWEST, COLUMNS = -160, 32000  # dB of the first column of a histogram, and how many, 0.01 dB each
BLOCK_SECONDS, AROUND_SECONDS = 0.5, 1.0  # what is judged by itself, and with how much on each side
ALIKE = 1.07  # ratio of levels that count as one
EQUAL, PLATEAU = 5e-4, 0.25  # difference within a plateau, and share of samples in plateaus
HARD = 0.8  # share of equal samples that a hard clipper leaves: 0.95…1, others at most 0.7
TOPS = 50  # columns from the top that are tried
STEPS, FINE = 8, 12  # of quantisation, the least of a level; the same of one by its surroundings
EXACT, KNEE, SPREAD = 0.005, 0.1, 0.2  # tolerances: of equal samples, above a knee, spread ones
SURE, UNSURE = 0.15, 5.0  # log density that many blocks must show, and how much more a single one
CERTAIN = 0.4  # log density of a block that shows clipping by itself
FULL, UNSURE_FULL = 0.032, 0.05  # the same of the fullness of lobes
FAINT, LASTING = 10 ** (-30 / 20), 4  # of the loudest, and blocks that a fainter stretch must last
LOUD = 0.25  # of the highest level: blocks that tell of the clipping of a whole channel


@dataclass(frozen=True)
class Pile:
    """Samples at a level, of one sign or several, and the others that lead up to them.

    Attributes:
        flat, equal: samples within 0.5 % of the level, and those of them within 0.05 % of their
            median.
        near, below: samples in the tenth of the level under the flat ones and in that below it.
    """

    level: float
    flat: int
    equal: int
    near: int
    below: int

    @classmethod
    def of(cls, wave: np.ndarray, level: float, equal: int) -> Self:
        """Of the positive samples, `equal` of which are. Shape: `[n]`."""
        edges = np.array([1 - 2 * KNEE, 1 - KNEE, 1 - EXACT]) * level
        below, near, flat = (int(np.count_nonzero(wave >= edge)) for edge in edges)
        return cls(level, flat, equal, near - flat, below - near)

    def __add__(self, other: Self) -> "Pile":
        """Both, at the lower level."""
        return Pile(min(self.level, other.level), self.flat + other.flat, self.equal + other.equal,
                    self.near + other.near, self.below + other.below)

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
    """What half a second says of clipping.

    Attributes:
        peak: highest magnitude.
        pile: of equal samples in it or, if it has none, in the seconds around.
        level, density: of the peaks of the seconds around, as `peak_level` has them.
        top, fullness: of the lobes of the seconds around, as `top_fullness` has them.
        beyond: how many samples reach the level of the pile, of the peaks, and of the lobes.
    """

    peak: float
    pile: Pile | None
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
        self.samples += int(np.count_nonzero(view.own))
        for first in range(view.inner.start, view.inner.stop, self.size):
            last = min(first + self.size, view.inner.stop)
            own = view.wave[first:last]
            window = view.wave[max(0, first - self.around):last + self.around]
            pile = find_pile(own, self.sample_rate) or find_pile(window, self.sample_rate)
            lobes = Lobes.of(window)
            size, peaks = np.abs(own), peak_level(window, lobes)
            tops = top_fullness(window, lobes, self.sample_rate)
            # A few steps up all lobes end at one of few levels, and are full.
            least = FINE * quantisation_step(window)
            peaks, tops = (found if found[0] >= least else (0.0, -np.inf)
                           for found in (peaks, tops))
            levels = ((pile.level if pile else 0.0, EXACT), (peaks[0], SPREAD), (tops[0], SPREAD))
            block = Block(float(size.max()), pile, *peaks, *tops, tuple(
                int(np.count_nonzero(size >= (1 - tolerance) * level)) if level else 0
                for level, tolerance in levels))
            self.blocks.append(block)
            level = pile.level if pile else block.level if block.density > CERTAIN else np.inf
            view.clipped[first:last] = size >= 0.95 * level

    def find(self, found: Damage) -> Damage:
        kind, parts = next(((kind, parts) for kind, way in enumerate(
            (self._exact, self._spread, self._full)) if (parts := way())), (0, []))
        if not parts:
            return found
        second = self.sample_rate / self.size
        beyond = sum(block.beyond[kind] for part in parts for block in
                     self.blocks[round(part.start * second):round(part.end * second)])
        return replace(found, clipping=tuple(parts), clipped=beyond / max(self.samples, 1))

    def _stretch(self, first: int, last: int, level: float, tolerance: float) -> Stretch:
        second = self.size / self.sample_rate
        return Stretch(level, first * second, last * second, tolerance)

    def _exact(self) -> list[Stretch]:
        """Stretches of one level; softer blocks beside them, which say nothing, count to them.

        A brief one far below the loudest is a pause, where coarse noise may pile up by chance.
        """
        parts: list[tuple[int, int, Pile | None]] = []
        for number, block in enumerate(self.blocks):
            first, _, last = parts[-1] if parts else (number, number, None)
            if last and block.pile and alike(block.pile.level, last.level, 1.02):
                parts[-1] = first, number + 1, last + block.pile
            elif last and not block.pile and block.peak <= last.level:
                parts[-1] = first, number + 1, last
            else:
                parts.append((number, number + 1, block.pile))
        highest = max((block.peak for block in self.blocks), default=0.0)
        return [self._stretch(first, last, pile.level, pile.tolerance)
                for first, last, pile in parts if pile and (
                    pile.level > FAINT * highest or last - first >= LASTING)]

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


def alike(one: float, other: float, ratio: float = ALIKE) -> bool:
    """Whether two levels are nearly the same."""
    return max(one, other) < ratio * min(one, other)


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
    ordered = np.sort(magnitude)

    def density(low: float, high: float) -> float:
        first, last = np.searchsorted(ordered, [low, high])
        return float((last - first) / (high - low) * level)

    at = max(density(0.93 * k * level, 1.04 * k * level) for k in (0.96, 0.98, 1.0, 1.02, 1.04))
    return float(level), float(np.log((at + 1) / (density(0.65 * level, 0.9 * level) + 80)))


def find_pile(wave: np.ndarray, sample_rate: int) -> Pile | None:
    """The equal samples that a clipper left, of both signs where both have some, or None.

    In either sign, the fullest 0.02 dB of the top hold at least 10 samples and 5 times what the
    next 1 dB holds per non-empty 0.01 dB. Of the samples there many have equal neighbours for
    0.2 ms, unlike the round peaks that a limiter let touch its ceiling. Noise of a few quantisation
    steps piles up as well.

    Shape: `[n]`.
    """
    found = None
    for half in (wave, -wave):
        column = clip_column(histogram(half)[0])
        if column is None:
            continue
        level = 10 ** ((column / 100 + LOWEST) / 20)
        if level < STEPS * np.min(np.abs(wave), where=wave != 0, initial=np.inf):
            continue
        flat = half >= (1 - EXACT) * level
        equal = np.abs(half - np.median(half[flat])) <= EQUAL * level
        plateaus = runs(equal, max(3, round(0.0002 * sample_rate)))
        if np.diff(plateaus).sum() > PLATEAU * flat.sum():
            pile = Pile.of(half, level, int(np.count_nonzero(equal & flat)))
            found = found + pile if found else pile
    return found


def clip_column(row: np.ndarray) -> int | None:
    """Column of an amplitude histogram where the signal is cut off sharply. Shape: `[A]`.

    A hundredth of the samples that loud may lie above it: clicks, or a sound after the clipper.
    """
    filled = np.flatnonzero(row)
    for top in filled[filled >= 110][::-1][:TOPS]:
        above = row[top + 1:].sum()
        near, below = row[top - 10:top + 1], row[top - 110:top - 10]
        pairs = near[:-1] + near[1:]
        usual = max(below.sum() / max(np.count_nonzero(below), 1), 1)
        if pairs.max() >= max(10, 5 * usual, 10 * above):
            return int(top - 10 + np.argmax(pairs) + 1)
    return None
