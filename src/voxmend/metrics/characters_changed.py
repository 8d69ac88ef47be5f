"""How many characters a recogniser hears otherwise than in the original."""

from numpy.typing import ArrayLike

from . import recogniser
from .error_rates import character_error_rate


def characters_changed(estimate: ArrayLike, reference: ArrayLike, sample_rate: int) -> float:
    """Character error rate of what is heard in a clip against what is heard in its original.

    It needs no transcript: 0 says that the recogniser hears the same in both, right or wrong.

    Shape: `[T]`, `[T]` to a float, nan where nothing is heard in the original.

    Raises ValueError for signals that are not finite, not 1-D, differ in length or are shorter than
    0.1 s, ImportError without a recogniser.
    """
    return character_error_rate(*recogniser.hear_both(estimate, reference, sample_rate))
