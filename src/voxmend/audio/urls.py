"""Files by URL, in whatever storage fsspec knows: `s3://`, `gs://`, `memory://`, ....

    s3://bucket/in.wav ─ fetched ─▶ temporary folder ─ work ─▶ temporary folder ─ send ─▶ s3://…

What stands for a URL acts like a `Path` of that storage (`upath.UPath`); a local file is fetched
before it is read and sent when it is whole. `file://` is a path of this machine.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from .errors import AudioError

_origins: dict[Path, Path] = {}  # of the copies that there are


def locate(text: str) -> Path:
    """The path that a name or a URL stands for.

    Raises AudioError for storage that no package here knows, with the package to install.

    >>> locate("file:///tmp/a%20b.wav"), is_remote(locate("a.wav"))
    (PosixPath('/tmp/a b.wav'), False)
    """
    scheme, found, _ = text.partition("://")
    if not found or not scheme.isalnum():
        return Path(text)
    if scheme == "file":
        return Path(unquote(urlsplit(text).path))
    try:
        from fsspec.registry import known_implementations
        from upath import UPath
    except ImportError:
        raise AudioError(f"{text}: files by URL need pip install 'voxmend[remote]'") from None
    try:
        path = UPath(text.rstrip("/") if text.count("/") > 3 else text)
        path.fs  # noqa: B018, which imports what serves it
    except ImportError as error:
        package = known_implementations[scheme]["class"].partition(".")[0]
        needs = f"pip install {package}" if package != "fsspec" else str(error)
        raise AudioError(f"{text}: {scheme}:// needs a package: {needs}") from None
    except ValueError as error:
        raise AudioError(f"{text}: no storage that fsspec knows ({error}): check the "
                         "name") from None
    except Exception as error:  # of whatever package serves it
        raise _refusal(text, error) from error
    return cast(Path, path)


def is_remote(path: Path) -> bool:
    """Whether a path stands for a URL."""
    return not isinstance(path, Path)


def _refusal(path: object, error: Exception) -> AudioError:
    said = " ".join(str(error).split()) or type(error).__name__
    return AudioError(f"{path}: cannot be reached ({said}): check the name, the network and the "
                      "credentials")


@contextmanager
def reached(*paths: Path) -> Iterator[None]:
    """Raises what storage raises, of whatever kind, as an AudioError that names the last URL."""
    try:
        yield
    except (ValueError, RuntimeError, MemoryError):  # of the work
        raise
    except Exception as error:  # botocore, aiohttp, gcsfs, ... have their own
        named = [path for path in paths if is_remote(path)]
        if not named:
            raise
        raise _refusal(named[-1], error) from error


def files(folder: Path) -> list[Path]:
    """All files below a folder by URL, in one listing, sorted; hidden ones as well."""
    remote = cast(Any, folder)
    found = (cast(Path, folder / name.removeprefix(remote.path).lstrip("/"))
             for name in remote.fs.find(remote.path))
    return sorted(found, key=str)


def relative(path: Path, folder: Path) -> Path:
    """Where in a folder a file lies, of either kind.

    >>> relative(Path("in/sub/a.wav"), Path("in"))
    PosixPath('sub/a.wav')
    """
    return Path(str(path.relative_to(folder)))


def describe(path: Path) -> dict[str, Any]:
    """Name, bytes and time (nanoseconds since 1970; of storage without times None) of a file."""
    remote = cast(Any, path)
    try:
        modified = round(remote.fs.modified(remote.path).timestamp() * 1e9)
    except NotImplementedError:
        modified = None
    return {"name": path.name, "bytes": remote.fs.size(remote.path), "modified": modified}


@contextmanager
def fetched(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Paths as they are on this machine: of URLs copies, which go at the end.

    Raises AudioError, with the names of the URLs.
    """
    if not any(map(is_remote, paths)):
        yield list(paths)
        return
    with TemporaryDirectory(prefix="voxmend-") as folder:
        copies = {path: Path(folder) / str(number) / path.name.partition("?")[0]  # no signature
                  for number, path in enumerate(paths) if is_remote(path)}
        for path, copy in copies.items():
            _fetch(path, copy)
        _origins.update((copy, path) for path, copy in copies.items())
        try:
            yield [copies.get(path, path) for path in paths]
        except AudioError as error:
            raise AudioError(renamed(str(error))) from error
        finally:
            for copy in copies.values():
                del _origins[copy]


def _fetch(path: Path, copy: Path) -> None:
    copy.parent.mkdir()
    remote = cast(Any, path)
    try:
        remote.fs.get_file(remote.path, str(copy))
    except (FileNotFoundError, IsADirectoryError):
        raise AudioError(f"{path}: no such file: check the name") from None


def origin(path: Path) -> Path | None:
    """The URL of a copy that `fetched` made."""
    return _origins.get(path)


def renamed(text: str) -> str:
    """A message with URLs in the place of their copies."""
    for copy, path in _origins.items():
        text = text.replace(str(copy), str(path))
    return text


def send(made: Path, path: Path) -> None:
    """Puts a local file in the place of a URL, whole or not at all if its storage is so."""
    remote = cast(Any, path)
    remote.fs.makedirs(remote.parent.path, exist_ok=True)
    remote.fs.put_file(str(made), remote.path)


def send_json(told: Any, path: Path) -> None:
    """Writes JSON in the place of a URL."""
    remote = cast(Any, path)
    remote.fs.makedirs(remote.parent.path, exist_ok=True)
    remote.fs.pipe_file(remote.path, (json.dumps(told, indent=2) + "\n").encode())
