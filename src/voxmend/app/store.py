"""Recordings of visitors: each in a folder of its own, known by a secret, removed when unused.

    ROOT/SECRET/source/NAME          what was uploaded
    ROOT/SECRET/found.html           what is wrong with it
    ROOT/SECRET/1/NAME, OUT, ...     the first run, with a link to it
    ROOT/SECRET/1.html               what came of that
"""

import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .examine import Found
from .limits import KEPT_SECONDS, MOST_RECORDINGS, UNSEEN_SECONDS
from .process import Process

LONGEST = 120  # bytes of a name, so that those of outputs fit as well
SOURCE = "source"


class GoneError(ValueError):
    """A recording that is not, or no longer, there."""


class BusyError(ValueError):
    """A recording that something else is done with."""

    def __init__(self) -> None:
        super().__init__("the recording is being worked on: wait, or cancel that")


class FullError(ValueError):
    """There is no room for another recording."""


def safe_name(name: str) -> str:
    r"""A file's name without folders, control characters, or what a shell takes for an option.

    >>> safe_name("../../etc/passwd"), safe_name("C:\\a\\b.wav"), safe_name("-rf.wav")
    ('passwd', 'b.wav', 'rf.wav')
    >>> safe_name("..\x00/")
    'recording'
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = Path("".join(c for c in last if c.isprintable()).strip().lstrip(".-~ "))
    stem = kept.stem.encode("utf-8", "ignore")[:LONGEST].decode("utf-8", "ignore")
    suffix = kept.suffix[:10].encode("ascii", "ignore").decode()
    return f"{stem}{suffix}" or "recording"


@dataclass
class Recording:
    """What a visitor has uploaded, and what was made of it.

    Attributes:
        secret: who knows it may see the files.
        folder: of all of them.
        name: of the file uploaded.
        found: what is wrong with it; None until that is known.
        used: when it was last used, by `time.monotonic`.
        runs: their number so far.
        work: what is being done, or was done last.
    """

    secret: str
    folder: Path
    name: str
    found: Found | None = None
    used: float = field(default_factory=time.monotonic)
    runs: int = 0
    work: Process | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def path(self) -> Path:
        """The file uploaded."""
        return self.folder / SOURCE / self.name

    @contextmanager
    def new_run(self) -> Iterator[Path]:
        """A new folder, in which the file uploaded has its name, for a run that makes `work`.

        It goes again, with the page beside it, where the run does not come to its end.
        """
        with self._lock:
            self.runs += 1
            folder = self.folder / str(self.runs)
        folder.mkdir()
        try:
            if self.path.exists():
                os.link(self.path, folder / self.name)
            yield folder
        except BaseException:  # GeneratorExit as well, when nobody follows it any more
            shutil.rmtree(folder, ignore_errors=True)
            folder.with_name(f"{folder.name}.html").unlink(missing_ok=True)
            raise

    def start(self, folder: Path, function: Callable[..., Any], *arguments: Any) -> Process:
        """Begins work as `Process` does; raises BusyError while other work runs."""
        with self._lock:
            if self.running:
                raise BusyError
            self.work = Process(folder, function, *arguments)
            return self.work

    @property
    def running(self) -> bool:
        """Whether something is being done."""
        return self.work is not None and self.work.running

    def cancel(self) -> None:
        """Stops what is being done, or has just been asked for."""
        with self._lock:
            if self.work:
                self.work.cancel()


class Store:
    """All recordings of a server; safe to be used by several threads.

    Args:
        root: an empty folder.
        kept: seconds after which a recording that nobody uses is removed.
        unseen: the same of an upload that nothing has begun to examine.
        most: recordings at a time.
    """

    def __init__(self, root: Path, kept: float = KEPT_SECONDS, unseen: float = UNSEEN_SECONDS,
                 most: int = MOST_RECORDINGS):
        self.root, self.kept, self.unseen, self.most = root, kept, unseen, most
        self._recordings: dict[str, Recording] = {}
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Store":
        """Itself: gradio copies all that its components hold for every page that it sends.

        A copy of a process's pipe closes, when it goes, a descriptor that belongs to others.
        """
        return self

    def new(self, name: str) -> Recording:
        """A recording whose file is still to be written; raises FullError."""
        self.sweep()
        with self._lock:
            if len(self._recordings) >= self.most:
                raise FullError("the server holds as many recordings as it can: try again in some "
                                "minutes")
            secret = secrets.token_urlsafe(24)
            recording = Recording(secret, self.root / secret, safe_name(name))
            recording.path.parent.mkdir(parents=True)
            self._recordings[secret] = recording
            return recording

    def get(self, secret: str | None) -> Recording:
        """The recording of a secret, which stays for another hour; raises GoneError."""
        with self._lock:
            recording = self._recordings.get(secret or "")
            if recording is None:
                raise GoneError("the recording is gone, as all are an hour after their last use: "
                                "drop it again" if secret else "drop a recording first")
            recording.used = time.monotonic()
            return recording

    def file(self, secret: str, name: str) -> Path:
        """A file of a recording, by its path in the recording's folder; raises GoneError."""
        folder = self.get(secret).folder.resolve()
        with suppress(OSError, ValueError):  # of names that no file can have
            path = (folder / name).resolve()
            if path.is_relative_to(folder) and path.is_file():
                return path
        raise GoneError("there is no such file")

    def remove(self, secret: str) -> None:
        """Stops what is done with a recording and removes its files, if it is there."""
        with self._lock:
            recording = self._recordings.pop(secret, None)
        if recording:
            recording.cancel()
            shutil.rmtree(recording.folder, ignore_errors=True)

    def sweep(self) -> None:
        """Removes what nobody has used for long, unless it is being worked on."""
        now = time.monotonic()
        with self._lock:
            old = [secret for secret, recording in self._recordings.items()
                   if now - recording.used > (self.kept if recording.work else self.unseen)
                   and not recording.running]
        for secret in old:
            self.remove(secret)

    def clear(self) -> None:
        """Removes all."""
        for secret in list(self._recordings):
            self.remove(secret)
