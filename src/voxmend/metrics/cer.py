"""Character error rate of what a recogniser hears."""

from numpy.typing import ArrayLike

from . import recogniser
from .error_rates import character_error_rate


def cer(estimate: ArrayLike, transcript: str, sample_rate: int) -> float:
    """Characters heard wrongly in a clip, over those of its transcript; lower is better.

    Shape: `[T]` to a float, nan for a transcript without words.

    Raises ValueError for a signal that is not finite, not 1-D or shorter than 0.1 s, ImportError
    without a recogniser.
    """
    heard = recogniser.hear(estimate, sample_rate)
    return character_error_rate(heard, recogniser.words(transcript))
