"""Sparse declipping (SPADE): the consistent signal whose spectrum has the fewest coefficients.

A frame y is the signal under a Hann window, with 75 % overlap. With A the DFT of the frame padded
to twice its length (AᵀA = I) and Γ the frames that could have been clipped to y, it becomes

    x ∈ Γ of min ‖z‖₀, such that ‖Ax − z‖ ≤ ε (analysis) or ‖x − Aᵀz‖ ≤ ε (synthesis),

which ADMM attacks with H_k, the projection onto k pairs of conjugate coefficients: k starts at 1
and grows in every iteration until the constraint is met. The solutions are overlap-added.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from ..dsp.stft import overlap_add
from .declip import _clipped, _consistent

CHUNK = 128
"""Frames that one thread solves side by side."""

State = tuple[Tensor, Tensor]  # of ADMM: its iterate and its dual variable
Stepped = tuple[Tensor, Tensor, State]  # x, the gap that is left, and the state
Step = Callable[[Tensor, Tensor, int, Tensor, Tensor], Stepped]
First = Callable[[Tensor], Tensor]


def _analyse(frames: Tensor) -> Tensor:
    """Ax, one coefficient of every pair. Shape: `[n, frame]` to `[n, frame + 1]` complex."""
    return torch.fft.rfft(frames, 2 * frames.shape[1], norm="ortho")


def _synthesise(spectrum: Tensor) -> Tensor:
    """Aᵀz. Shape: `[n, frame + 1]` complex to `[n, frame]`."""
    size = spectrum.shape[1] - 1
    return torch.fft.irfft(spectrum, 2 * size, norm="ortho")[:, :size]


def _power(spectrum: np.ndarray) -> np.ndarray:
    """|z|² of every pair; the first and the last coefficient have no conjugate."""
    power = 2 * (spectrum.real**2 + spectrum.imag**2)
    power[:, [0, -1]] /= 2
    return power


def _sparsest(spectrum: Tensor, k: int) -> Tensor:
    """H_k: the k largest coefficients of every row, the others zero."""
    z = spectrum.numpy()  # torch has no partition, and its other ways to the k-th are slow
    power = _power(z)
    smallest = np.partition(power, -k, axis=1)[:, -k, None]
    return torch.from_numpy(z * (power >= smallest))


def _analysis_step(low: Tensor, high: Tensor, k: int, spectrum: Tensor, dual: Tensor) -> Stepped:
    """z = H_k(Ax + u), x = proj_Γ(Aᵀ(z − u)), u ← u + Ax − z."""
    sparse = _sparsest(spectrum + dual, k)
    x = _synthesise(sparse - dual).clamp(low, high)
    spectrum = _analyse(x)
    gap = spectrum - sparse
    distance = torch.from_numpy(_power(gap.numpy()).sum(1)).sqrt()
    return x, distance, (spectrum, dual + gap)


def _synthesis_step(low: Tensor, high: Tensor, k: int, x: Tensor, dual: Tensor) -> Stepped:
    """z = H_k(A(x − u)), x = proj_Γ(Aᵀz + u), u ← u + Aᵀz − x."""
    sparse = _synthesise(_sparsest(_analyse(x - dual), k))
    x = (sparse + dual).clamp(low, high)
    gap = sparse - x
    return x, gap.norm(dim=1), (x, dual + gap)


def _solve(y: Tensor, low: Tensor, high: Tensor, step: Step, first: First, tolerance: float,
           growth: float) -> Tensor:
    """Iterates on the frames whose gap is still above the tolerance. Shape: `[n, frame]`."""
    solved, where = y.clone(), (low < high).any(1).nonzero().flatten()
    if not len(where):  # of nothing there is no Fourier transform
        return solved
    y, low, high = y[where], low[where], high[where]
    state, k = (first(y), torch.zeros_like(first(y))), 1
    while len(where) and k <= y.shape[1]:
        solved[where], distance, state = step(low, high, k, *state)
        unmet = distance > tolerance
        if not unmet.all():
            where, low, high = where[unmet], low[unmet], high[unmet]
            state = state[0][unmet], state[1][unmet]
        k += 1 + int(growth * k)
    return solved


def _side_by_side(solve: Callable[[tuple[Tensor, ...]], Tensor],
                  chunks: Iterable[tuple[Tensor, ...]]) -> list[Tensor]:
    """`solve` of every chunk, each on one thread: its operations are too short to be split."""
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(solve, chunks))
    finally:
        torch.set_num_threads(threads)  # the pool's threads set it for all that start later


def _declip(wave: ArrayLike, level: float, sample_rate: int, tolerance: float, growth: float,
            side: int, step: Step, first: First) -> np.ndarray:
    wave, clipped = _clipped(wave, level)
    clipped &= side * wave >= 0
    if not clipped.any():
        return wave
    hop = next_fast_len(round(0.016 * sample_rate), real=True)  # at 44.1 kHz 720, not 2 · 353
    frame = 4 * hop
    window = torch.hann_window(frame)
    y = torch.from_numpy(wave).float()
    beyond = torch.where(torch.from_numpy(clipped), y.sign() * torch.finfo(y.dtype).max, y)
    box = y, torch.minimum(y, beyond), torch.maximum(y, beyond)  # Γ lies between the last two
    chunks = zip(*((pad(a, (frame - hop, frame)).unfold(0, frame, hop) * window).split(CHUNK)
                   for a in box), strict=True)
    frames = _side_by_side(
        lambda c: _solve(c[0], c[1], c[2], step, first, tolerance * level, growth), chunks)
    total = overlap_add(torch.cat(frames) * window / 1.5, hop).double().numpy()
    return _consistent(total[frame - hop:][:len(wave)], wave, clipped)


def a_spade(wave: ArrayLike, level: float, sample_rate: int = 16000, tolerance: float = 0.1,
            growth: float = 0.0, side: int = 0) -> np.ndarray:
    """Clipped samples from the signal with the sparsest analysis, kept at or above the clip level.

    A signal that begins or ends abruptly is not sparse there and is restored less well.
    (Kitić, Bertin & Gribonval 2015, "Sparsity and cosparsity for audio declipping: a flexible
    non-convex approach", with r = s = 1)

    Args:
        wave: a signal clipped at ±`level`.
        level: smallest magnitude taken for clipped, in the signal's units.
        sample_rate: in Hz; frames are 64 to 66 ms long, for fast transforms.
        tolerance: ε in units of the level.
        growth: k grows by 1 + ⌊growth · k⌋; 0 in the paper. 0.01 takes less than half the time.
        side: 1 or −1 where only what is positive or negative is clipped.

    Shape: `[T]` to `[T]`, float64.

    Raises ValueError for a level that is not positive or a signal that is not 1-D.
    """
    return _declip(wave, level, sample_rate, tolerance, growth, side, _analysis_step,
                   _analyse)


def s_spade(wave: ArrayLike, level: float, sample_rate: int = 16000, tolerance: float = 0.1,
            growth: float = 0.0, side: int = 0) -> np.ndarray:
    """Clipped samples from the signal with the sparsest synthesis, kept at or above the clip level.

    Unlike the S-SPADE of Kitić et al. the iterations run in the signal's domain and solve the
    problem as it is stated. (Záviška, Rajmic, Mokrý & Průša 2019, "A proper version of
    synthesis-based sparse audio declipper")

    Arguments, shape and errors are those of `a_spade`.
    """
    return _declip(wave, level, sample_rate, tolerance, growth, side, _synthesis_step,
                   lambda y: y)
