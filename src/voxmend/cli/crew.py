"""Workers that Ray runs, on this machine or many: what `workers.Pool` is on one.

    number, message ─▶ ray.data ─ map_batches ─▶ actor    loaded = load(), once
                                                     answer(loaded, message) ─▶ number, reply

An actor that dies is replaced and its message sent again by Ray.
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
        """As `workers.Pool.map`; all messages are taken at once."""
        import ray.data
        from ray.exceptions import RayError

        rows = [{"number": number, "message": pickle.dumps(message)}
                for number, message in enumerate(messages)]
        if not rows:
            return
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # of which is told below
        context.execution_options.preserve_order = ordered
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Ray 2.64 is to have another way to bound retries
            table = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
                _Actor, fn_constructor_args=(self.load, self.answer), batch_size=1,
                batch_format="pyarrow", num_cpus=self.shares.cpus, num_gpus=self.shares.gpus,
                compute=ray.data.ActorPoolStrategy(size=min(self.count, len(rows)),
                                                   max_tasks_in_flight_per_actor=1),
                max_restarts=-1, max_task_retries=TRIES - 1)
        missing = dict.fromkeys(range(len(rows)))
        try:
            for row in table.iter_rows():
                number = int(row["number"])
                while ordered and next(iter(missing)) != number:
                    yield self._lost(missing)
                del missing[number]
                yield number, pickle.loads(row["reply"])
        except RayError as error:
            raise RuntimeError(f"Ray: {str(error).strip().splitlines()[-1]}") from error
        while missing:
            yield self._lost(missing)

    def _lost(self, missing: dict[int, None]) -> tuple[int, Lost]:
        number = next(iter(missing))
        del missing[number]
        return number, Lost(f"{TRIES} workers died of it; is there enough memory?")
