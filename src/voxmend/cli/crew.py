"""Workers that Ray runs, on this machine or many: what `workers.Pool` is on one.

    number, message ─▶ ray.data ─ map_batches ─▶ actor    loaded = load(), once
                                                     answer(loaded, message) ─▶ number, reply

An actor that dies is replaced by Ray, and its message sent again.
"""

import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..cluster import session
from .stopping import kill_descendants
from .workers import TRIES, Lost, cores, portable

if TYPE_CHECKING:
    import pyarrow


class _Actor:
    """A worker: answers batches of one message."""

    def __init__(self, load: Callable[[], Any], answer: Callable[[Any, Any], Any]):
        self.load, self.answer, self.loaded = load, answer, list[Any]()

    def __call__(self, batch: "pyarrow.Table") -> "pyarrow.Table":
        import pyarrow

        try:
            self.loaded = self.loaded or [self.load()]
            reply = self.answer(self.loaded[0], pickle.loads(batch["message"][0].as_py()))
        except Exception as error:  # which is the driver's to judge
            reply = portable(error)
        return pyarrow.table({"number": batch["number"], "reply": [pickle.dumps(reply)]})


class Crew:
    """Actors of a Ray cluster; as a context, they have stopped at its end.

    Args:
        address: of the cluster, as in `cluster.session`.
        count: of actors; by default one for each GPU, or else for each core.
        load, answer: as of `workers.Pool`.
    """

    reads = True  # recordings by itself: the memory of the driver may be far away

    def __init__(self, address: str, count: int | None, load: Callable[[], Any],
                 answer: Callable[[Any, Any], Any]):
        self.address, self.count, self.load, self.answer = address, count or 0, load, answer

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(session.connected(self.address, max(cores(), self.count),
                                                  kill_descendants))
            self.shares = session.shares(self.count or None)
            self.count, self._session = self.shares.workers, stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._session.__exit__(kind, error, trace)

    def map(self, messages: Iterable[Any], ordered: bool = False) -> Iterator[tuple[int, Any]]:
        """As `workers.Pool.map`; all messages are taken at once.

        Unless replies are to be in order, a message waits at each actor while it works on another,
        and is lost with that one's actor: what is lost is tried again, one at a time.
        """
        waiting = {number: pickle.dumps(message) for number, message in enumerate(messages)}
        if not ordered:
            for number, reply in self._answers(waiting, tries=1, abreast=2):
                del waiting[number]
                yield number, reply
        tries = TRIES if ordered else TRIES - 1
        for number, reply in self._answers(waiting, tries, abreast=1, ordered=ordered):
            while ordered and next(iter(waiting)) != number:
                yield self._lost(waiting)
            del waiting[number]
            yield number, reply
        while waiting:
            yield self._lost(waiting)

    def _answers(self, waiting: dict[int, bytes], tries: int, abreast: int,
                 ordered: bool = False) -> Iterator[tuple[int, Any]]:
        """Replies to messages, but to those that actors die of so many times.

        Args:
            abreast: messages that an actor has at a time.
        """
        import ray.data
        from ray.exceptions import RayError

        if not waiting:
            return
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # which `map` tells
        context.execution_options.preserve_order = ordered
        rows = [{"number": number, "message": message} for number, message in waiting.items()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray 2.64 is to have another way to bound retries
            table = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                _Actor, fn_constructor_args=(self.load, self.answer), batch_size=1,
                batch_format="pyarrow", num_cpus=self.shares.cpus, num_gpus=self.shares.gpus,
                compute=ray.data.ActorPoolStrategy(size=min(self.count, len(rows)),
                                                   max_tasks_in_flight_per_actor=abreast),
                max_restarts=-1, max_task_retries=tries - 1)
        try:
            for row in table.iter_rows():
                yield int(row["number"]), pickle.loads(row["reply"])
        except RayError as error:
            raise RuntimeError(f"Ray: {str(error).strip().splitlines()[-1]}") from error

    def _lost(self, waiting: dict[int, bytes]) -> tuple[int, Lost]:
        number = next(iter(waiting))
        del waiting[number]
        return number, Lost(f"{TRIES} workers died of it; is there enough memory?")
