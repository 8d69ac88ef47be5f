"""Being connected to Ray, and what a cluster has room for. Ray is imported when it is needed.

    local       a cluster of this machine alone, which ends with the session
    auto        the cluster that this machine belongs to, started by `ray start`
    HOST:PORT   the head of a cluster
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import Any, NamedTuple, TextIO

STDERR = 2
SECONDS = 5.0  # that a cluster has to answer
QUIET = {"RAY_DATA_LOG_LEVEL": "CRITICAL", "RAY_USAGE_STATS_ENABLED": "0"}


def check() -> None:
    """Raises ImportError, in one line, where Ray Data is not installed."""
    if not (find_spec("ray") and find_spec("pyarrow")):
        raise ImportError("Ray is missing: pip install 'voxmend[cluster]'")


class Shares(NamedTuple):
    """How many workers there are, and what each has of the cluster."""

    workers: int
    cpus: int
    gpus: int


def shares(count: int | None = None) -> Shares:
    """The shares of so many workers; by default one for each GPU, or else for each core.

    A worker has a GPU if there are enough for all, and as many cores as all find on its machines.
    Raises ValueError for more workers than cores.
    """
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus, cpus = (int(sum(node.get(kind, 0) for node in nodes)) for kind in ("GPU", "CPU"))
    count = count or gpus or cpus
    if count > max(gpus, cpus):
        raise ValueError(f"--workers {count}: the cluster has {cpus} cores")
    cores = next(share for share in range(max(1, cpus // count), -1, -1)
                 if share == 0 or sum(node.get("CPU", 0) // share for node in nodes) >= count)
    return Shares(count, cores, int(gpus >= count))


class _OfOneThread:
    """A stream that takes what its own thread writes."""

    def __init__(self, stream: TextIO):
        self.stream, self.thread = stream, threading.get_ident()

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        return self.stream.write(text) if threading.get_ident() == self.thread else len(text)


@contextmanager
def _quiet() -> Iterator[None]:
    """Throws away what Ray's threads and its native code print, mostly of workers that died."""
    with ExitStack() as stack:
        kept = os.dup(STDERR)
        stack.callback(os.close, kept)
        ours = sys.stderr
        if ours.isatty() or ours is sys.__stderr__:
            ours = stack.enter_context(os.fdopen(os.dup(STDERR), "w", buffering=1))
        null = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, null)
        stack.callback(os.dup2, kept, STDERR)
        os.dup2(null, STDERR)
        stack.enter_context(redirect_stdout(_OfOneThread(sys.stdout)))  # type: ignore[type-var]
        stack.enter_context(redirect_stderr(_OfOneThread(ours)))  # type: ignore[type-var]
        yield


@contextmanager
def connected(address: str, cpus: int, interrupted: Callable[[], None]) -> Iterator[None]:
    """A session with Ray; where there is one in this process it is used, and stays.

    Args:
        address: see above.
        cpus: of a cluster that is started here.
        interrupted: called at KeyboardInterrupt in place of Ray's orderly end, which takes seconds.

    Raises RuntimeError, in one line, where no cluster answers.
    """
    check()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    with _quiet():
        try:
            _init(address, cpus)
            yield
        except KeyboardInterrupt:
            interrupted()
            raise
        except BaseException:
            ray.shutdown()
            raise
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError where nobody listens, for whom Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal()):
        raise OSError("give local, auto or HOST:PORT")
    socket.create_connection((host, int(port)), SECONDS).close()


def _init(address: str, cpus: int) -> None:
    import ray

    local: dict[str, Any] = {}
    if address == "local":
        local = {"num_cpus": cpus, "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)  # which Ray replaces
    try:
        if address not in ("local", "auto"):
            _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **local)
    except (OSError, ValueError, RuntimeError) as error:
        raise RuntimeError(f"--ray {address}: no cluster answers ({error}); start one by ray "
                           "start --head, or give --ray local") from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
