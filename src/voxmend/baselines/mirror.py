"""Bandwidth extension by spectral folding."""

import numpy as np
import torch

from ..spectral import STFT


def spectral_mirror(wave, cutoff: float, sample_rate: int, octaves: float = 1.0) -> np.ndarray:
    """Mirror the band below the cutoff upward, up to Nyquist, along the spectrum's own decline.

    The bin d above an even (odd) multiple of the cutoff copies the bin d above 0 (below the
    cutoff), as modulation by harmonics of twice the cutoff would. In each frame a straight line is
    fitted to log|X| over the logarithm of frequency and the copies are attenuated along it.
    (Makhoul & Berouti 1979, high-frequency regeneration)

    Args:
        wave: a signal without content above the cutoff.
        cutoff: in Hz, rounded to the transform's bins (31.25 Hz).
        sample_rate: in Hz.

    Shape: `[T]` to `[T]`, float64.

    Raises ValueError for a cutoff outside 0 … sample_rate / 2 or a signal that is not 1-D.
    """
