"""Mel-spectrograms."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..classical.griffin_lim import mel_griffin_lim
from ..dsp.stft import mel_basis, overlap_add
from .base import Operator, by_channel
from .evidence import Evidence


class Mel(Operator):
    """Linear-magnitude mel-spectrogram as neural vocoders use it.

    A(x) = M √(|S|² + 1e-9), S the STFT of x padded by (n_fft − hop)/2 reflected samples on either
    side and not centred further: 16 kHz, window and n_fft 1024, hop 256, 80 mels, 0–8000 Hz.

    Args:
        length: samples of the signal that a spectrogram stands for; default frames · hop.
        iterations: Griffin–Lim steps of one projection.

    Shape: x `[B, C, T]` to y `[B, C, 80, T // hop]`. Source: UnDiff, section 3.2 (vocoding).
    """

    projects = True
    n_fft, hop, mels = 1024, 256, 80

    def __init__(self, length: int | None = None, iterations: int = 4):
        self.length, self.iterations = length, iterations
        self._basis = mel_basis(16000, self.n_fft, self.mels)
        self._window = torch.hann_window(self.n_fft)

    def _frames(self, x: Tensor) -> Tensor:
        margin = (self.n_fft - self.hop) // 2
        flat = pad(x.reshape(-1, 1, x.shape[-1]), (margin, margin), mode="reflect").squeeze(1)
        spectrum = torch.stft(flat, self.n_fft, self.hop, window=self._window.to(x), center=False,
                              return_complex=True)
        return spectrum.unflatten(0, x.shape[:-1])

    def _overlap_add(self, spectrum: Tensor, length: int) -> Tensor:
        """Least-squares signal of a spectrum of `_frames` (Griffin & Lim 1984, eq. 6)."""
        window = self._window.to(spectrum.real)
        frames = torch.fft.irfft(spectrum.mT, self.n_fft) * window
        weight = overlap_add(window.square().expand(spectrum.shape[-1], -1), self.hop)
        margin = (self.n_fft - self.hop) // 2
        signal = overlap_add(frames, self.hop) / weight.clamp(min=1e-3)
        signal = signal[..., margin:margin + length]
        return pad(signal, (0, length - signal.shape[-1]))

    def blank(self, noise: Tensor) -> Tensor:
        return torch.zeros_like(noise)

    def forward(self, x: Tensor) -> Tensor:
        return self._basis.to(x) @ _magnitude(self._frames(x))

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """Griffin–Lim steps: x0's phases with magnitudes that have the mel-spectrogram y.

        The magnitudes |S| are multiplied by Mᵀ(y / M|S|) / Mᵀ1, twice a step; nearly a projection,
        since the new spectrum need not be the STFT of a signal.
        """
        for _ in range(self.iterations):
            x0 = self._griffin_lim_step(x0, y)
        return x0

    def _griffin_lim_step(self, x0: Tensor, y: Tensor) -> Tensor:
        basis, spectrum = self._basis.to(x0), self._frames(x0)
        magnitude = before = _magnitude(spectrum)
        weight = basis.sum(0)[:, None].clamp(min=1e-6)
        for _ in range(2):
            ratio = y / (basis @ magnitude).clamp(min=1e-7)
            magnitude = magnitude * (basis.T @ ratio / weight)
        moved = self._overlap_add(spectrum * (magnitude / before), x0.shape[-1])
        covered = self.hop * y.shape[-1]
        return torch.cat([moved[..., :covered], x0[..., covered:]], -1)

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence:
        return Evidence.of(self.start(y) if guess is None else guess, missing=-1.0)

    def start(self, y: Tensor) -> Tensor:
        """Fast Griffin–Lim (`classical.griffin_lim`)."""
        length = self.length or self.hop * y.shape[-1]
        covered = self.hop * y.shape[-1]
        guess = by_channel(lambda mel: mel_griffin_lim(mel, length=min(length, covered)), y)
        return pad(guess, (0, length - guess.shape[-1]))


def _magnitude(spectrum: Tensor) -> Tensor:
    return (spectrum.real.square() + spectrum.imag.square() + 1e-9).sqrt()
