"""The contract of a degradation, y = A(x)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..audio.errors import is_number
from .evidence import Evidence


def check_inside(low: float, high: float, **numbers: Any) -> None:
    """Raises ValueError for what is no number above `low` and below `high`."""
    for name, number in numbers.items():
        if not (is_number(number) and low < number < high):
            raise ValueError(f"{name}={number!r}: give a number above {low:g} and below {high:g}")


def by_channel(function: Callable[..., np.ndarray], y: Tensor, *masks: Tensor) -> Tensor:
    """Applies a numpy function to every channel of y and of masks that broadcast to it.

    Shape: `[B, C, …]` to `[B, C, T]`.
    """
    signals = [y.detach().double(), *(mask.expand(y.shape) for mask in masks)]
    flat = [tensor.cpu().flatten(0, 1).numpy() for tensor in signals]
    out = np.stack([np.asarray(function(*channel)) for channel in zip(*flat, strict=True)])
    return torch.from_numpy(out).to(y).unflatten(0, y.shape[:2])


class Operator:
    """A known degradation of a signal.

    Attributes:
        linear: whether A is linear, and noise in y white; then `adjoint` and least squares make
            sense.
        keeps_white: whether white noise in x is white in y, as loud, wherever y says anything.
        projects: whether there is a `project`; guidance asks this before it calls it.
        identity: whether A(x) = x, so that y is the whole signal in white noise.
        sums_sources: whether A(x) = Σ_k x_k over the channels, without weights or noise.
        noise_std: standard deviation of the white noise in y, 0 for an exact observation; `[B]`
            of a batch whose items differ (`Each`).

    Guidance goes by these, never by the class: a subclass declares what is true of it.

    Shape: `forward` takes x `[B, C, T]`; y has the shape that the operator gives it.

    Operators compose: `Clip(0.3) @ Lowpass(4000)` filters first and clips the result.
    Levels are in the units of the scaled signal, so build an operator after scaling.
    """

    linear: bool = False
    keeps_white: bool = False
    projects: bool = False
    identity: bool = False
    sums_sources: bool = False
    noise_std: float | Tensor = 0.0

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """The signal nearest to x0, exactly or nearly, that explains y: A(project(x0, y)) = y.

        Where y is noisy it is the signal that explains y as if it were exact.

        Raises: NotImplementedError unless the operator `projects`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no projection")

    def residual(self, x0: Tensor, y: Tensor) -> Tensor:
        """What of y the signal x0 does not explain, y − A(x0); differentiable in x0."""
        return y - self.forward(x0)

    def adjoint(self, r: Tensor, like: Tensor) -> Tensor:
        """Aᵀr by automatic differentiation, for linear operators.

        Args:
            like: a tensor of x's shape.

        Raises: TypeError for a nonlinear operator.
        """
        if not self.linear:
            raise TypeError(f"{type(self).__name__} is not linear and has no adjoint")
        with torch.enable_grad():
            x = torch.zeros_like(like, requires_grad=True)
            return torch.autograd.grad(self.forward(x), x, r)[0]

    def start(self, y: Tensor) -> Tensor:
        """A first guess of the signal, from which sampling begins.

        A classical method's, if there is one for this damage, else y itself. Shape: x's.
        """
        return y

    def blank(self, noise: Tensor) -> Tensor:
        """The part of noise that lies where `start` makes no guess: all of it if start is y."""
        return noise

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence | None:
        """What y says of the signal to a prior that is told; None where none has learnt it.

        Args:
            guess: in the place of `start`'s.
        """
        return None

    def __matmul__(self, inner: "Operator") -> "Compose":
        return Compose(self, inner)

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}"
                           for k, v in vars(self).items() if isinstance(v, (int, float)))
        return f"{type(self).__name__}({values})"


class Compose(Operator):
    """A(x) = outer(inner(x)).

    The projection finds the inner observation that explains y and then the signal that explains
    that one. Where clipping or gaps hide part of the inner observation, the hidden part is free.
    It takes both projections; it is linear, or the identity, if both operators are. Noise within
    that the outer operator colours counts as if it were added last, and makes it not linear.
    """

    def __init__(self, outer: Operator, inner: Operator):
        self.outer, self.inner = outer, inner
        coloured = torch.as_tensor(inner.noise_std).any() and not outer.keeps_white
        self.linear = bool(outer.linear and inner.linear and not coloured)
        self.keeps_white = outer.keeps_white and inner.keeps_white
        self.projects = outer.projects and inner.projects
        self.identity = outer.identity and inner.identity
        self.noise_std = (outer.noise_std**2 + inner.noise_std**2) ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(x))

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        return self.inner.project(x0, self.outer.project(self.inner.forward(x0), y))

    def residual(self, x0: Tensor, y: Tensor) -> Tensor:
        """The inner operator's residual against the inner observation that explains y.

        Without an outer projection to find that, y − A(x0).
        """
        if not self.outer.projects:
            return super().residual(x0, y)
        return self.inner.residual(x0, self.outer.project(self.inner.forward(x0), y))

    def start(self, y: Tensor) -> Tensor:
        return self.inner.start(self.outer.start(y))

    def blank(self, noise: Tensor) -> Tensor:
        unguessed = self.outer.blank(noise)
        return unguessed + self.inner.blank(noise - unguessed)

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence | None:
        """Of both, if both have any: what the outer one took away the inner one does not mark."""
        first = self.outer.evidence(y, guess)
        second = None if first is None else self.inner.evidence(first.guess, guess)
        if first is None or second is None:
            return None
        known = 1 - first.marks[:, :, 1:].abs()
        weight = None
        if first.weight is not None and second.weight is not None:
            weight = first.weight * second.weight
        return Evidence(second.guess, first.marks + known * second.marks, weight)

    def __repr__(self) -> str:
        return f"{self.outer!r} @ {self.inner!r}"
