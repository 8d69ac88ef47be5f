"""A run's log: a line of JSON for every step and validation, and TensorBoard."""

import json
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from .ranks import Ranks


class Log:
    """Writes a run's log, and to TensorBoard where that is installed; the first rank does.

    Losses stay on the device until `flush`: to read one at every step would make the next one wait
    for it.
    """

    def __init__(self, path: Path, ranks: Ranks):
        self.ranks, self._board = ranks, _tensorboard(path.parent) if ranks.first else None
        self._file = path.open("a", buffering=1) if ranks.first else None
        self._kept: list[tuple[int, Tensor]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: Any) -> None:
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
            self._file.write(json.dumps({"step": step, **entry}) + "\n")
        if self._board:
            for name, value in entry.items():
                values = value if isinstance(value, dict) else {"": value}
                for suffix, number in values.items():
                    self._board.add_scalar(f"{name}/{suffix}".rstrip("/"), number, step)


def drop_after(path: Path, step: int) -> None:
    """Drops the lines of a log that are newer than a step, and one that is not whole."""
    lines = path.read_text().splitlines() if path.exists() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= step]
    partial = path.with_suffix(".part")
    partial.write_text("".join(line + "\n" for line in kept))
    partial.replace(path)


def _tensorboard(folder: Path) -> Any:
    """A TensorBoard writer where TensorBoard is installed, else None."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))
