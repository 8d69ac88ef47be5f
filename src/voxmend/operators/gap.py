"""Missing samples."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from ..classical.interpolation import ar_interpolate
from ..classical.pitch import pitch_interpolate
from .base import Operator, by_channel
from .evidence import Evidence


class Gap(Operator):
    """Gaps, A(x) = m · x with m = 1 where the recording is present.

    Args:
        present: the mask m, `[T]` or anything that broadcasts over `[B, C, T]`.
        sample_rate: Hz.

    >>> Gap(torch.tensor([1.0, 0.0]))(torch.ones(1, 1, 2))
    tensor([[[1., 0.]]])
    """

    linear = keeps_white = projects = True

    def __init__(self, present: Tensor, sample_rate: int = 16000):
        self.present, self.sample_rate = present.bool(), sample_rate

    @classmethod
    def between(cls, gaps: Iterable[tuple[float, float]], length: int, sample_rate: int,
                start: int = 0) -> "Gap":
        """From gaps in seconds of a recording, `[(begin, end), …]`.

        Args:
            length: of the signal, samples.
            start: where the signal begins in the recording, samples.
        """
        present = torch.ones(length, dtype=torch.bool)
        for gap in gaps:
            begin, end = (max(0, round(edge * sample_rate) - start) for edge in gap)
            present[begin:end] = False
        return cls(present, sample_rate)

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
        return Evidence.of(guess, missing=~self.present)

    def blank(self, noise: Tensor) -> Tensor:
        return noise if self.present.sum() < 2 else torch.zeros_like(noise)
