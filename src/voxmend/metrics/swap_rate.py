"""How often separated voices change places."""

from itertools import permutations

import numpy as np

from ..audio.errors import is_number
from ._common import finite, whole
from .si_snr import si_snr


def best_order(estimates: np.ndarray, references: np.ndarray) -> tuple[int, ...]:
    """The order of the estimates with the highest sum of SI-SNR. Shape: `[K, T]`, `[K, T]`."""
    pairs = np.array([[si_snr(e, r) for e in estimates] for r in references])
    pairs = np.nan_to_num(pairs, nan=-200.0, posinf=200.0, neginf=-200.0)
    voices = range(len(pairs))
    return max(permutations(voices), key=lambda order: pairs[voices, order].sum())


def swap_rate(estimates: np.ndarray, references: np.ndarray, sample_rate: int,
              seconds: float = 0.5) -> float:
    """Share of frames whose best order of the voices differs from the whole clip's; 0 is best.

    An order is the best when its sum of SI-SNR is the highest. Frames where a reference is more
    than 30 dB under its RMS of the clip do not count: silence fits every voice.

    Args:
        seconds: length of a frame; frames do not overlap, and a shorter rest is left out.

    Shape: `[K, T]`, `[K, T]` to a float, nan where no frame counts, a voice has NaN or infinity,
    or the estimates are all the same, as the mixture itself, and so have no order.

    Raises ValueError for arrays of other or different shapes, for frames without a sample, and for
    a rate that is no whole number of Hz from 4000 on.
    """
    estimates, references = np.asarray(estimates, float), np.asarray(references, float)
    if estimates.ndim != 2 or estimates.shape != references.shape:
        raise ValueError("swap_rate compares two sets of voices [K, T], not "
                         f"{list(estimates.shape)} and {list(references.shape)}")
    if not (is_number(seconds) and 1 <= seconds * whole(sample_rate) < np.inf):
        raise ValueError(f"seconds={seconds!r}: give frames of a sample or more")
    if not finite(estimates, references) or np.ptp(estimates, axis=0).max(initial=0) == 0:
        return np.nan
    best, length = best_order(estimates, references), round(seconds * sample_rate)
    floor = 1e-3 * np.mean(references**2, axis=1)
    swaps = []
    for start in range(0, references.shape[1] - length + 1, length):
        frame = np.s_[:, start:start + length]
        if np.all(np.mean(references[frame] ** 2, axis=1) > floor):
            swaps.append(best_order(estimates[frame], references[frame]) != best)
    return float(np.mean(swaps)) if swaps else np.nan
