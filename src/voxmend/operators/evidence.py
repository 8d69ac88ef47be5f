"""What an observation says of the signal, for priors that are told."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Evidence:
    """A first guess of the signal, and what every sample of it is worth.

    Attributes:
        guess: the signal as a classical method restores it, at the prior's rate and scale.
        marks: of every sample, first ±1 where it was clipped, so that the signal lies at least so
            far out on that side, else 0; then 1 where it was missing and −1 where phases are
            guessed, as of a mel-spectrogram, else 0.
        weight: of every sample, 0 … 1, how much of a prior's correction of the guess counts; None
            where all of it does, since what is lost is nowhere, as a band.

    Shape: `[B, C, T]`, `[B, C, 2, T]` and `[B, C, T]`.
    """

    guess: Tensor
    marks: Tensor
    weight: Tensor | None = None

    @classmethod
    def of(cls, guess: Tensor, bound: Tensor | float = 0.0, missing: Tensor | float = 0.0,
           weight: Tensor | float | None = None) -> "Evidence":
        """From marks and a weight that broadcast to the guess."""
        def filled(mark: Tensor | float) -> Tensor:
            return torch.as_tensor(mark, dtype=guess.dtype, device=guess.device).expand(guess.shape)

        return cls(guess, torch.stack([filled(bound), filled(missing)], 2),
                   None if weight is None else filled(weight))

    @classmethod
    def joined(cls, parts: Sequence["Evidence"]) -> "Evidence":
        """Of a batch, from those of its items."""
        return cls(torch.cat([part.guess for part in parts]),
                   torch.cat([part.marks for part in parts]),
                   torch.cat([torch.ones_like(part.guess) if part.weight is None else part.weight
                              for part in parts]))

    def corrected(self, found: Tensor) -> Tensor:
        """What counts of a prior's estimate x, g + w·(x − g). Shape: as the guess."""
        return found if self.weight is None else torch.lerp(self.guess, found, self.weight)
