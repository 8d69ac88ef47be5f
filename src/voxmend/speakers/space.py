"""The space of voices: principal components of speaker embeddings, and rotations in them.

    embedding v ─ (v − mean)/scale ─ · axes ─ components z, of variances λ ─ /√λ ─ whitened w
"""

import numpy as np
import torch
from torch import Tensor, nn

from .embeddings import Embeddings

ALIKE = 1e-3  # relative range of lengths that are one length
SIGNIFICANT = 3.0  # standard errors
FLOOR = 1e-6  # of λ, against a mean of 1


class VoiceSpace(nn.Module):
    """What a set of embeddings spans.

    Args:
        parts: dimensions of the embedding's parts, one for every network of its encoder.

    Attributes:
        mean, scale: mean and standard deviation of every dimension, `[D]`.
        axes: principal axes of the standardised embeddings, in columns, `[D, D]`.
        variances: λ along them, `[D]`, falling.
        sex_shift: the mean of women less that of men in whitened components, `[D]`; 0 where they do
            not differ significantly or nobody knows.
        lengths: of the parts, `[parts]`; 0 for one whose length is free.
    """

    mean: Tensor
    scale: Tensor
    axes: Tensor
    variances: Tensor
    sex_shift: Tensor
    lengths: Tensor

    def __init__(self, parts: tuple[int, ...]):
        super().__init__()
        self.parts, dim = tuple(parts), sum(parts)
        for name, shape in (("mean", (dim,)), ("scale", (dim,)), ("axes", (dim, dim)),
                            ("variances", (dim,)), ("sex_shift", (dim,)),
                            ("lengths", (len(parts),))):
            self.register_buffer(name, torch.zeros(shape))

    @property
    def dim(self) -> int:
        return len(self.mean)

    @classmethod
    def of(cls, embeddings: Embeddings) -> "VoiceSpace":
        """That of a set, in which every speaker counts the same."""
        x, weights = embeddings.vectors.astype(np.float64), embeddings.weights[:, None]
        mean = (weights * x).sum(0)
        scale = np.sqrt((weights * (x - mean) ** 2).sum(0)).clip(1e-6 * np.abs(x).max())
        standard = (x - mean) / scale
        variances, axes = np.linalg.eigh((weights * standard).T @ standard)
        variances, axes = variances[::-1].clip(FLOOR), axes[:, ::-1]
        axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(len(axes))])
        shift = sex_shift(standard @ axes / np.sqrt(variances), embeddings)
        space = cls(embeddings.parts)
        for name, value in (("mean", mean), ("scale", scale), ("axes", axes), ("sex_shift", shift),
                            ("variances", variances), ("lengths", part_lengths(embeddings))):
            getattr(space, name).copy_(torch.from_numpy(np.ascontiguousarray(value)))
        return space

    def standardise(self, vectors: np.ndarray) -> Tensor:
        return (torch.from_numpy(vectors).float() - self.mean) / self.scale

    def components(self, vectors: np.ndarray) -> Tensor:
        """Embeddings along the principal axes. Shape: `[N, D]` to the same."""
        return self.standardise(vectors) @ self.axes

    def restore(self, standard: Tensor) -> np.ndarray:
        """The embeddings that were standardised, each part brought to its length."""
        vectors = standard * self.scale + self.mean
        fixed = [part * (length / part.norm(dim=1, keepdim=True)) if length else part
                 for part, length in zip(vectors.split(self.parts, dim=1), self.lengths,
                                          strict=True)]
        return torch.cat(fixed, 1).numpy()

    def compose(self, components: Tensor) -> np.ndarray:
        """The embeddings of components along the principal axes, each part of its length."""
        return self.restore(components @ self.axes.T)

    def direction(self, axis: str) -> Tensor:
        """Unit vector in whitened components of an axis: its number from 1, or sex.

        Raises ValueError for one that there is not.
        """
        if axis == "sex":
            if not self.sex_shift.any():
                raise ValueError("--axis sex: this model knows no axis of sex; extract with "
                                 "--labels, of many women and men, and train again")
            return self.sex_shift / self.sex_shift.norm()
        if not (axis.isdecimal() and 1 <= int(axis) <= self.dim):
            raise ValueError(f"--axis {axis}: give sex or a number from 1 to {self.dim}")
        return torch.eye(self.dim)[int(axis) - 1]

    def positions(self, vectors: np.ndarray, axis: str) -> np.ndarray:
        """Where voices stand on an axis, in standard deviations from the mean. Shape: `[N]`."""
        whitened = self.components(vectors) / self.variances.sqrt()
        return (whitened @ self.direction(axis)).numpy()

    def steer(self, vectors: np.ndarray, axis: str, amount: float) -> np.ndarray:
        """Voices rotated towards an axis.

        v' = v + amount · a, where a is what a standard deviation along the axis adds to an
        embedding, and then every part of v' has its length in v: so it turns in the plane of the
        parts of v and a, by an angle below 180°, and what is orthogonal to both stays zero.

        Shape: `[N, D]` to the same, float32.

        Raises ValueError for an amount that is not finite, and as `direction`.
        """
        if not np.isfinite(amount):
            raise ValueError(f"--amount {amount}: give a number of standard deviations")
        step = self.scale * (self.axes @ (self.variances.sqrt() * self.direction(axis)))
        before = torch.from_numpy(vectors).float()
        parts = zip(before.split(self.parts, 1), (before + amount * step).split(self.parts, 1),
                    strict=True)
        return torch.cat([moved * (part.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True))
                          for part, moved in parts], 1).numpy()


def part_lengths(embeddings: Embeddings) -> list[float]:
    """The length of each part where all embeddings share it, else 0."""
    splits = np.split(embeddings.vectors, np.cumsum(embeddings.parts)[:-1], axis=1)
    norms = [np.linalg.norm(part, axis=1) for part in splits]
    return [float(n.mean()) if np.ptp(n) < ALIKE * n.mean() else 0.0 for n in norms]


def sex_shift(whitened: np.ndarray, embeddings: Embeddings) -> np.ndarray:
    """The mean of women less that of men, all speakers counting the same.

    Components in which they differ by less than three standard errors are 0: with few speakers
    these are most, and together they outweigh the others. All are without two women and two men.

    Shape: `[N, D]` to `[D]`.
    """
    sexes = np.array(embeddings.sexes or [""] * len(embeddings))
    means, error = [], 0.0
    for sex in ("F", "M"):
        rows = sexes == sex
        count = len(np.unique(embeddings.people[rows]))
        if count < 2:
            return np.zeros(whitened.shape[1])
        weights = embeddings.weights[rows]
        means.append(weights @ whitened[rows] / weights.sum())
        error += 1 / count
    shift = means[0] - means[1]
    return np.where(np.abs(shift) < SIGNIFICANT * np.sqrt(error), 0, shift)
