"""Sparse declipping (SPADE): the consistent signal whose spectrum has the fewest coefficients.

A frame y is the signal under a Hann window, with 75 % overlap. With A the DFT of the frame padded
to twice its length (AᵀA = I) and Γ the frames that could have been clipped to y, it becomes

    x ∈ Γ of min ‖z‖₀, such that ‖Ax − z‖ ≤ ε (analysis) or ‖x − Aᵀz‖ ≤ ε (synthesis),

which ADMM attacks with H_k, the projection onto k coefficients: k starts at 1 and grows by one in
every iteration until the constraint is met. The solutions are overlap-added. All frames of a signal
are solved side by side, in float32, on as many threads as torch has.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, rfft

from .declip import _clipped, _consistent

CHUNK = 64
"""Frames that one thread solves together."""


def _analyse(frames: np.ndarray) -> np.ndarray:
    """Ax; all bins but the first and the last stand for two of the full DFT, hence their √2.

    Shape: `[n, frame]` to `[n, frame + 1]` complex.
    """
    spectrum = rfft(frames, 2 * frames.shape[1], norm="ortho")
    spectrum[:, 1:-1] *= 2**0.5
    return spectrum


def _synthesise(spectrum: np.ndarray) -> np.ndarray:
    """Aᵀz. Shape: `[n, frame + 1]` complex to `[n, frame]`."""
    size = spectrum.shape[1] - 1
    spectrum = spectrum.copy()
    spectrum[:, 1:-1] *= 0.5**0.5
    return irfft(spectrum, 2 * size, norm="ortho")[:, :size]


def _sparsest(spectrum: np.ndarray, k: int) -> np.ndarray:
    """H_k: the k largest coefficients of every row, the others zero."""
    power = spectrum.real**2 + spectrum.imag**2
    smallest = np.partition(power, -k, axis=1)[:, -k, None]
    return np.where(power >= smallest, spectrum, 0)


def _analysis_step(y, clipped, k, spectrum, dual):
    """z = H_k(Ax + u), x = proj_Γ(Aᵀ(z − u)), u ← u + Ax − z."""
    sparse = _sparsest(spectrum + dual, k)
    x = _consistent(_synthesise(sparse - dual), y, clipped)
    spectrum = _analyse(x)
    gap = spectrum - sparse
    return x, gap, (spectrum, dual + gap)


def _synthesis_step(y, clipped, k, x, dual):
    """z = H_k(A(x − u)), x = proj_Γ(Aᵀz + u), u ← u + Aᵀz − x."""
    sparse = _synthesise(_sparsest(_analyse(x - dual), k))
    x = _consistent(sparse + dual, y, clipped)
    gap = sparse - x
    return x, gap, (x, dual + gap)


def _solve(y: np.ndarray, clipped: np.ndarray, step, first, tolerance: float) -> np.ndarray:
    """Iterates on the frames whose gap is still above the tolerance. Shape: `[n, frame]`."""
    solved, where = y.copy(), np.flatnonzero(clipped.any(axis=1))
    y, clipped = y[where], clipped[where]
    state = first(y), np.zeros_like(first(y))
    for k in range(1, y.shape[1] + 1):
        if not len(where):
            break
        solved[where], gap, state = step(y, clipped, k, *state)
        unmet = np.linalg.norm(gap, axis=1) > tolerance
        if not unmet.all():
            where, y, clipped, *state = (a[unmet] for a in (where, y, clipped, *state))
    return solved


def _declip(wave, level: float, sample_rate: int, tolerance: float, step, first) -> np.ndarray:
    wave, clipped = _clipped(wave, level)
    if not clipped.any():
        return wave
    hop = round(0.016 * sample_rate)
    frame = 4 * hop
    padding = (frame - hop, frame)
    window = np.hanning(frame + 1)[:-1].astype(np.float32)
    scaled, mask = (sliding_window_view(np.pad(a, padding), frame)[::hop]
                    for a in (wave.astype(np.float32), clipped))
    chunks = range(0, len(scaled), CHUNK)  # of a fixed size, so that no result depends on threads
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        solved = pool.map(lambda i: _solve(scaled[i:i + CHUNK] * window, mask[i:i + CHUNK], step,
                                           first, tolerance * level), chunks)
        frames = np.concatenate(list(solved)) * window / 1.5
    total = np.zeros(len(wave) + sum(padding))
    for start, solved in zip(range(0, len(total), hop), frames):
        total[start:start + frame] += solved
    return _consistent(total[padding[0]:padding[0] + len(wave)], wave, clipped)


def a_spade(wave, level: float, sample_rate: int = 16000, tolerance: float = 0.1) -> np.ndarray:
    """Clipped samples from the signal with the sparsest analysis, kept at or above the clip level.

    A signal that begins or ends abruptly is not sparse there and is restored less well.
    (Kitić, Bertin & Gribonval 2015, "Sparsity and cosparsity for audio declipping: a flexible
    non-convex approach", with r = s = 1)

    Args:
        wave: a signal clipped at ±`level`.
        level: smallest magnitude taken for clipped, in the signal's units.
        sample_rate: in Hz; frames are 64 ms long.
        tolerance: ε in units of the level.

    Shape: `[T]` to `[T]`, float64.

    Raises ValueError for a level that is not positive or a signal that is not 1-D.
    """
    return _declip(wave, level, sample_rate, tolerance, _analysis_step, _analyse)


def s_spade(wave, level: float, sample_rate: int = 16000, tolerance: float = 0.1) -> np.ndarray:
    """Clipped samples from the signal with the sparsest synthesis, kept at or above the clip level.

    Unlike the S-SPADE of Kitić et al. the iterations run in the signal's domain and solve the
    problem as it is stated. (Záviška, Rajmic, Mokrý & Průša 2019, "A proper version of
    synthesis-based sparse audio declipper")

    Arguments, shape and errors are those of `a_spade`.
    """
    return _declip(wave, level, sample_rate, tolerance, _synthesis_step, lambda y: y)
