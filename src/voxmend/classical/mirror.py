"""Bandwidth extension by spectral folding."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from ..dsp.stft import STFT


def _folded(spectrum: np.ndarray, edge: int) -> tuple[np.ndarray, np.ndarray]:
    """The band below bin `edge` mirrored up to Nyquist, and the bin that each bin copies.

    Modulation by harmonics of twice the edge, for frames of four hops.
    """
    bins = np.arange(spectrum.shape[1])
    upward = bins // edge % 2 == 0
    source = np.where(upward, bins % edge, edge - bins % edge)
    shift = bins - np.where(upward, source, -source)  # a multiple of 2 · edge
    sign = 1 - 2 * (np.arange(len(spectrum))[:, None] * (shift // 2) % 2)
    copies = spectrum[:, source]
    return sign * np.where(upward, copies, copies.conj()), source


def _decline(spectrum: np.ndarray, first: int, edge: int) -> np.ndarray:
    """Exponent p ≤ 0 of |X(f)| ∝ fᵖ in each frame, by least squares on bins first … 0.9 · edge."""
    band = np.arange(first, max(first + 2, int(0.9 * edge)))
    log_bin = np.log(band) - np.log(band).mean()
    slope = np.log(np.abs(spectrum[:, band]) + 1e-6) @ log_bin / (log_bin @ log_bin)
    return np.minimum(slope, 0)


def spectral_mirror(wave: ArrayLike, cutoff: float, sample_rate: int) -> np.ndarray:
    """Mirror the band below the cutoff upward, again and again up to Nyquist.

    X̂(f) = X(s) (f/s)ᵖ for f above the cutoff, s the frequency that folds to f, conjugate where
    the copy is reversed; p is the decline of the frame's spectrum, fitted from 100 Hz up.
    Frames are 32 ms long. (Spectral folding: Makhoul & Berouti 1979, "High-frequency regeneration
    in speech coding systems")

    Args:
        wave: a signal without content above the cutoff.
        cutoff: in Hz, rounded to the 31.25 Hz between bins.
        sample_rate: in Hz.

    Shape: `[T]` to `[T]`, float64.

    Raises ValueError for a cutoff outside 200 Hz … sample_rate / 2, or a signal that is not 1-D.
    """
    wave = np.asarray(wave, np.float64)
    if wave.ndim != 1:
        raise ValueError(f"mirroring takes a mono signal, not {list(wave.shape)}")
    if not 200 <= cutoff < sample_rate / 2:
        raise ValueError(f"the cutoff must lie in 200 … {sample_rate / 2:g} Hz, not {cutoff:g}")
    hop = round(0.008 * sample_rate)
    stft = STFT(4 * hop, hop)
    spectrum = stft.forward(torch.from_numpy(wave)[None])[0].numpy()
    edge, first = (round(hz * 4 * hop / sample_rate) for hz in (cutoff, 100))
    copies, source = _folded(spectrum, edge)
    bins = np.arange(stft.bins)
    ratio = np.maximum(bins, 1) / np.maximum(source, 1)
    copies *= ratio ** _decline(spectrum, first, edge)[:, None]
    extended = torch.from_numpy(np.where(bins > edge, copies, spectrum))
    return stft.inverse(extended[None], len(wave))[0].numpy()
