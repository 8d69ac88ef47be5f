"""Signals that come in blocks: from a sample on, and the mean of several."""

from collections.abc import Iterable, Iterator

import numpy as np

from .segments import crossfade


def after(first: int, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks of a signal from sample `first` on. Shape: `[C, n]`."""
    for block in blocks:
        if first < block.shape[1]:
            yield block[:, first:]
        first = max(0, first - block.shape[1])


def mean_of(streams: dict[int, Iterator[np.ndarray]], fade: int) -> Iterator[np.ndarray]:
    """The mean of signals that come in blocks, each from the sample on that is its key.

    The first begins at 0; others are faded in over `fade` samples.

    Shape: blocks `[C, n]`, as is the output.
    """
    (_, main), *others = streams.items()
    ramp, done = crossfade(fade), 0
    held = {first: np.zeros((0, 0), np.float32) for first, _ in others}
    for block in main:
        total, weight, end = block, np.ones(block.shape[1], np.float32), done + block.shape[1]
        for first, stream in others:
            skip = min(max(0, first - done), block.shape[1])
            wanted = block.shape[1] - skip
            while held[first].shape[1] < wanted:
                more = next(stream)
                held[first] = np.concatenate([held[first].reshape(len(more), -1), more], axis=1)
            part, held[first] = np.split(held[first], [wanted], axis=1)
            if wanted:
                gain = np.ones(wanted, np.float32)
                rising = ramp[done + skip - first:end - first]
                gain[:len(rising)] = rising
                total = total + np.pad(gain * part, ((0, 0), (skip, 0)))
                weight[skip:] += gain
        yield total / weight
        done = end
