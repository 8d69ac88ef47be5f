"""What the next step needs, made beside the step before it."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """`make(step)` for steps that follow each other, the next one made in a thread meanwhile.

    What a step needs depends on its number alone, so nothing changes but the time it takes.

    Args:
        make: called in one thread, for a step after the other.
        steps: there are none from here on.

    Raises, when called, what `make` raised.
    """

    def __init__(self, make: Callable[[int], T], steps: int):
        self.make, self.steps = make, steps
        self._next: tuple[int, Future[T]] | None = None
        self._thread = ThreadPoolExecutor(1, "ahead")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._thread.shutdown(cancel_futures=True)

    def __call__(self, step: int) -> T:
        if self._next is None or self._next[0] != step:
            self._next = (step, self._thread.submit(self.make, step))
        wanted = self._next[1]
        if step + 1 < self.steps:
            self._next = (step + 1, self._thread.submit(self.make, step + 1))
        return wanted.result()
