"""Phase from magnitude: the fast Griffin–Lim algorithm, for an STFT and for a mel-spectrogram."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..dsp.stft import mel_basis, overlap_add

MEL_RATE = 16000  # Hz, of what mel-spectrograms are of
MEL_WINDOW, MEL_HOP = 1024, 256  # samples, of a mel-spectrogram's STFT


def _analyse(wave: Tensor, window: Tensor, hop: int) -> Tensor:
    return torch.fft.rfft(wave.unfold(-1, len(window), hop) * window)


def _search(impose: Callable[[Tensor, int], Tensor], spectrum: Tensor, hop: int, iterations: int,
            alpha: float) -> Tensor:
    """Fast Griffin–Lim from a spectrum; `impose(spectrum, i)` meets the observation at step i.

    Shape: `[..., frames, bins]` to `[..., T]`, frames not centred.
    """
    window = torch.hann_window(2 * spectrum.shape[-1] - 2, device=spectrum.device)
    squares = window.square().expand(spectrum.shape[-2], -1)
    weight = overlap_add(squares, hop).clamp_min(1e-8)

    def synthesise(spectrum: Tensor) -> Tensor:  # the signal whose spectrum is nearest
        return overlap_add(torch.fft.irfft(spectrum, len(window)) * window, hop) / weight

    previous: Tensor | None = None
    for i in range(iterations):
        consistent = torch.view_as_real(_analyse(synthesise(impose(spectrum, i)), window, hop))
        if previous is None:
            previous = torch.zeros_like(consistent)
        spectrum = torch.view_as_complex(previous.lerp(consistent, 1 + alpha))
        previous = consistent
    return synthesise(impose(spectrum, iterations))


def griffin_lim(magnitude: ArrayLike, hop: int, iterations: int = 100,
                alpha: float = 0.99) -> np.ndarray:
    """The signal whose STFT has the given magnitude, by the fast Griffin–Lim algorithm.

    tₙ = P₁P₂cₙ₋₁ and cₙ = tₙ + α(tₙ − tₙ₋₁), where P₂ imposes the magnitude, P₁ consistency (an
    inverse and a forward STFT); c₀ has zero phase. Frames are not centred, the window is Hann.
    (Perraudin, Balazs & Søndergaard 2013, "A fast Griffin–Lim algorithm")

    Args:
        magnitude: |STFT|; `n_fft` is twice its bins less two.
        hop: samples between frames; must divide `n_fft`.
        iterations: of the algorithm.
        alpha: momentum; 0 is the original algorithm (Griffin & Lim 1984).

    Shape: `[frames, n_fft // 2 + 1]` to `[n_fft + (frames - 1) * hop]`, float32.

    Raises ValueError for a magnitude that is not 2-D or a hop that does not divide `n_fft`.
    """
    magnitude = torch.as_tensor(magnitude, dtype=torch.float32)
    if magnitude.ndim != 2:
        raise ValueError(f"Griffin–Lim takes [frames, bins], not {list(magnitude.shape)}")
    if (2 * magnitude.shape[1] - 2) % hop:
        raise ValueError(f"a hop of {hop} does not divide {2 * magnitude.shape[1] - 2} samples")

    def impose(spectrum: Tensor, _: int) -> Tensor:
        return magnitude * torch.sgn(spectrum)

    return _search(impose, magnitude.to(torch.complex64), hop, iterations, alpha).numpy()


def mel_griffin_lim(mel: ArrayLike, iterations: int = 200, length: int | None = None,
                    fixed: int = 20) -> np.ndarray:
    """The signal of a linear-magnitude mel-spectrogram at 16 kHz, aligned with the original.

    The mel-spectrogram is m = M√(|S|² + 10⁻⁹), 80 bands up to 8 kHz (`mel_basis`), of an STFT
    1024/256 of the signal reflected by 384 samples at either end and not centred. The first
    iterations impose |S| = max(M⁺m, 10⁻⁵), M⁺ the pseudo-inverse; from then on the magnitude is
    free and only its bands are imposed, as by `with_mel`.

    Args:
        mel: the mel-spectrogram, not its logarithm.
        iterations: of fast Griffin–Lim, α = 0.99.
        length: samples to return; 256 · frames when not given.
        fixed: iterations with a fixed magnitude; from `iterations + 1` on, plain Griffin–Lim.

    Shape: `[80, frames]` to `[length]`, float32.

    Raises ValueError for another number of bands, or a length that the frames do not reach.
    """
    mel = torch.as_tensor(mel, dtype=torch.float32)
    if mel.ndim != 2 or mel.shape[0] != 80:
        raise ValueError(f"a mel-spectrogram is [80, frames] here, not {list(mel.shape)}")
    length = MEL_HOP * mel.shape[1] if length is None else length
    if length > MEL_HOP * mel.shape[1] + MEL_HOP - 1:
        raise ValueError(f"{mel.shape[1]} frames do not reach {length} samples")
    magnitude = (mel.T @ torch.linalg.pinv(mel_basis()).T).clamp_min(1e-5)
    impose_bands = _bands_of(mel.T)

    def impose(spectrum: Tensor, i: int) -> Tensor:
        return magnitude * torch.sgn(spectrum) if i < fixed else impose_bands(spectrum, i)

    wave = _search(impose, magnitude.to(torch.complex64), MEL_HOP, iterations, 0.99)
    margin = (MEL_WINDOW - MEL_HOP) // 2
    return wave[margin:margin + length].numpy()


def with_mel(spectrum: Tensor, mel: Tensor, iterations: int) -> Tensor:
    """The signal near to one of the given STFT that has the given mel-spectrogram.

    S ← S · Mᵀ(m/M|S|)/Mᵀ1, and fast Griffin–Lim, α = 0.99.
    (Perraudin et al. 2013; the update of the magnitude is that of Lee & Seung 2001 for the
    divergence, inside the loop as in Masuyama, Ueno & Ono 2023, "Signal reconstruction from
    mel-spectrogram based on bi-level consistency of full-band magnitude and phase")

    Shape: `[..., frames, 513]` and `[..., frames, 80]` to `[..., (frames − 1) · 256 + 1024]`.
    """
    return _search(_bands_of(mel), spectrum, MEL_HOP, iterations, 0.99)


def _bands_of(mel: Tensor) -> Callable[[Tensor, int], Tensor]:
    """Multiplies a spectrum so that its bands become those of a mel-spectrogram."""
    basis = mel_basis().to(mel)
    weight = basis.sum(0).clamp_min(1e-9)

    def impose(spectrum: Tensor, _: int) -> Tensor:
        power = spectrum.real.square() + spectrum.imag.square()
        magnitude = power.clamp_min_(1e-30).sqrt()  # abs takes longer; √ has no slope at 0
        bands = (magnitude @ basis.T).clamp_min(1e-6)
        return spectrum * ((mel / bands) @ basis / weight)

    return impose
