"""Decoders that write to the standard error stream themselves, silenced."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock

STDERR = 2
_ONE_AT_A_TIME = Lock()  # another would take the null device for what it has to restore


@contextmanager
def silenced() -> Iterator[None]:
    """Throws away what the process writes to standard error, C libraries included.

    Threads' lines are lost as well, so only a decoder's own call belongs inside.
    """
    with _ONE_AT_A_TIME, ExitStack() as stack:
        with suppress(OSError):  # it is closed: there is nothing to silence
            kept = os.dup(STDERR)
            stack.callback(os.close, kept)
            null = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, null)
            stack.callback(os.dup2, kept, STDERR)
            os.dup2(null, STDERR)
        yield
