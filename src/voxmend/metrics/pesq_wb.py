"""Wide-band perceptual evaluation of speech quality."""

from numpy.typing import ArrayLike

from ._common import pesq


def pesq_wb(estimate: ArrayLike, reference: ArrayLike, sample_rate: int) -> float:
    """Predicted mean opinion score (MOS-LQO), 1.04 to 4.64; higher is better.

    ITU-T P.862.2 (2007) at 16 kHz, to which other rates are resampled; computed by pesq. Of more
    than 30 s, for which it is not made (P.862.3), it is the mean over equal parts of at most as
    many.

    Shape: `[T]`, `[T]` to a float, nan where no utterance is found, of a silent estimate, and of
    NaN or infinity.

    Raises ValueError for signals that are not 1-D or differ in length and for a rate that is no
    whole number of Hz from 4000 on, ImportError without pesq, pesq.BufferTooShortError for less
    than a quarter of a second.
    """
    return pesq(estimate, reference, sample_rate, 16000, "wb")
