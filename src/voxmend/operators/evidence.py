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

    Shape: `[B, C, T]` and `[B, C, 2, T]`.
    """

    guess: Tensor
    marks: Tensor

    @classmethod
    def of(cls, guess: Tensor, bound: Tensor | float = 0.0,
           missing: Tensor | float = 0.0) -> "Evidence":
        """From marks that broadcast to the guess."""
        marks = [torch.as_tensor(mark, dtype=guess.dtype, device=guess.device).expand(guess.shape)
                 for mark in (bound, missing)]
        return cls(guess, torch.stack(marks, 2))

    @classmethod
    def joined(cls, parts: Sequence["Evidence"]) -> "Evidence":
        """Of a batch, from those of its items."""
        return cls(torch.cat([part.guess for part in parts]),
                   torch.cat([part.marks for part in parts]))
