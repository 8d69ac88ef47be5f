"""Wide-band perceptual evaluation of speech quality."""

import numpy as np
import soxr

from ._common import extra, paired


def pesq_wb(estimate, reference, sample_rate: int) -> float:
    """Predicted mean opinion score (MOS-LQO), 1.04 to 4.64; higher is better.

    ITU-T P.862.2 (2007) at 16 kHz, to which other rates are resampled; computed by pesq.

    Shape: `[T]`, `[T]` to a float, nan where no utterance is found.

    Raises ValueError for signals that are not 1-D or differ in length, ImportError without pesq,
    pesq.BufferTooShortError for less than a quarter of a second.
    """
    estimate, reference = paired(estimate, reference)
    if sample_rate != 16000:
        estimate, reference = (soxr.resample(x, sample_rate, 16000) for x in (estimate, reference))
    pesq = extra("pesq")
    try:
        return float(pesq.pesq(16000, reference, estimate, "wb"))
    except pesq.NoUtterancesError:
        return np.nan
