"""Processes that load once and then answer messages, whatever becomes of any of them.

    driver ──message──▶ worker    loaded = load(), once; then answer(loaded, message)
           ◀──reply────

A worker that dies is replaced and its message sent again; workers do not outlive their driver.
On Linux they are forked from a server, which may have loaded what they import; elsewhere system
libraries do not bear that, and each begins anew.
"""

import os
import pickle
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import connection, forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, SpawnContext
from types import TracebackType
from typing import Any, Self

from ..app.process import end_with_parent

TRIES = 3  # workers that a message may cost
GRACE = 0.5  # seconds that a worker has to stop by itself
FORKS = sys.platform == "linux"


class Lost(RuntimeError):
    """A message whose workers died, as of too little memory."""


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share_of_threads(count: int) -> int:
    """Threads of each of so many workers: its share of cores, at most `$OMP_NUM_THREADS`."""
    told = os.environ.get("OMP_NUM_THREADS", "")
    share = max(1, cores() // count)
    return min(share, int(told)) if told.isdecimal() and int(told) else share


def portable(error: Exception) -> Exception:
    """The error, or where it cannot be sent to another process one of its name that can be."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a package's own constructor asks for
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _serve(pipe: connection.Connection, load: Callable[[], Any],
           answer: Callable[[Any, Any], Any]) -> None:
    """What a worker does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what is in work is removed
    threading.Thread(target=end_with_parent, daemon=True).start()
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        loaded = list[Any]()
        while (message := pipe.recv()) is not None:
            try:
                loaded = loaded or [load()]
                reply = answer(loaded[0], message)
            except Exception as error:  # which is the driver's to judge
                reply = portable(error)
            pipe.send(reply)


@contextmanager
def _surroundings(threads: int) -> Iterator[None]:
    """What a worker inherits: its share of threads, and no Ctrl-C, of which its driver tells it."""
    told = {"OMP_NUM_THREADS": str(threads), "PYTHONSAFEPATH": "1"}  # no modules of this folder
    before = {name: os.environ.get(name) for name in told}
    os.environ.update(told)
    resource_tracker.ensure_running()  # which would unblock signals if it began at the start below
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def warm_up(modules: Sequence[str], threads: int) -> None:
    """Starts the server that workers are forked from, which loads modules meanwhile.

    Args:
        threads: of each worker; those of a server that runs already stay.
    """
    if FORKS:
        forkserver.set_forkserver_preload(list(modules))
        with _surroundings(threads):
            forkserver.ensure_running()


class _Worker:
    """A process, the pipe to it, and the message it is answering with its number."""

    def __init__(self, load: Callable[[], Any], answer: Callable[[Any, Any], Any], threads: int):
        context = ForkServerContext() if FORKS else SpawnContext()
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, load, answer), daemon=True)
        self.task: tuple[int, Any] | None = None
        with _surroundings(threads):
            self.process.start()
        theirs.close()  # so that its end is the end of the pipe

    def ask(self, task: tuple[int, Any]) -> None:
        self.task = task
        with suppress(ConnectionError):  # it is dead, as its pipe will tell
            self.pipe.send(task[1])


class Pool:
    """Workers; as a context, they have stopped at its end, at once if it ends by an exception.

    Args:
        count: of workers.
        load: makes what a worker keeps, which must be possible to pickle, as `answer`.
        answer: `(loaded, message) -> reply`.
        threads: of each worker.
    """

    reads = False  # they have this machine's memory, and segments are sent to them

    def __init__(self, count: int, load: Callable[[], Any], answer: Callable[[Any, Any], Any],
                 threads: int = 1):
        self._start = lambda: _Worker(load, answer, threads)
        self.count, self.workers = count, list[_Worker]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        for worker in self.workers:
            if kind:
                worker.process.terminate()
            with suppress(OSError):
                worker.pipe.send(None)
        until = time.monotonic() + GRACE
        for worker in self.workers:
            worker.process.join(max(0.0, until - time.monotonic()))
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()

    def map(self, messages: Iterable[Any], ordered: bool = False) -> Iterator[tuple[int, Any]]:
        """Numbers and replies; an exception, or `Lost`, in the place of a reply that there is not.

        Args:
            ordered: replies come in the order of the messages, which are then taken no more than
                twice the number of workers ahead.
        """
        for worker in [worker for worker in self.workers if worker.task is not None]:
            worker.process.kill()  # of replies that nobody waits for any more
            self.workers.remove(worker)
        tasks, again, tries = enumerate(messages), deque[tuple[int, Any]](), Counter[int]()
        ready: dict[int, Any] = {}
        taken = given = 0
        while True:
            while again or not ordered or taken - given < 2 * self.count:
                idle = next((worker for worker in self.workers if worker.task is None), None)
                if idle is None and len(self.workers) == self.count:
                    break
                task = again.popleft() if again else next(tasks, None)
                if task is None:
                    break
                if idle is None:
                    self.workers.append(idle := self._start())
                taken = max(taken, task[0] + 1)
                idle.ask(task)
            number = given if ordered else next(iter(ready), None)
            if number in ready:
                given += 1
                yield number, ready.pop(number)
                continue
            busy: dict[Any, _Worker] = {worker.pipe: worker for worker in self.workers
                                        if worker.task is not None}
            if not busy:
                return
            for pipe in connection.wait(list(busy)):
                self._hear(busy[pipe], again, tries, ready)

    def _hear(self, worker: _Worker, again: deque[tuple[int, Any]], tries: Counter[int],
              ready: dict[int, Any]) -> None:
        """Takes a reply, or puts the message of a dead worker to those to be sent again."""
        task, worker.task = worker.task, None
        assert task
        number, _ = task
        try:
            ready[number] = worker.pipe.recv()
        except (EOFError, OSError):
            self.workers.remove(worker)
            worker.process.kill()  # if it is not dead already
            worker.process.join()
            tries[number] += 1
            if tries[number] < TRIES:
                again.append(task)
            else:
                ready[number] = Lost(f"{TRIES} workers died of it (exit code "
                                     f"{worker.process.exitcode}); is there enough memory?")
