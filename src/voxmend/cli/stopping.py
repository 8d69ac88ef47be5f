"""Ctrl-C and SIGTERM while recordings are made: all stops soon, whatever native code is busy with.

    signal ─┬─ KeyboardInterrupt ─▶ contexts close ─▶ the command ends
            └─ a thread waits ─▶ if that takes too long: processes killed, outputs settled, the end

Python raises KeyboardInterrupt only between two instructions of the main thread, which may be long
in coming, and libraries lose it where an exception has nowhere to go.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 1.0  # seconds until the thread acts
INTERRUPTED = 130  # as a shell calls SIGINT
SAID = "voxmend: interrupted; nothing half-written was left"
SIGNALS = {signal.SIGINT, signal.SIGTERM}


def descendants(process: int) -> list[int]:
    """The processes that one has started, and those that these have; Linux tells of them."""
    found = list[int]()
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # it has ended
            for child in map(int, listing.read_text().split()):
                found += [child, *descendants(child)]
    return found


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_descendants(seconds: float = 0.5) -> None:
    """Kills all that this process has started, and waits until they are dead, but no longer."""
    found = descendants(os.getpid())
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    until = time.monotonic() + seconds
    while any(map(_runs, found)) and time.monotonic() < until:
        time.sleep(0.01)


@contextmanager
def deferred() -> Iterator[None]:
    """A context at whose end SIGINT and SIGTERM come that came in it: its steps are not parted."""
    if threading.current_thread() is not threading.main_thread():  # where no signals go
        yield
        return
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        for number in before:
            signal.signal(number, lambda number, frame: heard.append(number))
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if heard:
            signal.raise_signal(heard[0])


@contextmanager
def stopping(settle: Callable[[], None], patience: float = PATIENCE) -> Iterator[None]:
    """A context that ends within about `patience` seconds of SIGINT or SIGTERM.

    Else all that this process has started is killed, and itself says so and ends after `settle()`.
    """
    if threading.current_thread() is not threading.main_thread():  # where no signals go
        yield
        return
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before, over = signal.set_wakeup_fd(told, warn_on_full_buffer=False), threading.Event()
    report = sys.unraisablehook

    def report_others(lost: "sys.UnraisableHookArgs") -> None:
        if lost.exc_type is not KeyboardInterrupt:  # of which the thread knows
            report(lost)

    sys.unraisablehook = report_others

    def watch() -> None:
        while number := os.read(heard, 1):
            if number[0] in SIGNALS and not over.wait(patience):
                kill_descendants()
                settle()
                print(SAID, file=sys.stderr, flush=True)
                os._exit(INTERRUPTED)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        sys.unraisablehook = report
        signal.set_wakeup_fd(before)
        os.close(told)
        watcher.join()
        os.close(heard)
