"""The running level of speech in every channel, so that a network hears all of it equally loud.

One scale for a whole recording erases what is soft in it: a channel beside a louder one, a second
half recorded from afar, speech beside a bang. Here every channel has a level of its own, which
follows it within seconds and takes no notice of what is short.
"""

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import percentile_filter, uniform_filter1d
from scipy.signal import find_peaks

FRAME_SECONDS, SIDE_SECONDS, SMOOTH_SECONDS = 0.032, 4.0, 0.5
SHARE, LIMIT = 80, 4.0  # frames count as no more than 4 times the 80th percentile of power
STEP_DB = 9  # two stretches that differ by more do so for another reason than speech itself
DEPTH_DB = 40  # how far a level may lie under the recording's loudest: below it there is no speech


def frame_powers(blocks: Iterable[np.ndarray], frame: int) -> np.ndarray:
    """Mean squares of frames, less each frame's mean; an incomplete last one counts as it is.

    Shape: blocks `[C, n]` to `[C, frames]`, float64. Memory is that of a block.
    """
    powers, rest = [], None
    for block in blocks:
        rest = block if rest is None else np.concatenate([rest, block], 1)
        whole = rest.shape[1] // frame * frame
        powers.append(rest[:, :whole].reshape(len(rest), -1, frame).var(2, dtype=np.float64))
        rest = rest[:, whole:]
    if rest is not None and rest.shape[1]:
        powers.append(rest.var(1, dtype=np.float64)[:, None])
    return np.concatenate(powers, 1) if powers else np.zeros((1, 0))


def _around(powers: np.ndarray, size: int, place: int = 0) -> np.ndarray:
    """Mean power of the stretch of `size` frames around each, whose loudest are limited, in dB.

    Args:
        place: how far the stretch lies before the frame, −size/2…size/2.

    Shape: `[frames]` to the same.
    """
    limit = LIMIT * percentile_filter(powers, SHARE, size=size, origin=place)
    mean = uniform_filter1d(np.minimum(powers, limit), size, origin=place)
    return 10 * np.log10(np.maximum(mean, 1e-20))


def _steps(powers: np.ndarray, size: int) -> np.ndarray:
    """Frames where the level before and the level after differ most, by more than `STEP_DB`."""
    before, after = _around(powers, size, (size - 1) // 2), _around(powers, size, -(size // 2))
    peaks, _ = find_peaks(np.abs(after - before), height=STEP_DB, distance=max(1, size // 2))
    return peaks


def running_levels(powers: np.ndarray, frame_seconds: float = FRAME_SECONDS) -> np.ndarray:
    """RMS of what is heard in the four seconds around every frame.

    Single loud frames count little. Where the level changes by a step it is taken on either side by
    itself. None is more than 40 dB under the loudest of its channel; all are averaged over half a
    second.

    Shape: `[C, frames]` to the same; 0 for a channel of silence.
    """
    size = max(2, round(SIDE_SECONDS / frame_seconds))
    smooth = max(1, round(SMOOTH_SECONDS / frame_seconds))
    levels = np.zeros_like(powers)
    for level, power in zip(levels, powers, strict=True):
        if power.max(initial=0) > 1e-18:
            parts = [_around(part, size) for part in np.split(power, _steps(power, size))]
            decibels = np.concatenate(parts)
            decibels = np.maximum(decibels, decibels.max() - DEPTH_DB)
            level[:] = 10 ** (uniform_filter1d(decibels, smooth) / 20)
    return levels


class Levels:
    """The level of every sample of a recording, from one pass over it.

    Args:
        blocks: of the recording, `[C, n]`.
        sample_rate: Hz.

    `levels(start, length)` gives those of a segment; `[C, length]`, float32, 1 for silence.
    """

    def __init__(self, blocks: Iterable[np.ndarray], sample_rate: int):
        self.frame = max(1, round(FRAME_SECONDS * sample_rate))
        levels = running_levels(frame_powers(blocks, self.frame), self.frame / sample_rate)
        self.frames = np.where(levels > 0, levels, 1.0)

    def __call__(self, start: int, length: int) -> np.ndarray:
        centres = (np.arange(self.frames.shape[1]) + 0.5) * self.frame
        samples = np.arange(start, start + length)
        return np.stack([np.exp(np.interp(samples, centres, np.log(channel)))
                         for channel in self.frames]).astype(np.float32)
