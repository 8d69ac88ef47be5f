"""Missing samples."""

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ..audio.errors import check_whole
from ..classical.interpolation import ar_interpolate
from ..classical.pitch import pitch_interpolate
from .base import Operator, by_channel, check_inside
from .evidence import Evidence


class Gap(Operator):
    """Gaps, A(x) = m · x with m = 1 where the recording is present.

    Args:
        present: the mask m, `[T]` or anything that broadcasts over `[B, C, T]`.
        sample_rate: Hz; raises ValueError unless positive.

    >>> Gap(torch.tensor([1.0, 0.0]))(torch.ones(1, 1, 2))
    tensor([[[1., 0.]]])
    """

    linear = keeps_white = projects = True

    def __init__(self, present: Tensor | ArrayLike, sample_rate: int = 16000):
        check_inside(0, math.inf, sample_rate=sample_rate)
        self.present, self.sample_rate = torch.as_tensor(present).bool(), sample_rate

    @classmethod
    def between(cls, gaps: Iterable[tuple[float, float]], length: int, sample_rate: int,
                start: int = 0) -> "Gap":
        """From gaps in seconds of a recording, `[(begin, end), …]`.

        Args:
            length: of the signal, samples.
            start: where the signal begins in the recording, samples.

        Raises ValueError for a gap that ends before it begins, or begins before the recording, and
        for what is no pair.
        """
        check_whole(0, length=length)
        made = cls(torch.ones(length, dtype=torch.bool), sample_rate)
        for gap in gaps:
            begin, end = (max(0, round(edge * sample_rate) - start) for edge in _edges(gap))
            made.present[begin:end] = False
        return made

    def forward(self, x: Tensor) -> Tensor:
        return x * self.present.to(x)

    def project(self, x0: Tensor, y: Tensor) -> Tensor:
        return torch.where(self.present.to(x0.device), y, x0)

    def start(self, y: Tensor) -> Tensor:
        """What goes along the pitch where speech is voiced, and autoregressive interpolation.

        `classical.pitch` on the mean of two processes of orders of 8 and 16 ms, a period of most
        voices and of the lowest, and a context of 62.5 ms at any sample rate. They err differently,
        so that their mean errs less.
        """
        if self.present.sum() < 2:
            return y
        rate = self.sample_rate
        orders = [round(seconds * rate) for seconds in (0.008, 0.016)]

        def fill(wave: np.ndarray, missing: np.ndarray) -> np.ndarray:
            guess = np.mean([ar_interpolate(wave, missing, order, round(0.0625 * rate))
                             for order in orders], 0)
            return pitch_interpolate(wave, missing, rate, guess)

        return by_channel(fill, y, ~self.present.to(y.device))

    def evidence(self, y: Tensor, guess: Tensor | None = None) -> Evidence:
        guess = self.project(self.start(y) if guess is None else guess, y)
        return Evidence.of(guess, missing=~self.present, weight=1.0)

    def blank(self, noise: Tensor) -> Tensor:
        return noise if self.present.sum() < 2 else torch.zeros_like(noise)


def _edges(gap: tuple[float, float]) -> tuple[float, float]:
    """Where a gap begins and ends."""
    try:
        begin, end = map(float, gap)
    except (TypeError, ValueError):
        raise ValueError(f"gaps: {gap!r}: give pairs of begin and end, in seconds") from None
    if not 0 <= begin <= end < math.inf:
        raise ValueError(f"gaps: from {begin:g} to {end:g} s: give it as it passes")
    return begin, end
