"""Segments that are made together, and computations that run side by side to that end.

A segment's way is a generator: where it needs a network it yields what it asks for and is sent the
answer. Of segments side by side all that they ask for at a time is answered at once, as a batch.

    segment 0  ── resample ─▶ ask ┐            ┌▶ resample ── out
    segment 1  ── resample ─▶ ask ┼─ network ──┼▶ resample ── out
    segment 2  ── resample ─▶ ask ┘            └▶ resample ── out
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

import numpy as np

Made = TypeVar("Made")  # what becomes of a segment
Segment = tuple[int, np.ndarray]  # its first sample in the recording, and its samples
Function = Callable[[np.ndarray, int], Made]
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Jointly(Generic[Made]):
    """A function of segments that makes several at once.

    Args:
        function: of segments to what becomes of each.
        count: of segments at once, at most.
    """

    function: Callable[[Sequence[Segment]], Sequence[Made]]
    count: int

    def __call__(self, chunk: np.ndarray, start: int) -> Made:
        return self.function([(start, chunk)])[0]


def at_once(function: Function) -> int:
    """How many segments a function makes at once, at most."""
    return function.count if isinstance(function, Jointly) else 1


def groups(function: Function, parts: Iterable[Segment]) -> Iterator[list[Segment]]:
    """Segments in groups of as many as a function makes at once."""
    parts = iter(parts)
    while group := list(islice(parts, at_once(function))):
        yield group


def apply(function: Function[Made], group: Sequence[Segment]) -> Sequence[Made]:
    """What a function makes of every segment of a group."""
    if isinstance(function, Jointly):
        return function.function(group)
    return [function(chunk, start) for start, chunk in group]


def side_by_side(tasks: Iterable[Generator[Asked, Answer, Result]],
                 answer: Callable[[Sequence[Asked]], Sequence[Answer]]) -> list[Result]:
    """The results of generators, whose questions are answered together, again and again.

    >>> def task(x):
    ...     return 1 + (yield x)
    >>> side_by_side([task(2), task(3)], lambda asked: [sum(asked) * x for x in asked])
    [11, 16]
    """
    running, results = dict(enumerate(tasks)), dict[int, Result]()
    answers = dict[int, Answer]()
    while running:
        asked = {}
        for number, task in list(running.items()):
            try:
                asked[number] = task.send(answers[number]) if answers else next(task)
            except StopIteration as end:
                results[number] = end.value
                del running[number]
        answers = dict(zip(asked, answer([*asked.values()]), strict=True)) if asked else {}
    return [results[number] for number in sorted(results)]
