"""Extended short-time objective intelligibility."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike

from ._common import extra, paired, whole

SEGMENT = 0.384  # seconds


def estoi(estimate: ArrayLike, reference: ArrayLike, sample_rate: int) -> float:
    """Correlation of short-time third-octave envelopes (ESTOI), about 0 to 1; higher is better.

    The mean over 384 ms segments of ⟨X̄, X̄̂⟩, band envelopes normalised over time, then over bands,
    with the reference's silent frames left out; signals are resampled to 10 kHz.
    (Jensen & Taal 2016; computed by pystoi)

    Shape: `[T]`, `[T]` to a float, nan where less than a segment is not silent, and of NaN.

    Raises ValueError for signals that are not 1-D or differ in length and for a rate that is no
    whole number of Hz from 4000 on, ImportError without pystoi.
    """
    (estimate, reference), sample_rate = paired(estimate, reference), whole(sample_rate)
    stoi = extra("pystoi").stoi
    if len(reference) < SEGMENT * sample_rate or not reference.any():
        return np.nan
    with warnings.catch_warnings(), _same_noise():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
        try:
            return float(stoi(reference, estimate, sample_rate, extended=True))
        except RuntimeWarning:  # for which pystoi gives 1e-5
            return np.nan


@contextmanager
def _same_noise() -> Iterator[None]:
    """Lets pystoi add the same faint noise to bands every time, of which silence is nothing but."""
    state = np.random.get_state()  # noqa: NPY002, it draws from these
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
