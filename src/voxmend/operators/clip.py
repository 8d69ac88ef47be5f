"""Clipping."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ..classical.spade import s_spade
from .base import Operator, by_channel, check_inside
from .evidence import Evidence

TOO_SHORT, LONG_ENOUGH = 2, 5  # runs, in samples at 16 kHz (`tools/clipped_runs.py`)


def correctable(clipped: Tensor, sample_rate: int) -> Tensor:
    """How much of a correction of the sparse guess counts: 1, but less in short runs.

    Between two known samples the guess is nearer than what a prior makes of it.

    Shape: flags `[…, T]` to weights of 0 … 1.
    """
    place, end = torch.arange(clipped.shape[-1], device=clipped.device), clipped.shape[-1]
    before = torch.where(clipped, -1, place).cummax(-1).values
    after = torch.where(clipped, end, place).flip(-1).cummin(-1).values.flip(-1)
    lengths = (after - before - 1) * (16000 / sample_rate)
    share = (lengths - TOO_SHORT) / (LONG_ENOUGH - TOO_SHORT)
    return torch.where(clipped, share.clamp(0, 1), 1.0)


class Clip(Operator):
    """Hard clipping, A(x) = ½(|x + c| − |x − c|) = max(−c, min(c, x)), about an offset.

    Args:
        level: c > 0, in the units of the scaled signal.
        tolerance: samples with |y − offset| ≥ (1 − tolerance)·c count as clipped.
        sample_rate: Hz.
        span: first and last sample between which it clips; by default everywhere.
        offset: half-way between the upper level and the lower one, in the same units.
        side: 1 where what lies above is clipped alone, −1 below alone, 0 on either side.

    Raises ValueError for an argument that cannot be what it is.

    Source: UnDiff, section 3.2 (declipping).

    >>> Clip(0.5)(torch.tensor([[[-2.0, 0.25, 0.75]]]))
    tensor([[[-0.5000,  0.2500,  0.5000]]])
    """

    projects = True

    def __init__(self, level: float, tolerance: float = 0.005, sample_rate: int = 16000,
                 span: Sequence[int] | None = None, offset: float = 0.0,
                 side: Literal[-1, 0, 1] = 0):
        check_inside(0, math.inf, level=level, sample_rate=sample_rate)
        check_inside(-math.inf, math.inf, offset=offset, tolerance=tolerance)
        if not 0 <= tolerance < 1:
            raise ValueError(f"tolerance={tolerance!r}: give 0 or more but less than 1")
        if side not in (-1, 0, 1):
            raise ValueError(f"side={side!r}: give -1, 0 or 1")
        if span is not None and not (len(span) == 2 and 0 <= span[0] < span[1]):
            raise ValueError(f"span={span!r}: give its first and its last sample")
        self.level, self.tolerance, self.sample_rate = float(level), tolerance, sample_rate
        self.span = slice(*span) if span is not None else slice(None)
        self.offset, self.side = float(offset), side

    def _within(self, y: Tensor) -> Tensor:
        """Samples of the span. Shape: y `[…, T]` to `[T]`."""
        within = torch.zeros(y.shape[-1], dtype=torch.bool, device=y.device)
        within[self.span] = True
        return within

    def forward(self, x: Tensor) -> Tensor:
        low, high = (side * (math.inf if side == -self.side else self.level) + self.offset
                     for side in (-1, 1))
        return torch.where(self._within(x), x.clamp(low, high), x)

    def _bound(self, y: Tensor) -> Tensor:
        """±1 where y is clipped at the upper or the lower level, else 0. Shape: as y."""
        centred = y - self.offset
        reach = self.side * centred if self.side else centred.abs()
        return centred.sign() * (self._within(y) & (reach >= (1 - self.tolerance) * self.level))

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        """Reliable samples become y's; clipped ones go at least as far out as y."""
        bound = self._bound(y)
        beyond = torch.where(bound > 0, torch.maximum(x0, y), torch.minimum(x0, y))
        return torch.where(bound != 0, beyond, y)

    def residual(self, x0: Tensor, y: Tensor) -> Tensor:
        """y − x0 on reliable samples and, on clipped ones, only what falls short of the level.

        Unlike y − clip(x0) its gradient does not vanish where x0 itself exceeds the level.
        """
        return self.project(x0, y) - x0

    def start(self, y: Tensor) -> Tensor:
        """Sparse declipping (`classical.spade`), hastened at the cost of 0.1 dB.

        Frames of at most 1024 samples: at 44.1 kHz they restore as well as those of 64 ms, in a
        third of the time.
        """
        threshold, rate = (1 - self.tolerance) * self.level, min(self.sample_rate, 16000)
        guess = y.clone()
        guess[..., self.span] = self.offset + by_channel(
            lambda wave: s_spade(wave, threshold, rate, growth=0.01, side=self.side),
            y[..., self.span] - self.offset)
        return guess

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence:
        guess = self.project(self.start(y) if guess is None else guess, y)
        bound = self._bound(y)
        return Evidence.of(guess, bound, weight=correctable(bound != 0, self.sample_rate))

    def blank(self, noise: Tensor) -> Tensor:
        return torch.zeros_like(noise)
