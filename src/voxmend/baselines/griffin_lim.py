"""Phase from magnitude alone: the fast Griffin–Lim algorithm, for an STFT and for a mel-spectrogram."""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import fold

from ..spectral import mel_basis


def _analyse(wave: Tensor, window: Tensor, hop: int) -> Tensor:
    return torch.fft.rfft(wave.unfold(-1, len(window), hop) * window)


def _synthesise(spectrum: Tensor, window: Tensor, hop: int) -> Tensor:
    """Least-squares inverse of `_analyse`: the wave whose spectrum is nearest."""
    frames, n_fft = len(spectrum), len(window)
    length = n_fft + (frames - 1) * hop

    def overlap_add(x):
        return fold(x.T[None], (1, length), (1, n_fft), stride=(1, hop)).flatten()

    wave = overlap_add(torch.fft.irfft(spectrum, n_fft) * window)
    return wave / overlap_add(window.square().expand(frames, -1)).clamp_min(1e-8)


def griffin_lim(magnitude, hop: int, iterations: int = 100, alpha: float = 0.99) -> np.ndarray:
    """The signal whose STFT has the given magnitude, by the fast Griffin–Lim algorithm.

    tₙ = P₁P₂cₙ₋₁ and cₙ = tₙ + α(tₙ − tₙ₋₁), where P₂ imposes the magnitude, P₁ consistency (an
    inverse and a forward STFT); c₀ has zero phase. Frames are not centred, the window is Hann.
    (Perraudin, Balazs & Søndergaard 2013)

    Args:
        magnitude: |STFT|; `n_fft` is twice its bins less two.
        hop: samples between frames.
        iterations: of the algorithm.
        alpha: momentum; 0 is the original algorithm of Griffin & Lim (1984).

    Shape: `[frames, n_fft // 2 + 1]` to `[n_fft + (frames - 1) * hop]`, float32.

    Raises ValueError for a magnitude that is not 2-D.
    """
    magnitude = torch.as_tensor(magnitude, dtype=torch.float32)
    if magnitude.ndim != 2:
        raise ValueError(f"Griffin–Lim takes [frames, bins], not {list(magnitude.shape)}")
    window = torch.hann_window(2 * magnitude.shape[1] - 2)
    spectrum, previous = magnitude.to(torch.complex64), 0
    for _ in range(iterations):
        imposed = magnitude * torch.sgn(spectrum)
        consistent = _analyse(_synthesise(imposed, window, hop), window, hop)
        spectrum, previous = consistent + alpha * (consistent - previous), consistent
    return _synthesise(magnitude * torch.sgn(spectrum), window, hop).numpy()


def mel_griffin_lim(mel, iterations: int = 100, length: int | None = None) -> np.ndarray:
    """The signal of a linear-magnitude mel-spectrogram at 16 kHz, aligned with the original.

    The mel-spectrogram is M·√(|S|² + 10⁻⁹), 80 mels up to 8 kHz (`mel_basis`), of an STFT 1024/256
    of the signal reflected by 384 samples at either end and not centred. |S| is taken as
    max(M⁺mel, 10⁻⁵) with the pseudo-inverse M⁺, its phase from `griffin_lim`.

    Args:
        mel: the mel-spectrogram, not its logarithm.
        iterations: of Griffin–Lim.
        length: samples to return; frames · 256 when not given.

    Shape: `[80, frames]` to `[length]`, float32.

    Raises ValueError for another number of mels, or a length that the frames do not reach.
    """
    mel = torch.as_tensor(mel, dtype=torch.float32)
    if mel.ndim != 2 or mel.shape[0] != 80:
        raise ValueError(f"a mel-spectrogram here is [80, frames], not {list(mel.shape)}")
    length = 256 * mel.shape[1] if length is None else length
    if length > 256 * mel.shape[1] + 255:
        raise ValueError(f"{mel.shape[1]} frames do not reach {length} samples")
    magnitude = (torch.linalg.pinv(mel_basis()) @ mel).clamp_min(1e-5)
    return griffin_lim(magnitude.T, 256, iterations)[384:384 + length]
