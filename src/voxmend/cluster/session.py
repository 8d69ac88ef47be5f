"""Being connected to Ray, and what a cluster has room for. Ray is imported when it is needed.

    local       a cluster of this machine alone, which ends with the session
    auto        the cluster that this machine belongs to, started by `ray start`
    HOST:PORT   the head of a cluster
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from typing import Any, NamedTuple, TextIO

QUIET = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_DATA_LOG_LEVEL": "CRITICAL",
         "RAY_USAGE_STATS_ENABLED": "0"}


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
    """A stream that takes what its own thread writes, and not what Ray's threads say of workers."""

    def __init__(self, stream: TextIO):
        self.stream, self.thread = stream, threading.get_ident()

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        return self.stream.write(text) if threading.get_ident() == self.thread else len(text)


@contextmanager
def connected(address: str, cpus: int) -> Iterator[None]:
    """A session with Ray; where there is one in this process it is used, and stays.

    Args:
        address: see above.
        cpus: of a cluster that is started here.

    Raises RuntimeError, in one line, where no cluster answers.
    """
    check()
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    import ray

    if ray.is_initialized():
        yield
        return
    local: dict[str, Any] = {}
    if address == "local":
        local = {"num_cpus": cpus, "include_dashboard": False}
    handler = signal.getsignal(signal.SIGTERM)  # which Ray replaces
    try:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, **local)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise RuntimeError(f"--ray {address}: no cluster answers ({error}); start one by ray "
                               "start --head, or give --ray local") from error
        finally:
            signal.signal(signal.SIGTERM, handler)
        with redirect_stdout(_OfOneThread(sys.stdout)):  # type: ignore[type-var]
            yield
    finally:
        ray.shutdown()
