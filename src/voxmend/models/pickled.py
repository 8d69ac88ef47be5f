"""PyTorch checkpoints of other projects, read without running any of their code.

Nothing is unpickled but tensors and plain containers: whatever else a checkpoint holds (training
configurations, say) is replaced by placeholders.
"""

from collections import OrderedDict
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals


class CheckpointError(ValueError):
    """A checkpoint that cannot be used: one line that names the file and says why."""


class _Placeholder:
    """Stands for an object of a class that is not known here; forgets what it is given."""

    def __new__(cls, *args: object) -> Any:
        # Items may be put into what was a dict's subclass; torch accepts them for few types.
        return super().__new__(cls) if args else OrderedDict()

    def __setstate__(self, state: object) -> None:
        pass


def read_checkpoint(path: Path) -> Any:
    """What `torch.save` wrote to a file, with placeholders for foreign objects.

    Raises OSError if the file cannot be opened, else CheckpointError.
    """
    foreign = []
    with Path(path).open("rb"):
        pass  # from here on what the system refuses is the fault of what the file holds
    try:
        if is_zipfile(path):  # files from before PyTorch 1.6 hold tensors and plain values only
            foreign = get_unsafe_globals_in_checkpoint(path)
        with safe_globals([(_Placeholder, name) for name in foreign]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # a broken file may raise anything
        holds = f"it asks for {', '.join(sorted(foreign))}" if foreign else (
            "it is damaged or no checkpoint")
        raise CheckpointError(f"{path}: not read, since {holds}; nothing in it was run") from None
