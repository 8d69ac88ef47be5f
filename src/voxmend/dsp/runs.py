"""Runs of true flags."""

import numpy as np


def runs(flags: np.ndarray, shortest: int = 1) -> np.ndarray:
    """First flag, and the one after the last, of every run of at least `shortest` true flags.

    Shape: `[T]` bool to `[N, 2]`.

    >>> runs(np.array([True, False, True, True])).tolist()
    [[0, 1], [2, 4]]
    """
    pairs = np.flatnonzero(np.diff(np.pad(flags, 1).astype(np.int8))).reshape(-1, 2)
    return pairs[pairs[:, 1] - pairs[:, 0] >= shortest]
