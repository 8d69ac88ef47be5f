"""Folders of recordings, file by file."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from .. import audio


def each(source: Path, items: Iterable[tuple], work: Callable) -> int:
    """Runs `work(*item)` on all items; if `source` is a folder, a bad one does not stop the rest.

    Returns the exit code: 0, or 2 when some file of a folder failed.
    """
    failed = 0
    for item in items:
        try:
            work(*item)
        except (audio.AudioError, OSError) as error:
            if not source.is_dir():
                raise
            failed += 1
            print(f"voxmend: {error}", file=sys.stderr)
    return 2 if failed else 0
