"""How many signals pass a network at once, and the batches that alike ones make."""

from collections.abc import Callable, Hashable, Sequence
from typing import Literal, TypeVar

import torch

from ..audio.errors import check_whole

Item = TypeVar("Item")
Result = TypeVar("Result")
MOST = 32  # of which a GPU has its fill
SHARE = 0.5  # of the memory that is free


def resolve(wanted: int | Literal["auto"], device: torch.device | str,
            run: Callable[[], object]) -> int:
    """How many signals pass a network at once.

    `auto` is 1 but on CUDA, where it is as many as half of the free memory holds, at most 32; on
    a CPU batches bring nothing (`docs/scaling.md`).

    Args:
        run: passes one signal, the longest there is, through the network; `auto` measures it.

    Raises ValueError for less than 1.
    """
    if wanted != "auto":
        check_whole(1, batch=wanted)
        return wanted
    device = torch.device(device)
    if device.type != "cuda":
        return 1
    run()  # what is kept from now on, as workspaces, is no signal's
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    each = max(1, torch.cuda.max_memory_allocated(device) - before)
    torch.cuda.empty_cache()
    return int(min(max(SHARE * torch.cuda.mem_get_info(device)[0] / each, 1), MOST))


def in_batches(run: Callable[[Sequence[Item]], Sequence[Result]], items: Sequence[Item],
               kind: Callable[[Item], Hashable], size: int) -> list[Result]:
    """What a function makes of items, taken together where they are of one kind.

    Where memory is short a batch is taken in two halves.

    Args:
        run: of at most `size` items of one kind to what becomes of each.

    >>> in_batches(lambda xs: [sum(xs)] * len(xs), [1, 2, 3, 4, 5], lambda x: x % 2, 2)
    [4, 6, 4, 6, 5]
    """
    kinds: dict[Hashable, list[int]] = {}
    for number, item in enumerate(items):
        kinds.setdefault(kind(item), []).append(number)
    results: dict[int, Result] = {}
    for numbers in kinds.values():
        for first in range(0, len(numbers), size):
            some = numbers[first:first + size]
            results.update(zip(some, _halved(run, [items[n] for n in some]), strict=True))
    return [results[number] for number in range(len(items))]


def _halved(run: Callable[[Sequence[Item]], Sequence[Result]],
            items: Sequence[Item]) -> Sequence[Result]:
    try:
        return run(items)
    except torch.OutOfMemoryError:
        if len(items) == 1:
            raise
    # here, since what the error holds of the batch is free
    half = len(items) // 2
    return [*_halved(run, items[:half]), *_halved(run, items[half:])]
