"""Outputs that appear whole or not at all."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from .errors import AudioError, encoding


def _check_name(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise AudioError(f"{target}: is a folder: name a file in it")
    if target.exists() and not overwrite:
        raise AudioError(f"{target}: exists already: choose another name, or add --overwrite")


def check_free(target: Path, overwrite: bool) -> None:
    """Raises AudioError at once, before minutes of work, where an output cannot be put."""
    _check_name(target, overwrite)
    if not target.parent.is_dir():
        raise AudioError(f"{target}: no such folder as {target.parent}; make it first")
    with encoding(target), TemporaryFile(dir=target.parent):
        pass  # where a file can be made one can be put


@contextmanager
def atomic_path(path: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on any exception.

    It keeps the suffix of `path`. Raises AudioError if `path` exists and may not be overwritten,
    is a folder, or lies where nothing can be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with atomic_path(f"{folder}/a.txt") as temporary:
    ...         _ = temporary.write_text("whole or not at all")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    path = Path(path)
    _check_name(path, overwrite)
    temporary = path.with_name(f".voxmend-{secrets.token_hex(4)}{path.suffix}")
    with encoding(path):
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        with encoding(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
