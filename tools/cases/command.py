"""The command `voxmend`, run inside this process as a shell would run it."""

import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from voxmend.cli import main as cli


class Outcome(NamedTuple):
    """How a command ended; `code` is None after an exception that it let through."""

    code: int | None
    out: bytes
    errors: tuple[str, ...]
    traceback: str = ""

    @property
    def refused(self) -> bool:
        """Whether it said no as it should: exit code 2 and one line on stderr."""
        return self.code == 2 and len(self.errors) == 1 and self.errors[0].startswith("voxmend: ")

    @property
    def text(self) -> str:
        """What it printed on stdout."""
        return self.out.decode(errors="replace").strip()


@contextmanager
def redirected(descriptor: int, name: str, file: IO[bytes], mode: str) -> Iterator[None]:
    """A standard stream that goes to a file, whoever writes: Python, or a codec's C."""
    python, kept = getattr(sys, name), os.dup(descriptor)
    if mode == "w":
        python.flush()
    os.dup2(file.fileno(), descriptor)
    try:
        with os.fdopen(os.dup(descriptor), mode, encoding="utf-8", errors="replace") as stream:
            setattr(sys, name, stream)
            yield
    finally:
        setattr(sys, name, python)
        os.dup2(kept, descriptor)
        os.close(kept)


def run(*args: object, stdin: Path | None = None) -> Outcome:
    """Runs `voxmend ARGS`; no exception leaves it."""
    code: int | None = None
    told = ""
    with ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        with ExitStack() as streams:
            streams.enter_context(redirected(1, "stdout", out, "w"))
            streams.enter_context(redirected(2, "stderr", err, "w"))
            given = streams.enter_context(open(stdin or os.devnull, "rb"))  # noqa: PTH123
            streams.enter_context(redirected(0, "stdin", given, "r"))
            try:
                code = cli.main([str(arg) for arg in args])
            except SystemExit as leaving:
                code = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
            except BaseException:
                told = traceback.format_exc()
        for file in (out, err):
            file.seek(0)
        printed, errors = out.read(), err.read().decode(errors="replace")
    return Outcome(code, printed, tuple(line for line in errors.splitlines() if line.strip()), told)
