"""A batch whose items have operators of their own."""

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor

from .base import Operator
from .evidence import Evidence


class Each(Operator):
    """One operator for each item of a batch, A(x)_i = A_i(x_i).

    Args:
        operators: as many as there are items, of signals of the same shape.

    What is true of it is what is true of all of them; `noise_std` is `[B]` where theirs differ.

    Raises ValueError for none.

    >>> from voxmend.operators import Clip
    >>> Each([Clip(0.5), Clip(2.0)])(torch.full((2, 1, 1), 3.0)).flatten()
    tensor([0.5000, 2.0000])
    """

    def __init__(self, operators: Sequence[Operator]):
        if not operators:
            raise ValueError(f"operators={operators!r}: give one or more")
        self.operators = list(operators)
        self.runs = [(operator, len(list(run))) for operator, run in groupby(operators)]
        for name in ("linear", "keeps_white", "projects", "identity", "sums_sources"):
            setattr(self, name, all(getattr(operator, name) for operator in operators))
        levels = [operator.noise_std for operator in operators]
        self.noise_std = levels[0] if len({*levels}) == 1 else torch.tensor(
            levels, dtype=torch.float64)

    @classmethod
    def of(cls, operators: Sequence[Operator | None]) -> Operator | None:
        """Of items that all have the same one, or none, that one."""
        if all(operator is operators[0] for operator in operators):
            return operators[0]
        return cls([operator for operator in operators if operator is not None])

    def _by_run(self, name: str, *tensors: Tensor) -> Tensor:
        parts = zip(*(tensor.split([n for _, n in self.runs]) for tensor in tensors), strict=True)
        return torch.cat([getattr(operator, name)(*part) for (operator, _), part in
                          zip(self.runs, parts, strict=True)])

    def forward(self, x: Tensor) -> Tensor:
        return self._by_run("forward", x)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        return self._by_run("project", x0, y)

    def residual(self, x0: Tensor, y: Tensor) -> Tensor:
        return self._by_run("residual", x0, y)

    def adjoint(self, r: Tensor, like: Tensor) -> Tensor:
        return self._by_run("adjoint", r, like)

    def start(self, y: Tensor) -> Tensor:
        return self._by_run("start", y)

    def blank(self, noise: Tensor) -> Tensor:
        return self._by_run("blank", noise)

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence | None:
        sizes = [n for _, n in self.runs]
        guesses = [None] * len(sizes) if guess is None else guess.split(sizes)
        found = [operator.evidence(*part) for (operator, _), *part in
                 zip(self.runs, y.split(sizes), guesses, strict=True)]
        return Evidence.joined([e for e in found if e is not None]) if all(found) else None

    def __repr__(self) -> str:
        return f"Each({self.operators})"
