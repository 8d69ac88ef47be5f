"""Draws of the posterior, of many segments as one batch.

Every segment has an operator, noise levels and a place in the recording of its own; what is alike
in shape, and in what guidance asks of operators, passes the network together.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..diffusion.chunked import NoiseStream
from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import NoisyObservation, Unguided
from ..diffusion.told import GuessDenoiser
from ..models.batching import in_batches
from ..operators import Each, Evidence, Operator
from .tasks import Task


@dataclass(frozen=True)
class Request:
    """A segment whose posterior is drawn from.

    Attributes:
        y: what is observed, at the prior's scale, `[1, …]`.
        operator: that it is observed by; None where nothing is, which draws the prior alone.
        start: its position in the recording, in samples, which selects the noise.
        first: a guess, in the place of the operator's, `[1, K, T]`.
    """

    y: Tensor
    operator: Operator | None
    start: int = 0
    first: Tensor | None = None


@dataclass(frozen=True)
class _Item:
    """A draw to be made: which, of what, from which guess, told what, by which noise levels."""

    number: int
    asked: Request
    first: Tensor
    evidence: Evidence | None
    task: Task
    sigmas: Tensor

    def kind(self) -> Hashable:
        """What the items of a batch have in common."""
        operator = self.asked.operator
        known = None if operator is None else (
            operator.linear, operator.projects, operator.identity, operator.sums_sources,
            bool(operator.noise_std))
        return (self.first.shape, self.asked.y.shape, self.evidence is None, known,
                len(self.sigmas))


@dataclass(frozen=True)
class Drawing:
    """Draws a task makes of the posterior.

    Args:
        prior: on the device of what is observed.
        seed: same seed, same draws.
        draws: of each segment; their numbers select the noise.
        batch: signals that pass the network at once, at most.

    Shape: requests of y `[1, …]` to draws `[draws, K, T]` of each.
    """

    task: Task
    prior: Denoiser
    seed: int = 0
    draws: int = 1
    batch: int = 1

    def __call__(self, requests: Sequence[Request]) -> list[Tensor]:
        found = self.numbered(requests, range(self.draws))
        return [torch.cat(found[first:first + self.draws])
                for first in range(0, len(found), self.draws)]

    def numbered(self, requests: Sequence[Request], numbers: Sequence[int]) -> list[Tensor]:
        """The draws of such numbers, of the first request first. Shape: `[1, K, T]` each."""
        items = [replace(item, number=number) for item in map(self._prepare, requests)
                 for number in numbers]
        return in_batches(self._draw, items, _Item.kind, self.batch)

    @torch.no_grad()
    def _prepare(self, asked: Request) -> _Item:
        task, first, evidence = self.task.untold, asked.first, self.evidence(asked)
        if evidence is not None:
            task, first = self.task.for_prior(self.prior), evidence.guess
        operator, guidance = asked.operator, task.guidance
        if first is None:
            first = asked.y if operator is None else operator.start(asked.y)
        if (isinstance(guidance, NoisyObservation) and operator is not None
                and guidance.serves(operator)):
            level = float(operator.noise_std)
            task = replace(task, sigma_max=10 * level, sigma_min=1.5 * level)
        return _Item(0, asked, first, evidence, task, task.levels(task, self.prior))

    def evidence(self, asked: Request) -> Evidence | None:
        """What a prior that corrects first guesses is told, if the task has it so."""
        if (asked.operator is None or self.task.told is None
                or not isinstance(self.prior.innermost, GuessDenoiser)):
            return None
        evidence = asked.operator.evidence(asked.y, asked.first)
        says = evidence is not None and (evidence.guess.any() or evidence.marks.any())
        return evidence if says else None  # told nothing, it is the plain prior

    @torch.no_grad()
    def _draw(self, items: Sequence[_Item]) -> Sequence[Tensor]:
        task, denoiser = items[0].task, self.prior
        evidence = [item.evidence for item in items if item.evidence is not None]
        if evidence and isinstance(self.prior.innermost, GuessDenoiser):
            denoiser = self.prior.innermost.told(Evidence.joined(evidence), task.speeds)
        first = torch.cat([item.first for item in items])
        y = torch.cat([item.asked.y for item in items])
        operator = Each.of([item.asked.operator for item in items])
        noise = NoiseStream([self.seed + (item.number << 32) for item in items],
                            [item.asked.start for item in items], shared=task.sources is None)
        guessed = task.start == "guess" and self.draws == 1
        blank = operator.blank if operator is not None and guessed else None

        def fresh(like: Tensor) -> Tensor:
            return noise(like) if blank is None else blank(noise(like))

        sigmas = items[0].sigmas
        if any(not torch.equal(item.sigmas, sigmas) for item in items):
            sigmas = torch.stack([item.sigmas for item in items], 1)[..., None]
        sigma = sigmas[0].to(first)
        sigma = sigma[..., None] if sigma.ndim else sigma
        if task.start == "noise":
            x = (1 + sigma**2).sqrt() * fresh(first)
        else:
            x = first + sigma * fresh(first)
        unobserved = operator is None and task.operator is not None  # the prior is drawn alone
        guidance = Unguided() if unobserved else task.guidance
        drawn: Tensor = task.sampler(guidance(denoiser, operator, y), x, sigmas,
                                     lambda like: task.noise_scale * fresh(like))
        if drawn.shape != x.shape:
            raise ValueError(f"task {task.name!r}: its sampler made {list(drawn.shape)} of "
                             f"{list(x.shape)}")
        return drawn.split(1)
