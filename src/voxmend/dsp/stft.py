"""Spectra of batched signals: an STFT pair with an exact inverse, and the mel filter bank."""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor
from torch.nn.functional import pad


class STFT:
    """Short-time Fourier transform with a periodic Hann window and its exact inverse.

    Coefficients are divided by √Σw², so white noise of unit variance has unit-variance bins.
    Frames are centred and the signal is padded with zeros, so a frame depends only on the samples
    under its window; signals of any length survive the round trip.

    Args:
        n_fft: window and transform length, in samples.
        hop: samples between frames; must divide `n_fft` at least four times over.

    Shape:
        - forward: `[..., T]` real to `[..., T // hop + 1, n_fft // 2 + 1]` complex,
          T rounded up to a multiple of `hop`
        - inverse: back to `[..., length]`

    >>> stft = STFT(512, 128)
    >>> x = torch.randn(2, 1, 1000)
    >>> torch.allclose(stft.inverse(stft.forward(x), 1000), x, atol=1e-5)
    True
    """

    def __init__(self, n_fft: int = 512, hop: int = 128):
        self.n_fft, self.hop, self.bins = n_fft, hop, n_fft // 2 + 1
        self._windows: dict = {}

    @torch.inference_mode(False)  # what is cached in inference must serve in training too
    def _window(self, like: Tensor) -> Tensor:
        key = (like.device, like.dtype)
        if key not in self._windows:
            window = torch.hann_window(self.n_fft, device=like.device, dtype=like.dtype)
            self._windows[key] = window / window.square().sum().sqrt()
        return self._windows[key]

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        flat = pad(flat, (0, -x.shape[-1] % self.hop))
        spectrum = torch.stft(flat, self.n_fft, self.hop, window=self._window(x), center=True,
                              pad_mode="constant", return_complex=True)
        return spectrum.transpose(1, 2).reshape(*x.shape[:-1], -1, self.bins)

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        flat = spectrum.reshape(-1, *spectrum.shape[-2:]).transpose(1, 2)
        padded = (spectrum.shape[-2] - 1) * self.hop
        x = torch.istft(flat, self.n_fft, self.hop, window=self._window(spectrum.real),
                        center=True, length=padded)
        return x[:, :length].reshape(*spectrum.shape[:-2], length)


def overlap_add(frames: Tensor, hop: int) -> Tensor:
    """Sum of frames that start every `hop` samples; `hop` divides their length.

    Shape: `[..., n, frame]` to `[..., (n - 1) * hop + frame]`.
    """
    parts = frames.unflatten(-1, (-1, hop))
    n, overlap = parts.shape[-3:-1]
    total = frames.new_zeros(*frames.shape[:-2], n + overlap - 1, hop)
    for i in range(overlap):
        total[..., i:i + n, :] += parts[..., i, :]
    return total.flatten(-2)


def hz_to_mel(hz: ArrayLike) -> np.ndarray:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, dtype=np.float64)
    log_part = 15.0 + 27.0 * np.log(np.maximum(hz, 1000.0) / 1000.0) / np.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, log_part)


def mel_to_hz(mel: ArrayLike) -> np.ndarray:
    """Inverse of `hz_to_mel`."""
    mel = np.asarray(mel, dtype=np.float64)
    log_part = 1000.0 * np.exp((np.maximum(mel, 15.0) - 15.0) * np.log(6.4) / 27.0)
    return np.where(mel < 15.0, mel * 200.0 / 3.0, log_part)


@lru_cache
@torch.inference_mode(False)
def mel_basis(sample_rate: int = 16000, n_fft: int = 1024, mels: int = 80,
              low_hz: float = 0.0, high_hz: float = 8000.0) -> Tensor:
    """Triangular mel filters of unit area (Slaney scale and norm), as librosa's default.

    Shape: `[mels, n_fft // 2 + 1]`, float32.
    """
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)
    edges = mel_to_hz(np.linspace(hz_to_mel(low_hz), hz_to_mel(high_hz), mels + 2))
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    triangles = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    return torch.from_numpy(np.maximum(triangles, 0) * 2 / (upper - lower)).float()


@lru_cache
@torch.inference_mode(False)
def _fbank_basis(mels: int) -> Tensor:
    """Triangles on O'Shaughnessy's mel scale, at 16 kHz. Shape: `[201, mels]`.

    As in SpeechBrain each is as steep above its centre as below, so neighbours overlap unevenly.
    """
    edges = 700 * (10 ** (np.linspace(0, np.log10(1 + 8000 / 700), mels + 2)) - 1)
    slope = (np.linspace(0, 8000, 201)[:, None] - edges[1:-1]) / np.diff(edges)[:-1]
    return torch.from_numpy(np.maximum(1 - np.abs(slope), 0)).float()


@lru_cache
@torch.inference_mode(False)
def _hamming(length: int) -> Tensor:
    """Made once, so that an exported graph holds it."""
    return torch.hamming_window(length)


def fbank(wave: Tensor, mels: int = 80) -> Tensor:
    """Log-mel features of speaker encoders: power in dB, at most 80 dB below an item's maximum.

    10 log10 max(P, 1e-10) of frames of 25 ms every 10 ms (400 and 160 samples at 16 kHz), centred,
    with zeros beyond the ends. Source: SpeechBrain's `Fbank` (Ravanelli et al. 2021).

    Shape: `[B, T]` at 16 kHz to `[B, T // 160 + 1, mels]`.
    """
    spectrum = torch.stft(wave, 400, 160, window=_hamming(400).to(wave), center=True,
                          pad_mode="constant", return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)
    levels = 10 * (power @ _fbank_basis(mels).to(wave)).clamp_min(1e-10).log10()
    return torch.maximum(levels, levels.amax((1, 2), keepdim=True) - 80)
