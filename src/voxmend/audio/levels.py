"""The level of speech in every channel, so that a network hears all of it equally loud.

One scale for a whole recording erases what is soft in it: a channel beside a louder one, a second
half recorded from afar, speech beside a bang. Here every channel has a level of its own, which
takes no notice of what is short. A running one follows the speech within seconds; a steady one
stays until the recording is suddenly louder or softer, which keeps voices as loud to one another as
they are.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

import numpy as np
import scipy  # whose signal is loaded where it is used
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import (
    binary_dilation,
    binary_opening,
    binary_propagation,
    percentile_filter,
    uniform_filter1d,
)

FRAME_SECONDS, SIDE_SECONDS, SMOOTH_SECONDS = 0.032, 4.0, 0.5
SHARE, LIMIT = 80, 4.0  # frames count as no more than 4 times the 80th percentile of power,
VARIED_SHARE, VARIED_LIMIT = 70, 7.0  # or 7 times the 70th, where that is speech for certain:
VARIED = 30  # so many times the 20th percentile
STEP_DB = 9  # two stretches that differ by more do so for another reason than speech itself
DEPTH_DB = 40  # how far a level may lie under the recording's loudest: below it there is no speech
VARIES = 3  # from the 20th to the 80th percentile the power of speech rises by more
PEAK_DB = 12  # how far a frame of speech lies above its level at most: bangs and coughs do more
CHUNK = 1 << 12  # frames
EVENT_DB, RIM_DB = 16, 6  # over the louder frames on either side: what no word is; where it ends
EVENT_SECONDS, BESIDE_SECONDS = 0.7, 2.0  # the longest of those, and how much beside it is heard
LEAST_SECONDS = 1.0  # of that, where the recording has no more
TOP_SHARE, TOP_DB = 95, 4  # of what is heard: in speech without a long pause `SHARE` is higher
SYLLABLE = 3  # frames over which noise evens out, and syllables do not
LEAST = 1e-10  # RMS, −200 dBFS: no level is less, and a step of 32 bits is more


class Frames(NamedTuple):
    """What there is in frames of a recording.

    Attributes:
        powers, means: mean squares of frames, less each frame's mean, and those means.
        sizes: samples; an incomplete last one counts as it is.

    Shape: `[C, frames]`, sizes `[frames]`, float64.
    """

    powers: np.ndarray
    means: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray], frame: int) -> "Frames":
        """Frames of a length in samples; memory is that of a block. Shape: blocks `[C, n]`."""
        found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        rest = None

        def add(frames: np.ndarray) -> None:
            found.append((frames.var(2, dtype=np.float64), frames.mean(2, dtype=np.float64),
                          np.full(frames.shape[1], float(frames.shape[2]))))

        for block in blocks:
            rest = block if rest is None else np.concatenate([rest, block], 1)
            whole = rest.shape[1] // frame * frame
            add(rest[:, :whole].reshape(len(rest), -1, frame))
            rest = rest[:, whole:]
        if rest is not None and rest.shape[1]:
            add(rest[:, None])
        if not found:
            return cls(np.zeros((1, 0)), np.zeros((1, 0)), np.zeros(0))
        return cls(*(np.concatenate(parts, -1) for parts in zip(*found, strict=True)))

    @property
    def offsets(self) -> np.ndarray:
        """The mean of every channel without its `events`. Shape: `[C, 1]`."""
        if not self.sizes.size:
            return np.zeros((len(self.means), 1))
        powers = self.powers + (self.means - np.median(self.means, 1, keepdims=True)) ** 2
        weights = np.stack([self.sizes * ~events(power) for power in powers])
        total = weights.sum(1, keepdims=True)
        return (self.means * weights).sum(1, keepdims=True) / np.maximum(total, 1)


def _shares(powers: np.ndarray, first: int, size: int,
            shares: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Percentiles of `size` frames from the `first` on before each, and how many there are.

    Shape: `[frames]` to `[shares, frames]` and `[frames]`.
    """
    padded = np.concatenate([np.full(first + size, -1.0), powers])
    found, windows = np.zeros((len(shares), len(powers))), sliding_window_view(padded, size)
    there = np.clip(np.arange(len(powers)) - first, 0, size)
    for begin in range(0, len(powers), CHUNK):
        part = np.sort(windows[begin:begin + CHUNK][:len(powers) - begin], axis=1)
        count = there[begin:begin + CHUNK]
        for out, share in zip(found, shares, strict=True):
            place = np.minimum(size - count + count * share // 100, size - 1)
            out[begin:begin + CHUNK] = np.take_along_axis(part, place[:, None], 1)[:, 0]
    return found, there


def _beside(powers: np.ndarray, first: int, size: int, least: int) -> np.ndarray:
    """The level of the speech in `size` frames from the `first` on before each, or 0.

    It is the 80th percentile of those that there are or, where a pause fills most of them, 4 dB
    under the 95th. At least `least` must be there, they must vary as speech does, not as the frames
    of a steady murmur, and nothing is speech 40 dB under the loudest frame.

    Shape: `[frames]` to the same.
    """
    (high, top), there = _shares(powers, first, size, (SHARE, TOP_SHARE))
    level = np.maximum(high, 10 ** (-TOP_DB / 10) * top)
    smooth = uniform_filter1d(powers, max(1, min(SYLLABLE, len(powers))))
    (low, high), _ = _shares(smooth, first, size, (20, SHARE))
    faintest = powers.max(initial=0) * 10 ** (-DEPTH_DB / 10)
    return np.where((there >= least) & (high > VARIES * low) & (level > faintest), level, 0)


def events(powers: np.ndarray, frame_seconds: float = FRAME_SECONDS) -> np.ndarray:
    """Frames of what is briefly far louder than the speech around it: a bang, a cough.

    They lie 16 dB over the 80th percentile of the two seconds on either side, 0.7 s away, or beside
    such frames and 6 dB over it, for no longer than 0.7 s. A second of speech must be heard beside
    them: an utterance between silences is none.

    Shape: `[frames]` to the same, bool.
    """
    away, size, least = (max(1, round(seconds / frame_seconds))
                         for seconds in (EVENT_SECONDS, BESIDE_SECONDS, LEAST_SECONDS))
    level = np.maximum(_beside(powers, away, size, least),
                       _beside(powers[::-1], away, size, least)[::-1])
    loud, rim = ((level > 0) & (powers > 10 ** (db / 10) * level) for db in (EVENT_DB, RIM_DB))
    found = binary_propagation(loud, mask=rim)
    return binary_dilation(found & ~binary_opening(found, np.ones(away + 1)))


def _around(powers: np.ndarray, size: int, place: int = 0) -> np.ndarray:
    """Mean power of the stretch of `size` frames around each, whose loudest are limited, in dB.

    Args:
        place: how far the stretch lies before the frame, −size/2…size/2.

    Shape: `[frames]` to the same.
    """
    low, usual, high = (percentile_filter(powers, share, size=size, origin=place)
                        for share in (20, VARIED_SHARE, SHARE))
    limit = np.where(usual > VARIED * low, VARIED_LIMIT * usual, LIMIT * high)
    mean = uniform_filter1d(np.minimum(powers, limit), size, origin=place)
    return 10 * np.log10(np.maximum(mean, LEAST**2))


def _edge(power: np.ndarray, near: int, size: int) -> int:
    """The frame that best parts loud from soft, at most `size` from another.

    It has the most variance of decibels between both sides, n m (ā − b̄)²/(n + m).
    """
    first = max(0, near - size)
    part = power[first:near + size]
    decibels = 10 * np.log10(np.maximum(part, part.max() * 10 ** (-DEPTH_DB / 10)))
    before, total = np.cumsum(decibels)[:-1], decibels.sum()
    n = np.arange(1, len(decibels))
    m = len(decibels) - n
    return first + 1 + int(np.argmax(n * m * (before / n - (total - before) / m) ** 2))


def _stretches(power: np.ndarray, size: int) -> list[np.ndarray]:
    """The power in parts, cut where the level of `size` frames before and after differs most."""
    size = min(size, len(power))  # beyond it SciPy's filters read what is not theirs
    before, after = _around(power, size, (size - 1) // 2), _around(power, size, -(size // 2))
    steps, _ = scipy.signal.find_peaks(np.abs(after - before), height=STEP_DB, distance=size)
    return np.split(power, sorted({_edge(power, step, size) for step in steps}))


def _elsewhere(power: np.ndarray, frame_seconds: float,
               measure: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """What is measured of a channel without its `events`; those have what is next to them.

    Shape: `[frames]` to the same.
    """
    kept = ~events(power, frame_seconds)
    places = np.flatnonzero(kept)
    return np.interp(np.arange(len(power)), places, measure(power[kept]))


def running_levels(powers: np.ndarray, frame_seconds: float = FRAME_SECONDS) -> np.ndarray:
    """RMS of the four seconds around every frame, in which single loud frames count little.

    All are averaged over half a second. Where the level changes by a step it is taken on either
    side by itself. None is more than 40 dB under the loudest of its channel.

    Shape: `[C, frames]` to the same; 0 for a channel of silence.
    """
    size = max(2, round(SIDE_SECONDS / frame_seconds))
    smooth = max(1, round(SMOOTH_SECONDS / frame_seconds))
    levels = np.zeros_like(powers)
    for level, power in zip(levels, powers, strict=True):
        if power.any():
            decibels = _elsewhere(power, frame_seconds, lambda heard: np.concatenate(
                [uniform_filter1d(_around(part, size), smooth)
                 for part in _stretches(heard, size)]))
            level[:] = 10 ** (np.maximum(decibels, decibels.max() - DEPTH_DB) / 20)
    return levels


def _heard(power: np.ndarray) -> float:
    """Median of running powers, each weighted by itself: of what is heard, not of pauses."""
    ordered = np.sort(power)
    sums = np.cumsum(ordered)
    # interpolated, so that rounding never moves it from one frame to another
    return float(np.interp(sums[-1] / 2, sums - ordered / 2, ordered))


def _groups(stretches: list[np.ndarray], size: int) -> list[np.ndarray]:
    """Running powers of stretches, joined while the level of what is said stays the same.

    Where the power hardly varies nobody speaks, and that goes to what is before it.
    """
    running = [10 ** (_around(part, size) / 10) for part in stretches]
    loudest = max(map(_heard, running))
    groups: list[np.ndarray] = []
    blank = True  # the last group so far
    for part, power in zip(stretches, running, strict=True):
        low, high = np.percentile(part, (20, 80))
        pause = high < VARIES * low + LEAST**2 and _heard(power) < loudest
        step = not (pause or blank) and abs(
            10 * math.log10(_heard(power) / _heard(groups[-1]))) > STEP_DB
        if groups and not step:
            groups[-1] = np.concatenate([groups[-1], power])
        else:
            groups.append(power)
        blank = blank and pause
    return groups


def _steady(power: np.ndarray, size: int) -> np.ndarray:
    """The mean power of the stretch of its own level in which each frame lies."""
    groups = _groups(_stretches(power, size), size)
    means = np.array([*map(_heard, groups)])
    means = np.maximum(means, means.max() * 10 ** (-DEPTH_DB / 10))
    return np.repeat(means, [*map(len, groups)])


def steady_levels(powers: np.ndarray, frame_seconds: float = FRAME_SECONDS) -> np.ndarray:
    """One RMS for each stretch of a channel, from one step of the level to the next.

    It is the median of the running ones, weighted by their power: pauses hardly count, and they
    belong to the stretch before. None is more than 40 dB under the loudest of its channel. A frame
    that is more than 12 dB above its stretch has a level of its own, so that it is no louder to a
    network than that.

    Shape: `[C, frames]` to the same; 0 for a channel of silence.
    """
    size = max(2, round(SIDE_SECONDS / frame_seconds))
    levels = np.zeros_like(powers)
    for level, power in zip(levels, powers, strict=True):
        if power.any():
            steady = _elsewhere(power, frame_seconds, partial(_steady, size=size))
            level[:] = np.sqrt(np.maximum(steady, power * 10 ** (-PEAK_DB / 10)))
    return levels


class Levels:
    """The level of every sample of a recording: `levels(start, length)`, `[C, length]`, float32.

    Args:
        frames: levels, `[C, n]`, of frames of equal length; between their centres they are
            interpolated on a logarithmic scale. None counts as less than `LEAST`, that of silence.
        frame: samples of a frame.
        offsets: what is constant in every channel, `[C, 1]`; by default nothing.
    """

    def __init__(self, frames: np.ndarray, frame: int = 1, offsets: np.ndarray | None = None):
        self.frames, self.frame = np.maximum(frames, LEAST), frame
        self.offsets = np.zeros((len(frames), 1)) if offsets is None else offsets

    @classmethod
    def _measured(cls, function: Callable[[np.ndarray, float], np.ndarray],
                  blocks: Iterable[np.ndarray], sample_rate: int) -> "Levels":
        frame = max(1, round(FRAME_SECONDS * sample_rate))
        found = Frames.of(blocks, frame)
        return cls(function(found.powers, frame / sample_rate), frame, found.offsets)

    @classmethod
    def running(cls, blocks: Iterable[np.ndarray], sample_rate: int) -> "Levels":
        """Those of `running_levels`, from one pass over a recording's blocks `[C, n]`."""
        return cls._measured(running_levels, blocks, sample_rate)

    @classmethod
    def steady(cls, blocks: Iterable[np.ndarray], sample_rate: int) -> "Levels":
        """Those of `steady_levels`, as `running`."""
        return cls._measured(steady_levels, blocks, sample_rate)

    def __call__(self, start: int, length: int) -> np.ndarray:
        near = slice(max(0, start // self.frame - 1), (start + length) // self.frame + 2)
        centres = (np.arange(self.frames.shape[1])[near] + 0.5) * self.frame
        samples = np.arange(start, start + length)
        return np.stack([np.exp(np.interp(samples, centres, np.log(channel[near])))
                         for channel in self.frames]).astype(np.float32)
