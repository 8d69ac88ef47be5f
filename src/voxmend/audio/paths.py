"""Outputs that appear whole or not at all."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from .errors import AudioError, encoding


def check_free(target: Path, overwrite: bool) -> None:
    """Raises AudioError at once, before minutes of work, where an output cannot be put."""
    if target.is_dir():
        raise AudioError(f"{target}: a folder; name a file in it")
    if not target.parent.is_dir():
        raise AudioError(f"{target}: no such folder as {target.parent}; make it first")
    if target.exists() and not overwrite:
        raise AudioError(f"{target}: exists already; add --overwrite or use another name")
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
    if path.is_dir():
        raise AudioError(f"{path}: is a folder: name a file in it")
    if path.exists() and not overwrite:
        raise AudioError(f"{path}: exists already: choose another name, or add --overwrite")
    temporary = path.with_name(f".voxmend-{secrets.token_hex(4)}{path.suffix}")
    with encoding(path):
        temporary.touch(exist_ok=False)
    try:
        yield temporary
        with encoding(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
