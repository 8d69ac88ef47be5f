"""What was found of a channel: in words, and where on the axes of time and frequency."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from ..dsp.runs import runs
from ..restore.damage import Damage
from ..restore.detectors.clicks import click_places

CLICK_SECONDS = 0.002  # how long a mark of a click is
LEAD_SECONDS = 1.0  # what is heard before the first damage of a stretch
NEAR_SECONDS = 0.01  # clipped peaks nearer than that have one mark

Span = tuple[str, float, float]  # field of Damage, start and end in seconds


def words(damage: Damage) -> list[tuple[str, str]]:
    """What `Damage.describe` says, a line each, with the field of `Damage` that it is about."""
    if not damage.rms:
        return [("silence", "silence")]
    blank = Damage(rms=damage.rms, clipped=damage.clipped)
    return [(field.name, line) for field in fields(Damage) if field.name != "speech" or not damage
            for line in replace(blank, **{field.name: getattr(damage, field.name)}).describe()]


def spans(damage: Damage, wave: np.ndarray, sample_rate: int, start: float = 0.0) -> list[Span]:
    """Where the damage of a channel is that has a place, in order, in seconds from `wave[0]` on.

    Args:
        wave: the channel, or a piece of it.
        start: seconds in the channel at which the piece begins.

    Shape: `[T]`.
    """
    seconds = len(wave) / sample_rate
    found = [*_clipped(damage, wave, sample_rate, start), *_clicks(damage, wave, sample_rate)]
    found += [(kind, first - start, last - start) for kind in ("gaps", "ends")
              for first, last in getattr(damage, kind)]
    return sorted(((kind, max(first, 0.0), min(last, seconds)) for kind, first, last in found
                   if last > 0 and first < seconds), key=lambda span: span[1])


def _clipped(damage: Damage, wave: np.ndarray, rate: int, start: float) -> Iterator[Span]:
    """Runs of clipped samples, those near each other as one."""
    for part in damage.clipping:
        first, last = (round(min(max(edge - start, 0.0) * rate, len(wave)))
                       for edge in (part.start, part.end))
        flags = part.reach(wave[first:last]) >= part.floor
        for begin, end in _joined(runs(flags), NEAR_SECONDS * rate):
            yield "clipping", (first + begin) / rate, (first + end) / rate


def _joined(pairs: np.ndarray, near: float) -> np.ndarray:
    """Runs `[N, 2]`, in order, of which those less than `near` apart are one."""
    if not len(pairs):
        return pairs
    apart = pairs[1:, 0] - pairs[:-1, 1] >= near
    return np.stack([pairs[np.append(True, apart), 0], pairs[np.append(apart, True), 1]], 1)


def _clicks(damage: Damage, wave: np.ndarray, rate: int) -> Iterator[Span]:
    if damage.clicks:
        for place in click_places(wave, rate, damage.rms) / rate:
            yield "clicks", place, place + CLICK_SECONDS


def worst(damages: Sequence[Damage], total: float, seconds: float) -> float:
    """Where the stretch of so many seconds starts that has most gaps and clipping in it.

    The earliest of several; 0 where nothing has a place.

    Args:
        total: seconds of the recording.
    """
    edges = np.array([(first, min(last, total)) for damage in damages for first, last in
                      (*damage.gaps, *((part.start, part.end) for part in damage.clipping))])
    if not len(edges) or total <= seconds:
        return 0.0
    starts = np.clip(np.append(edges.ravel() - LEAD_SECONDS, 0.0), 0.0, total - seconds)

    order = np.argsort(edges, axis=None)
    knots = edges.ravel()[order]
    deep = np.cumsum(1 - 2 * (order % 2))[:-1]  # how many are open from each edge to the next
    before = np.append(0.0, np.cumsum(deep * np.diff(knots)))  # seconds of damage up to each
    inside = np.round(np.interp(starts + seconds, knots, before)
                      - np.interp(starts, knots, before), 6)
    return float(starts[inside == inside.max()].min())


def lines(damage: Damage, start: float = 0.0) -> dict[str, Any]:
    """What is drawn of a channel's damage as lines.

    Args:
        start: seconds in the channel at which the drawn piece begins.

    Returns: `cutoffs` on the spectrogram, in Hz, and `levels` on the waveform: start and end in
    seconds, and the level in the recording's units.
    """
    return {"cutoffs": [hertz for hertz in (damage.cutoff, damage.low_cutoff, damage.dull)
                        if hertz],
            "levels": [(part.start - start, min(part.end - start, 1e9), level)
                       for part in damage.clipping for level in part.levels]}
