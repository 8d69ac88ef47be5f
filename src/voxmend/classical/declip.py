"""Declipping by interpolation: clipped samples are missing, known only to exceed the level."""

import numpy as np
from numpy.typing import ArrayLike

from .interpolation import cubic_interpolate, janssen

TOLERANCE = 1e-4
"""A sample counts as clipped within this part of the level (float32 and 16-bit files round it)."""


def _clipped(wave: ArrayLike, level: float) -> tuple[np.ndarray, np.ndarray]:
    wave = np.array(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"declipping takes a mono signal, not {list(wave.shape)}")
    if level <= 0:
        raise ValueError(f"the clip level must be positive, not {level}")
    return wave, np.abs(wave) >= level * (1 - TOLERANCE)


def _consistent(guess: np.ndarray, wave: np.ndarray, clipped: np.ndarray) -> np.ndarray:
    """The nearest signal that could have been clipped to `wave`."""
    above = np.sign(wave) * np.maximum(np.sign(wave) * guess, np.abs(wave))
    return np.where(clipped, above, wave)


def cubic_declip(wave: ArrayLike, level: float) -> np.ndarray:
    """Clipped samples from the cubic spline through the others, kept at or above the clip level.

    Args:
        wave: a signal clipped at ±`level`.
        level: smallest magnitude taken for clipped, in the signal's units.

    Shape: `[T]` to `[T]`, float64.

    Raises ValueError for a level that is not positive, a signal that is not 1-D or one with fewer
    than two unclipped samples.
    """
    wave, clipped = _clipped(wave, level)
    return _consistent(cubic_interpolate(wave, clipped), wave, clipped)


def ar_declip(wave: ArrayLike, level: float, order: int = 128, frame: int = 1024,
              iterations: int = 3) -> np.ndarray:
    """Clipped samples by `janssen` in half-overlapping frames, kept at or above the clip level.

    Frames are cross-faded by a Hann window; the clipped signal is the first guess.
    (Janssen, Veldhuis & Vries 1986)

    Args:
        wave: a signal clipped at ±`level`.
        level: smallest magnitude taken for clipped, in the signal's units.
        order: of the autoregressive process.
        frame: samples per frame, even (1024 are 64 ms at 16 kHz).
        iterations: alternations between filter and samples.

    Shape: `[T]` to `[T]`, float64.

    Raises ValueError for a level that is not positive or a signal that is not 1-D.
    """
    wave, clipped = _clipped(wave, level)
    hop = frame // 2
    padding = (hop, frame - len(wave) % hop)
    padded, missing = np.pad(wave, padding), np.pad(clipped, padding)
    window = np.sin(np.pi * (np.arange(frame) + 0.5) / frame) ** 2
    total = np.zeros(len(padded))
    for start in range(0, len(padded) - frame + 1, hop):
        span = slice(start, start + frame)
        total[span] += window * janssen(padded[span], missing[span], order, iterations)
    return _consistent(total[hop:hop + len(wave)], wave, clipped)
