"""Outputs in work: each job holds a lock, and its outputs in a hidden folder until all are whole.

    OUT/.voxmend-1f0c…/   lock, the outputs, and once they are whole: sidecar.json, moves.json

The lock is the kernel's and ends with the process that holds it, however that ends. What a killed
process left is settled by whoever comes next: if there is a `moves.json` the outputs were whole and
are moved to their places, else they are removed.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from .. import audio
from ..audio import urls
from .folders import PIPE, is_stream
from .sidecars import sidecar, unfinished
from .stopping import deferred

PREFIX = ".voxmend-"
PARTIAL = re.compile(r"\.voxmend-[0-9a-f]{8}(\..*)?")  # a file that `audio.atomic_path` writes to
STALE = 24 * 3600.0  # seconds since the last write, after which nobody does
_said: set[str] = set()  # of outputs that have no place, each once
_held: set[Path] = set()  # folders whose locks this process has
_settling = Lock()  # of those, which the thread that ends this process settles as well


class Taken(audio.AudioError):
    """An output that another process is working on."""


class Claim:
    """The right to make some outputs.

    Attributes:
        made: where each is to be written.
    """

    def __init__(self, outputs: Sequence[Path], folder: Path):
        self.outputs, self.folder = outputs, folder
        self.made = [folder / _name(path) for path in outputs]

    def commit(self, told: dict[str, Any]) -> None:
        """Puts the outputs, then a sidecar that says this, in their places: from here they are."""
        if is_stream(self.outputs[0]):
            _pour(self.made[0], self.outputs[0])
            return
        text = json.dumps(told, indent=2) + "\n"
        (self.folder / "sidecar.json").write_text(text, encoding="utf-8")
        places = [*map(_follow, self.outputs), _follow(sidecar(self.outputs[0]))]
        moves = {path.name: os.path.relpath(place, self.folder) for path, place in
                 zip([*self.made, self.folder / "sidecar.json"], places, strict=True)}
        written = self.folder / "moves"
        written.write_text(json.dumps(moves), encoding="utf-8")
        written.replace(self.folder / "moves.json")

    def rename(self, text: str) -> str:
        """A message with the names of the outputs in the place of where they are being written."""
        for made, path in zip(self.made, self.outputs, strict=True):
            text = text.replace(str(made), str(path))
        return text


class Sending(Claim):
    """A claim on outputs by URL, which are made on this machine and sent when all are whole.

    There is no lock: of two that make the same output the last one sends it, whole. What is killed
    while it sends leaves a note, by which the next one knows the outputs for voxmend's.
    """

    def commit(self, told: dict[str, Any]) -> None:
        note = unfinished(self.outputs[0])
        urls.send_json(told, note)
        for made, path, entry in zip(self.made, self.outputs, told["outputs"], strict=True):
            urls.send(made, path)
            entry["modified"] = urls.describe(path)["modified"]
        urls.send_json(told, sidecar(self.outputs[0]))
        note.unlink()


@contextmanager
def claim(outputs: Sequence[Path]) -> Iterator[Claim]:
    """The claim on some outputs, which lie in one folder.

    At the end they are in their places if they were committed; else nothing is left of them.
    Raises Taken if another process has it, and AudioError where nothing can be written.
    """
    if is_stream(outputs[0]):
        with TemporaryDirectory(prefix="voxmend-") as kept, _renamed(
                Claim(outputs, Path(kept))) as pouring:
            yield pouring
        return
    if urls.is_remote(outputs[0]):
        with TemporaryDirectory(prefix="voxmend-") as kept, _renamed(
                Sending(outputs, Path(kept))) as sending:
            yield sending
        return
    target = _follow(outputs[0])
    new = [parent for parent in target.parents if not parent.exists()]
    folder = target.parent / (PREFIX + hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16])
    lock = None
    try:
        with deferred(), _writing(outputs[0]):
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = _lock(folder)
            if lock is not None:
                _held.add(folder)
        if lock is None:
            raise Taken(f"{outputs[0]}: {_owner(folder)} works on it; wait, or use another name")
        settle(folder, keep=True)
        _check_places(outputs)
        with _renamed(Claim(outputs, folder)) as claimed:
            yield claimed
    finally:
        with deferred():  # a second Ctrl-C
            if lock is not None:
                try:
                    with _settling:
                        settle(folder)
                finally:
                    _held.discard(folder)
                    os.close(lock)
            for parent in new:
                with suppress(OSError):  # it holds something
                    parent.rmdir()


def _name(path: Path) -> str:
    """What an output is called while it is made; a pipe or device without a suffix has a wav."""
    if path == PIPE:
        return "stdout.wav"
    return path.name + ".wav" * (is_stream(path) and not path.suffix)


@contextmanager
def _renamed(claimed: Claim) -> Iterator[Claim]:
    """A claim whose failures name the outputs, and not where they are being written."""
    try:
        yield claimed
    except audio.AudioError as error:
        raise audio.AudioError(claimed.rename(str(error))) from error
    except OSError as error:
        if not str(error.filename).startswith(str(claimed.folder)):
            raise
        raise _refusal(claimed.outputs[0], error) from error


def settle(folder: Path, keep: bool = False) -> None:
    """Moves outputs that are whole to their places and removes what else a claim's folder holds.

    Its lock must be held. It is safe to be killed here: the next one goes on. Raises AudioError
    for a place where an output cannot be put; it stays in the folder.

    Args:
        keep: the folder itself and its lock stay.
    """
    moves: dict[str, str] = {}
    with suppress(FileNotFoundError, ValueError):  # not committed; cut off, as by a power cut
        moves = json.loads((folder / "moves.json").read_text(encoding="utf-8"))
    for name, told in moves.items():
        place = Path(os.path.normpath(folder / told))
        if (folder / name).exists():  # else it was moved already
            check_file(place)  # into a folder it would be moved
            with _writing(place):
                shutil.move(folder / name, place)
    for path in list(folder.iterdir()):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in ("lock", "moves.json"):
            path.unlink()
    (folder / "moves.json").unlink(missing_ok=True)
    if not keep:
        (folder / "lock").unlink()
        with suppress(OSError):  # another process has made its own lock here
            folder.rmdir()


def settle_held() -> None:
    """Settles what this process has in work, before it ends in the midst of it."""
    for folder in list(_held):
        with suppress(OSError, audio.AudioError), _settling:
            settle(folder)


def tidy(folder: Path) -> None:
    """Settles what killed processes have left in a folder; stderr is told what has no place."""
    for left in folder.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if (left / "lock").exists():
                _resume(left)
            elif PARTIAL.fullmatch(left.name) and time.time() - left.stat().st_mtime > STALE:
                left.unlink()


def _resume(left: Path) -> None:
    """Settles a claim's folder, if nobody has its lock."""
    lock = _lock(left)
    if lock is None:
        return
    try:
        settle(left)
    except audio.AudioError as error:
        text = f"voxmend: {error}, or remove {left}, where the output waits"
        if text not in _said:
            print(text, file=sys.stderr)
        _said.add(text)
    finally:
        os.close(lock)


