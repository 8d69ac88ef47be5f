"""A function in a process of its own: what it prints, how far it is, how it ends, and an end to it.

What a decoder makes of a bad file, and the memory that a network takes, stay in that process. It
is forked from a server that has loaded the networks' packages already, so it begins at once.
"""

import io
import multiprocessing
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Sequence
from multiprocessing import connection, forkserver
from pathlib import Path
from typing import Any

from tqdm import tqdm

GRACE = 3.0  # seconds that a process has to stop by itself
TICK = 0.25  # seconds between two looks at it
BAR = re.compile(r"(\w+): +(\d+)%\|")  # of tqdm
NOTE = "voxmend: "  # what the command begins a line for the user with

_context = multiprocessing.get_context("forkserver")


class FailedError(RuntimeError):
    """What a user is told of a function that failed, in one line."""


class CancelledError(FailedError):
    """It was stopped."""


def warm_up(modules: Sequence[str]) -> None:
    """Starts the server that processes are forked from, with these modules loaded."""
    _context.set_forkserver_preload(list(modules))
    forkserver.ensure_running()


class _Teller(io.TextIOBase):
    """A terminal, for all that a function knows, whose lines go through a pipe."""

    encoding = "utf-8"

    def __init__(self, pipe: connection.Connection):
        self.pipe = pipe

    def isatty(self) -> bool:
        return True  # so that progress is shown

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.pipe.send(("said", text))
        return len(text)


def end_with_parent() -> None:
    """Waits until the process that has started this one has ended, and ends this one."""
    parent = multiprocessing.parent_process()
    if parent:
        connection.wait([parent.sentinel])
        os._exit(1)


def _serve(pipe: connection.Connection, folder: str, function: Callable[..., Any],
           arguments: Sequence[Any]) -> None:
    """What the process does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent tells it
    threading.Thread(target=end_with_parent, daemon=True).start()
    tqdm.set_lock(threading.RLock())  # no semaphore, which a killed process would leave
    os.chdir(folder)
    terminal = sys.stderr
    sys.stdout = sys.stderr = _Teller(pipe)
    try:
        pipe.send(("made", function(*arguments)))
    except KeyboardInterrupt:
        pass
    except SystemExit:  # it has said why
        pipe.send(("failed", ""))
    except (ValueError, OSError, RuntimeError, MemoryError, ImportError) as error:
        pipe.send(("failed", " ".join(str(error).split()) or type(error).__name__))
    except Exception:
        traceback.print_exc(file=terminal)
        pipe.send(("failed", "something went wrong here, which is not the recording's fault"))


class Process:
    """A function that runs in a process of its own, in a folder.

    Args:
        folder: its working folder, so what it says of a file there names no folder.
        function: at the top of a module; what it returns can be pickled.

    Attributes:
        lines: what it has printed so far.
        made: what it has returned, once `progress` has ended.
    """

    def __init__(self, folder: Path, function: Callable[..., Any], *arguments: Any):
        self.lines: list[str] = []
        self.made: Any = None
        self._rest, self._cancelled, self._folder = "", False, f"{folder}/"
        self._failed: str | None = None
        self._pipe, theirs = _context.Pipe(duplex=False)
        self._process = _context.Process(
            target=_serve, args=(theirs, str(folder), function, arguments), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.is_alive()

    @property
    def notes(self) -> list[str]:
        """What it has said to the user, as the command does on stderr."""
        return [line.removeprefix(NOTE) for line in self.lines if line.startswith(NOTE)]

    def progress(self) -> Generator[tuple[str, float]]:
        """What it does and which share of that is done, now and then until it has ended.

        Raises: FailedError with the line that says why, CancelledError after `cancel`.
        """
        state = ("", 0.0)
        try:
            while self.made is None and self._failed is None:
                yield state
                if not self._pipe.poll(TICK):
                    continue
                kind, what = self._pipe.recv()
                if kind == "said":
                    state = self._hear(what) or state
                elif kind == "made":
                    self.made = what
                else:
                    self._failed = what
        except EOFError:
            pass
        finally:
            self.cancel(self._cancelled)
            self._pipe.close()
        if self._cancelled:
            raise CancelledError("cancelled; nothing was kept")
        if self._failed is not None:
            line = self._failed or (self.notes or ["it failed"])[-1]
            raise FailedError(line.replace(self._folder, ""))
        if self.made is None:
            raise FailedError("the work ended too soon, as of too little memory; try a shorter "
                              "recording")

    def _hear(self, text: str) -> tuple[str, float] | None:
        """Takes what was printed apart into lines and bars; the last bar, if there is one."""
        *whole, self._rest = re.split(r"[\r\n]", self._rest + text)
        bars = [bar for bar in map(BAR.match, [*whole, self._rest]) if bar]
        self.lines += [line for line in whole if line.strip() and not BAR.match(line)]
        return (bars[-1][1], int(bars[-1][2]) / 100) if bars else None

    def cancel(self, told: bool = True) -> None:
        """Stops it, if it has not ended.

        Args:
            told: whether somebody wanted that.
        """
        self._cancelled = self._cancelled or (told and self.made is None and self._failed is None)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(GRACE)
            self._process.kill()
