"""A constant that was added to a recording, as by a converter: its DC offset."""

import numpy as np

FRAME_SECONDS = 0.032
QUIET = 20  # percent of the frames, the softest, that tell most
LEAST, CERTAIN = 0.01, 0.25  # of the peak, and of the RMS of quiet frames: an offset is more
ENOUGH = 30  # frames; of fewer a share of the peak is more in proportion


def offset_of(wave: np.ndarray, sample_rate: int) -> float:
    """The DC offset of a recording, 0 if that is little. Shape: `[n]`.

    The median of the means of frames, weighted by 1/σ², σ² their variance: in pauses the mean is
    the offset, however the peaks of speech were cut off. Of frames that hold a constant, as gaps
    do, none counts. Of speech/val, clipped to 3 dB, the mean of 12 s is up to 0.07 of the peak off,
    the median 0.03, this 0.007; of 1.5 s without a pause it may be 0.08, but less than a quarter of
    what the quiet frames have.
    """
    size = max(1, min(round(FRAME_SECONDS * sample_rate), len(wave)))
    frames = wave[:len(wave) // size * size].reshape(-1, size)
    power = frames.var(1, dtype=np.float64)
    heard = power > 1e-14
    if not heard.any():
        return 0.0
    means, power = frames.mean(1, dtype=np.float64)[heard], power[heard]
    quiet = np.percentile(power, QUIET)
    order = np.argsort(means)
    weight = (1 / np.maximum(power, quiet))[order].cumsum()
    offset = float(means[order][np.searchsorted(weight, weight[-1] / 2)])
    share = LEAST * max(1, ENOUGH / len(power))
    least = max(share * np.abs(wave - offset).max(), CERTAIN * quiet**0.5)
    return offset if abs(offset) > least else 0.0