def in_work(folder: Path) -> bool:
    """Whether there are outputs in work in a folder, or such as have no place."""
    return any(path.is_dir() for path in folder.glob(f"{PREFIX}*"))


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder, which is made; None if another process does."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT)
        except FileNotFoundError:  # removed in between, with its folder
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), (folder / "lock").stat()):
                os.ftruncate(lock, 0)
                os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
                return lock
        os.close(lock)  # of a lock that was removed in between


def _owner(folder: Path) -> str:
    """Who holds a lock."""
    with suppress(OSError):
        return (folder / "lock").read_text(encoding="utf-8") or "another process"
    return "another process"


def claimed_as(path: Path) -> Path:
    """Where an output in work will be; of any other file its name."""
    if path.parent.name.startswith(PREFIX):
        return path.parent.parent / path.name
    return Path(path.name)


def _follow(path: Path) -> Path:
    """Where an output really is: behind a link, which stays."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Raises what the file system refuses as an AudioError that names an output."""
    try:
        yield
    except BrokenPipeError:  # no fault: its reader has seen enough
        raise
    except (FileExistsError, NotADirectoryError) as error:
        raise audio.AudioError(f"{error.filename}: a file; name a folder") from error
    except OSError as error:
        raise _refusal(target, error) from error


def _refusal(target: Path, error: OSError) -> audio.AudioError:
    return audio.AudioError(f"{target}: cannot be written ({(error.strerror or '').lower()}): check"
                            " that its folder exists, is writable and has space left")


def _check_places(outputs: Sequence[Path]) -> None:
    """Raises AudioError where a folder has the name of an output or its sidecar, or lacks one."""
    for path in (*outputs, sidecar(outputs[0])):
        check_file(path)
        if not (place := _follow(path)).parent.is_dir():
            raise audio.AudioError(f"{path}: a link to {place}, whose folder is missing: make that "
                                   "or remove the link")


def check_file(path: Path) -> None:
    """Raises AudioError where a folder has the name of a file."""
    if path.is_dir():
        raise audio.AudioError(f"{path}: a folder, where a file is to go; rename it")


def _pour(made: Path, target: Path) -> None:
    """Writes a file through to a pipe or a device."""
    sys.stdout.flush()
    name = Path("stdout") if target == PIPE else target
    with _writing(name), made.open("rb") as source, (
            open(1, "wb", closefd=False) if target == PIPE else target.open("wb")) as sink:
        shutil.copyfileobj(source, sink)
