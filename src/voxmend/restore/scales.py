"""The scale at which a prior hears a channel: one number, or one for each stretch of its own level.

Speech varies by itself, and a prior has heard that; what it has not heard is a second half recorded
from afar. So the scale changes only where the level does by more than speech itself, and between
such steps it is one number, by which operators are scaled exactly.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

import numpy as np

from ..audio import Recording
from ..audio.levels import events, running_levels
from .analysis import analyse

STEP_DB = 12.0  # stretches whose mean levels differ by less are one,
NOISY_STEP_DB = 6.0  # or by less than this where the noise's level may have changed as well
SHORTEST_SECONDS = 2.0
SHARE, LIMIT = 80, 16.0  # frames count as no more than 16 times the 80th percentile of power
MARGIN_SECONDS, FADE_SECONDS = 0.5, 0.032  # what a stretch sees of its neighbours; cross-fade
AUDIBLE = 2.0  # speech is known where the power is twice the noise's


@dataclass(frozen=True)
class Scale:
    """A stretch of a channel, and the factor that brings its speech to the prior's level.

    Attributes:
        first, last: samples.
        factor: 0 for silence.
        noise: RMS of the white noise in it, in the file's own units.
    """

    first: int
    last: int
    factor: float
    noise: float = 0.0


def scales(powers: np.ndarray, frame_seconds: float, frame: int, noise: float, target: float,
           shortest: float = SHORTEST_SECONDS, step_db: float = STEP_DB) -> tuple[Scale, ...]:
    """The stretches of a channel, in order; the last has no end.

    The level of a stretch is √(p − σ²), p its mean power without bangs and coughs, in which frames
    count as no more than 16 times the 80th percentile, and σ the noise's RMS.

    Args:
        powers: mean squares of frames, as of `audio.levels.Frames`.
        frame_seconds, frame: their length, in seconds and in samples.
        noise: RMS of the noise among the speech.
        target: the prior's level.
        shortest: stretch, in seconds.
        step_db: between the mean levels of stretches, at least.

    Shape: powers `[frames]`.
    """
    calm = ~events(powers, frame_seconds)
    heard = running_levels(powers[None], frame_seconds)[0] ** 2
    audible = heard > AUDIBLE * noise**2
    if not audible.any():
        audible[:] = True
    level = 10 * np.log10(np.maximum(heard - noise**2, 1e-20))
    level = np.interp(np.arange(len(level)), np.flatnonzero(audible), level[audible])
    edges = [0, *_steps(level, int(min(shortest / frame_seconds, len(level))), step_db),
             len(powers)]
    found = []
    for first, last in pairwise(edges):
        part = powers[first:last][calm[first:last]]
        part = part if part.size else powers[first:last]
        power = np.minimum(part, LIMIT * np.percentile(part, SHARE)).mean() or part.mean()
        speech = _speech(power, noise)
        end = last * frame if last < len(powers) else np.iinfo(np.int64).max
        found.append(Scale(first * frame, int(end), target / speech if speech > 1e-7 else 0.0,
                           noise))
    return tuple(found)


def _speech(power: float, noise: float) -> float:
    """RMS of the speech in what has a power and, of it, noise."""
    return float(np.sqrt(max(power - noise**2, 0.01 * power)))


def white_in_each(stretches: Sequence[Scale], recording: Recording, channel: int,
                  target: float) -> tuple[Scale, ...]:
    """The stretches with the noise of each; none if one has no speech, or noise that is not white.

    Args:
        stretches: all of a channel, taken to have no noise.
        target: the prior's level.
    """
    if len(stretches) < 2:
        return ()
    found = []
    for number, parts in groupby(_cut(stretches, recording, channel), itemgetter(0)):
        [damage] = analyse((part for _, part in parts), recording.sample_rate)
        if damage.coloured or not damage.speech:
            return ()
        factor, noise = stretches[number].factor, damage.noise or 0.0
        if factor:
            factor = target / _speech((target / factor) ** 2, noise)
        found.append(replace(stretches[number], factor=factor, noise=noise))
    return tuple(found)


def _cut(stretches: Sequence[Scale], recording: Recording,
         channel: int) -> Iterator[tuple[int, np.ndarray]]:
    """A channel in pieces, in order, with the number of the stretch of each. Shape: `[1, n]`."""
    number = start = 0
    for block in recording.blocks():
        rest = block[channel:channel + 1]
        while rest.size:
            size = stretches[number].last - start
            yield number, rest[:, :size]
            start += rest[:, :size].shape[1]
            rest = rest[:, size:]
            number += start == stretches[number].last


def by_stretch(chunk: np.ndarray, start: int, stretches: Sequence[Scale],
               function: Callable[[np.ndarray, int, Scale], Generator[Any, Any, np.ndarray]],
               sample_rate: int, ratio: Fraction,
               unit: int) -> Generator[Any, Any, np.ndarray]:
    """What a function makes of each stretch in a segment of a channel, cross-faded at the steps.

    Args:
        start: of the segment in the channel, in samples.
        function: `(chunk, start, stretch) -> out`, a generator as this is, which yields what it
            asks for (`audio.batches`).
        ratio: output rate / input rate.
        unit: what every start must be a multiple of, in samples.

    Shape: chunk `[1, n]` and function `[1, m]` to `[..., ⌊m·ratio + ½⌋]`.
    """
    length, fade = chunk.shape[1], FADE_SECONDS * sample_rate
    margin = round(MARGIN_SECONDS * sample_rate)
    out = np.zeros(0, np.float32)
    for stretch in stretches:
        first, last = stretch.first - start, stretch.last - start
        if last <= 0 or first >= length:
            continue
        left, right = max(0, first - margin) // unit * unit, min(length, last + margin)
        piece = yield from function(chunk[:, left:right], start + left, stretch)
        begin = int(left * ratio)
        if not out.size:
            out = np.zeros((*piece.shape[:-1], int(length * ratio + Fraction(1, 2))), np.float32)
        place = out[..., begin:begin + piece.shape[-1]]
        piece = piece[..., :place.shape[-1]]
        passed = (begin + np.arange(place.shape[-1])) / float(ratio) - first
        weight = np.clip(passed / fade + 0.5, 0, 1) if first > 0 else np.ones(1)
        weight = weight.astype(np.float32)
        place[:] = np.where(weight < 1, place + weight * (piece - place), piece)
    return out


def _steps(level: np.ndarray, shortest: int, step_db: float) -> list[int]:
    """Where a level is best cut into two constants, and each of them again, if they differ enough.

    Shape: `[n]`, dB.
    """
    size = len(level)
    if size < 2 * shortest:
        return []
    total = level.cumsum()
    cuts = np.arange(shortest, size - shortest + 1)
    before = total[cuts - 1] / cuts
    after = (total[-1] - total[cuts - 1]) / (size - cuts)
    between = cuts * (size - cuts) * (before - after) ** 2
    best = int(np.argmax(between))
    if abs(before[best] - after[best]) < step_db:
        return []
    cut = int(cuts[best])
    return [*_steps(level[:cut], shortest, step_db), cut,
            *(cut + step for step in _steps(level[cut:], shortest, step_db))]
