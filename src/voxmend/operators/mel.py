"""Mel-spectrograms."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from ..audio.errors import check_whole
from ..classical.griffin_lim import MEL_HOP, MEL_RATE, MEL_WINDOW, mel_griffin_lim, with_mel
from ..dsp.stft import mel_basis
from .base import Operator, by_channel
from .evidence import Evidence


class Mel(Operator):
    """Linear-magnitude mel-spectrogram as neural vocoders use it.

    A(x) = M √(|S|² + 1e-9), S the STFT of x padded by (n_fft − hop)/2 reflected samples on either
    side and not centred further: 16 kHz, window and n_fft 1024, hop 256, 80 mels, 0–8000 Hz.

    Args:
        length: samples of the signal that a spectrogram stands for; default frames · hop.
        iterations: of fast Griffin–Lim, of one projection.

    Raises ValueError for a length below 1 or iterations below 0.

    Shape: x `[B, C, T]` to y `[B, C, 80, T // hop]`. Source: UnDiff, section 3.2 (vocoding).
    """

    projects = True
    n_fft, hop, mels = MEL_WINDOW, MEL_HOP, 80

    def __init__(self, length: int | None = None, iterations: int = 20):
        check_whole(1, length=length)
        check_whole(0, iterations=iterations)
        self.length, self.iterations = length, iterations
        self._basis = mel_basis(MEL_RATE, self.n_fft, self.mels)
        self._window = torch.hann_window(self.n_fft)

    def _frames(self, x: Tensor) -> Tensor:
        margin = (self.n_fft - self.hop) // 2
        flat = pad(x.reshape(-1, 1, x.shape[-1]), (margin, margin), mode="reflect").squeeze(1)
        spectrum = torch.stft(flat, self.n_fft, self.hop, window=self._window.to(x), center=False,
                              return_complex=True)
        return spectrum.unflatten(0, x.shape[:-1])

    def blank(self, noise: Tensor) -> Tensor:
        return torch.zeros_like(noise)

    def forward(self, x: Tensor) -> Tensor:
        return self._basis.to(x) @ _magnitude(self._frames(x))

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """Fast Griffin–Lim from x0, its phases and its magnitudes within the bands of y.

        Nearly a projection: no signal need have both.
        """
        margin, covered = (self.n_fft - self.hop) // 2, self.hop * y.shape[-1]
        moved = with_mel(self._frames(x0).mT, y.mT, self.iterations)[..., margin:margin + covered]
        return torch.cat([moved, x0[..., covered:]], -1)

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
