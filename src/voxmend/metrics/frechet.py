"""Fréchet distance of two sets of vectors."""

import numpy as np
from numpy.typing import ArrayLike

from ._common import finite


def frechet_distance(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Squared Fréchet (2-Wasserstein) distance of the Gaussians fitted to two sets.

    d² = ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½), Σ unbiased. With centred rows A, B (Σ₁ = AᵀA,
    Σ₂ = BᵀB) the last trace is the sum of the singular values of ABᵀ: no square root of a matrix
    is taken, so the distance is real, and exact for singular Σ (fewer rows than columns).
    (Dowson & Landau 1982; without a root, as in FID and FDSD)

    Args:
        weights: of the rows of b, of sum 1, for its mean and Σ; equal ones by default.

    Shape: `[N, D]`, `[M, D]`, `[M]` to a float.

    Raises ValueError unless both have two rows or more and equally many columns, all finite.

    >>> round(frechet_distance([[0.0], [2.0]], [[3.0], [7.0]]), 6)  # (5 − 1)² + (√8 − √2)²
    18.0
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise ValueError("a Fréchet distance needs two sets of two or more vectors of the same "
                         f"size, not {list(a.shape)} and {list(b.shape)}")
    if not finite(a, b):
        raise ValueError("a Fréchet distance needs vectors without NaN or infinity")
    weights = np.full(len(b), 1 / len(b)) if weights is None else np.asarray(weights)
    shares = (np.full((len(a), 1), 1 / len(a)), weights[:, None])
    means = [(share * x).sum(0) for share, x in zip(shares, (a, b), strict=True)]
    shift = means[0] - means[1]
    # R of A = QR has the same AᵀA in at most D rows
    a, b = (np.asarray(np.linalg.qr(np.sqrt(share / (1 - (share**2).sum())) * (x - mean), "r"))
            for share, x, mean in zip(shares, (a, b), means, strict=True))
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, shift @ shift + (a**2).sum() + (b**2).sum() - 2 * cross))
