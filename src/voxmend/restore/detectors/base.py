"""What detectors have in common: views of one channel, and the interface."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from ..damage import Damage


@dataclass
class View:
    """A piece of one channel, with its surroundings.

    Attributes:
        wave: samples; `wave[0]` is sample `offset` of the channel.
        offset: in samples.
        start, end: the samples of the channel that this view owns. Every sample is owned by one
            view; what lies around is there to be looked at.
        centre: the DC offset of `wave`.
        last: whether the channel ends with this view.
        silent: samples in which nothing was recorded; marked by `Gaps`.
        clipped: samples that are clipped; marked by `Clipping`.
        events: samples of what is briefly far louder than the speech, as a cough; marked by
            `Events`.
        hum: what there is of hum in `own`; told by `Hum`.

    Shape: wave, silent, clipped and events `[n]`, hum that of `own`.
    """

    wave: np.ndarray
    offset: int
    start: int
    end: int
    last: bool = False
    centre: float = 0.0
    silent: np.ndarray = field(init=False)
    clipped: np.ndarray = field(init=False)
    events: np.ndarray = field(init=False)
    hum: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.silent = np.zeros(len(self.wave), bool)
        self.clipped = np.zeros(len(self.wave), bool)
        self.events = np.zeros(len(self.wave), bool)
        self.hum = np.zeros(len(self.own))

    @property
    def inner(self) -> slice:
        """Where in `wave` the samples are that the view owns."""
        return slice(self.start - self.offset, self.end - self.offset)

    @property
    def own(self) -> np.ndarray:
        """The samples that the view owns, less the offset. Shape: `[end − start]`."""
        return self.wave[self.inner] - np.float32(self.centre)


class Detector:
    """Finds one kind of damage in one channel; see the room's text."""

    def update(self, view: View) -> None:
        """Takes in what a view owns. Views come in order and do not depend on a stream's blocks."""

    def find(self, found: Damage) -> Damage:
        """`found`, and what this detector has found."""
        return found


def views(blocks: Iterable[np.ndarray], size: int, before: int,
          after: int) -> Iterator[tuple[np.ndarray, int, int, int, bool]]:
    """Overlapping pieces of a stream that depend only on the stream, not on its blocks.

    Yields (view, offset, start, end, last): `view[:, 0]` is sample `offset` of the stream, and the
    view owns the samples start…end, which it holds with up to `before` and `after` more around
    them. The last view owns all that is left.

    Shape: blocks `[C, n]`, views `[C, at most before + size + after]`.

    Raises: ValueError for blocks of another shape.
    """
    held: list[np.ndarray] = []
    offset = start = total = 0
    for block in blocks:
        if np.ndim(block) != 2 or (held and len(block) != len(held[0])):
            raise ValueError(f"blocks are [channels, samples], all of as many channels; one is of "
                             f"shape {np.shape(block)}")
        held.append(block)
        total += block.shape[-1]
        if total <= start + size + after:
            continue
        joined = np.concatenate(held, -1)
        while total > start + size + after:
            yield joined[:, :start + size + after - offset], offset, start, start + size, False
            start += size
            drop = max(start - before - offset, 0)
            joined, offset = joined[:, drop:], offset + drop
        held = [joined]
    if total > start:
        yield np.concatenate(held, -1), offset, start, total, True
