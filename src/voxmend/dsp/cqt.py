"""Constant-Q transform with an exact inverse: a non-stationary Gabor frame on a whole segment."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


class CQT:
    """Invertible constant-Q transform of real signals, all bands at one common frame count.

    With X the DFT of the segment and w_k a Hann window around the centre b_k of band k,

        c_k[n] = Σ_j w_k[j] X[b_k + j] e^{2πi jn/M},        x̂ = Re IDFT(Σ_k m_k w_k C_k / D),

    C_k being c_k's DFT over its M frames, m_k = 2 for a band that stands for its mirror image at
    negative frequencies too, and D the diagonal of the frame operator. x̂ is the least-squares
    inverse, exact for the coefficients of a signal.

    Centres lie at Nyquist · 2^{k/bins_per_octave − octaves}, k = 0, 1, …, with one more at DC and
    the last at Nyquist. A window is as wide as the distance between its neighbours' centres,
    rounded to an even number of DFT bins, at least 4, and scaled so that white noise of unit
    variance has unit-variance coefficients in every band. In a short segment the lowest bands are
    closer than the DFT's resolution, and alike. The segment is one period: its ends meet.

    Args:
        octaves: octaves below Nyquist that have bands of constant Q.
        bins_per_octave: bands in each.

    Shape:
        - forward: `[..., T]` real to `[..., bands, frames]` complex, `bands` =
          octaves · bins_per_octave + 2, frames = the widest window, for T rounded up to even
        - inverse: back to `[..., length]`

    Sources: Velasco et al. 2011, "Constructing an invertible constant-Q transform with
    non-stationary Gabor frames"; Moliner et al. 2022, "Solving audio inverse problems with a
    diffusion model", of whose release this is the configuration, with evenly spaced centres.

    >>> cqt = CQT()
    >>> x = torch.randn(2, 1, 32768)
    >>> c = cqt.forward(x)
    >>> list(c.shape)
    [2, 1, 450, 352]
    >>> torch.allclose(cqt.inverse(c, 32768), x, atol=1e-5)
    True
    """

    def __init__(self, octaves: int = 7, bins_per_octave: int = 64):
        self.octaves, self.bins_per_octave = octaves, bins_per_octave
        self.bands = octaves * bins_per_octave + 2

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[-1]
        index, window, _ = _frame(self.octaves, self.bins_per_octave, length, x.dtype, x.device)
        spectrum = torch.fft.fft(x, _period(length))
        return torch.fft.ifft(spectrum[..., index] * window, norm="forward")

    def inverse(self, c: Tensor, length: int) -> Tensor:
        index, _, dual = _frame(self.octaves, self.bins_per_octave, length, c.real.dtype, c.device)
        parts = torch.fft.fft(c, norm="forward") * dual
        spectrum = parts.new_zeros(*c.shape[:-2], _period(length))
        spectrum = spectrum.index_add(-1, index.flatten(), parts.flatten(-2))
        return torch.fft.ifft(spectrum).real[..., :length]


def _period(length: int) -> int:
    """The DFT length: even, so that there is a bin at Nyquist, and no shorter than a window."""
    return max(4, length + length % 2)


def _bands(octaves: int, bins_per_octave: int, period: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres and even widths of the bands from DC to Nyquist, in DFT bins."""
    steps = np.arange(octaves * bins_per_octave + 1) / bins_per_octave - octaves
    centres = np.concatenate([[0.0], period / 2 * 2.0**steps])
    mirrored = np.concatenate([[-centres[1]], centres, [period - centres[-2]]])
    half_widths = np.round((mirrored[2:] - mirrored[:-2]) / 2)
    return np.round(centres).astype(int), 2 * np.maximum(half_widths, 2).astype(int)


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # what is cached in inference must serve in training too
def _frame(octaves: int, bins_per_octave: int, length: int, dtype: torch.dtype,
           device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """DFT bins, windows and dual windows at every band's offsets 0, 1, …, −2, −1.

    Shape: `[bands, frames]` each.
    """
    period = _period(length)
    centres, widths = _bands(octaves, bins_per_octave, period)
    offsets = np.fft.fftfreq(widths.max(), 1 / widths.max()).astype(int)
    index = (centres[:, None] + offsets) % period
    window = np.cos(np.pi * offsets / widths[:, None]) ** 2
    window[2 * np.abs(offsets) >= widths[:, None]] = 0
    window /= np.sqrt(period * (window**2).sum(1, keepdims=True))
    weighted = 2 * window
    weighted[[0, -1]] = window[[0, -1]]
    sums = np.bincount(index.ravel(), (weighted * window).ravel(), period)
    diagonal = (sums + np.roll(sums[::-1], 1)) / 2  # at bins b and −b, as Re() averages
    return (torch.from_numpy(index).to(device), torch.from_numpy(window).to(device, dtype),
            torch.from_numpy(weighted / diagonal[index]).to(device, dtype))
