"""The band above what a network hears, parted as the network has parted the band below.

    sources below ─ powers in three bands, over time ─┐
    recording above ─ spectrogram ────────────────────┴─ what each source has there ─ Wiener gains
"""

from itertools import pairwise

import numpy as np
import torch
from scipy.ndimage import uniform_filter

from ..dsp.stft import STFT

HOP = 0.008  # s
EDGES = 0.125, 0.3125, 0.5625, 0.925  # of bands below, of the network's highest frequency
LOWEST = 0.875  # of it; below, the recording holds next to nothing that the network does not hear
ROUNDS = 8
MODEL = 0.3  # share of the model in the logarithm of a source's power


def part_upper_band(upper: np.ndarray, below: np.ndarray, sample_rate: int,
                    edge: float) -> np.ndarray:
    """What sources have above a network's band, where they are known below it.

    A bin's power is taken for Σ_k Σ_b a_kb(f) P_kb(t) + c(f): P_kb is that of source k in band b
    below, c steady noise of the last source. The a and c of every bin are those of the least
    Itakura–Saito divergence, by multiplicative updates (Févotte et al. 2009, "Nonnegative matrix
    factorization with the Itakura-Saito divergence", with known activations). Of the recording X
    source k gets S_k/Σ_j S_j, where S_k is the geometric mean of what the model says, and of what
    |X|² leaves beside the other sources, which knows what the model cannot foresee; the last's is
    what the model says.

    Args:
        upper: the recording without the band that the network hears.
        below: the sources in that band; the last is noise, or whatever the others are not.
        edge: the network's highest frequency, Hz.

    Shape: upper `[T]`, below `[K, T]`, to `[K, T]`, float32; they add up to upper.
    """
    if not upper.any():
        return np.zeros_like(below, dtype=np.float32)
    hop = round(HOP * sample_rate)
    stft = STFT(4 * hop, hop)
    hertz = np.arange(stft.bins) * sample_rate / (4 * hop)
    spectrum = stft.forward(torch.from_numpy(np.ascontiguousarray(upper, np.float32)))
    heard = stft.forward(torch.from_numpy(np.ascontiguousarray(below, np.float32))).abs().square()
    bands = [heard[..., (hertz >= low * edge) & (hertz < high * edge)].mean(-1)
             for low, high in pairwise(EDGES)]
    courses = np.stack([band.numpy() for band in bands], 1)  # K, bands, frames
    used = hertz >= LOWEST * edge
    power = spectrum[:, used].abs().square().numpy()
    gains = torch.zeros(len(below), *spectrum.shape)
    gains[..., used] = torch.from_numpy(_gains(power, courses))
    parts = stft.inverse(gains * spectrum, len(upper)).numpy()
    parts[-1] = upper - parts[:-1].sum(0)
    return parts


def _gains(power: np.ndarray, courses: np.ndarray) -> np.ndarray:
    """Wiener gains of the sources.

    Shape: `[frames, F]` and `[K, bands, frames]` to `[K, frames, F]`.
    """
    sources, bands, frames = courses.shape
    known = courses.reshape(-1, frames) / (courses.mean() + 1e-30)
    known = np.concatenate([known, np.ones((1, frames))])  # steady noise
    power = power + (1e-6 * float(power.mean()) + 1e-30)
    found = np.ones((len(known), 1)) * power.mean(0)
    for _ in range(ROUNDS):
        model = known.T @ found
        found *= np.sqrt((known @ (power / model**2)) / (known @ (1 / model) + 1e-30))
    owner = np.append(np.repeat(np.arange(sources), bands), sources - 1)
    model = np.stack([known[owner == k].T @ found[owner == k] for k in range(sources)])
    near = uniform_filter(power, 3, mode="nearest")
    left = np.maximum(near - (model.sum(0) - model), 1e-6 * model)
    spoken = model**MODEL * left ** (1 - MODEL)
    spoken[-1] = model[-1]
    return (spoken / spoken.sum(0)).astype(np.float32)
