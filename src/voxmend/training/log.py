"""A run's log: a line of JSON for every step and validation, and TensorBoard."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor

from ..audio.errors import encoding
from .ranks import Ranks


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of another when all of it is on disk, so a whole one is there.

    It has one name, so that those of killed runs do not pile up. Raises AudioError where it cannot
    be written.
    """
    partial = path.with_suffix(".part")
    try:
        with encoding(path):
            with partial.open("wb") as file:
                try:
                    yield file
                except RuntimeError as error:  # torch.save's, of what the system said before
                    if isinstance(error.__context__, OSError):
                        raise error.__context__ from None
                    raise
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class Log:
    """Writes a run's log, and to TensorBoard where that is installed; the first rank does.

    Losses stay on the device until `flush`: to read one at every step would make the next one wait
    for it.
    """

    def __init__(self, path: Path, ranks: Ranks):
        self.path, self.ranks = path, ranks
        self._board = _tensorboard(path.parent) if ranks.first else None
        self._file = path.open("a", buffering=1) if ranks.first else None
        self._kept: list[tuple[int, Tensor]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
        with encoding(self.path):
            for out in filter(None, (self._file, self._board)):
                out.close()

    def keep(self, step: int, loss: Tensor, norm: Tensor) -> None:
        """Keeps the loss of a step, of this rank's examples, and the gradient's norm."""
        self._kept.append((step, torch.stack([loss, norm])))

    def flush(self) -> None:
        """Writes what is kept, the losses over all ranks."""
        if not self._kept:
            return
        values = torch.stack([pair for _, pair in self._kept])
        losses = self.ranks.total(values[:, 0].contiguous()) / self.ranks.count
        for (step, _), loss, norm in zip(self._kept, losses.tolist(), values[:, 1].tolist(),
                                         strict=True):
            self.write(step, {"loss": loss, "gradient_norm": norm})
        self._kept.clear()

    def write(self, step: int, entry: dict[str, Any]) -> None:
        """Writes an entry of numbers, or of several of them by their names."""
        if self._file:
            with encoding(self.path):
                self._file.write(json.dumps({"step": step, **entry}) + "\n")
        if self._board:
            for name, value in entry.items():
                values = value if isinstance(value, dict) else {"": value}
                for suffix, number in values.items():
                    self._board.add_scalar(f"{name}/{suffix}".rstrip("/"), number, step)


def drop_after(path: Path, step: int) -> None:
    """Drops the lines of a log that are newer than a step, and those that are not whole."""
    lines = path.read_bytes().splitlines() if path.exists() else []
    with replacing(path) as file:
        file.writelines(line + b"\n" for line in lines if _step(line) <= step)


def _step(line: bytes) -> float:
    """Of a line of the log; of one that a full disk or a crash cut off, infinity."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, ArithmeticError, LookupError, TypeError):
        return math.inf


def _tensorboard(folder: Path) -> Any:
    """A TensorBoard writer where TensorBoard is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
