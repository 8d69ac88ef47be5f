"""Recordings in the rows of a Ray data set, restored: `restore(dataset, task) -> dataset`.

    {"path"} or {"audio", "sample_rate"}, … ─▶ … and {"audio", "sample_rate", "error"}
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import audio
from ..audio import urls
from ..restore.restorer import Restorer
from ..restore.tasks import TASKS, Task
from ..systems import separator
from . import session

if TYPE_CHECKING:
    import ray.data

ENHANCERS = ("enhance", "dereverb")  # tasks of networks that listen


def restore(dataset: "ray.data.Dataset", task: str | Task = "mend", workers: int | None = None,
            **options: Any) -> "ray.data.Dataset":
    """Restores the recording of every row, by actors that load the weights once each.

    A row has a "path", of a file or a URL, or "audio" and its "sample_rate" in Hz. What it has
    besides stays. A recording is in memory as a whole, so cut what lasts hours, or use the command.
    What is wrong with a recording is said in "error", and its "audio" is then empty; elsewhere
    "error" is "".

    Args:
        task: a name from `TASKS`, a Task of one's own, "enhance" or "dereverb".
        workers: actors; by default one for each GPU of the cluster, or else for each core.
        options: of `Restorer`, or of `systems.separator.load`.

    Shape: audio `[T]` or `[C, T]` float to the same (of a path `[C, T]`), as
    `Restorer.__call__`, float32.

    Raises ValueError for an unknown task or more workers than the cluster has cores, ImportError
    without the extra `cluster`.
    """
    session.check()
    import ray
    from ray.data import ActorPoolStrategy

    if isinstance(task, str) and task not in (*TASKS, *ENHANCERS):
        raise ValueError(f"unknown task {task!r}; known: {', '.join((*TASKS, *ENHANCERS))}")
    if not ray.is_initialized():
        ray.init()
    share = session.shares(workers)
    return dataset.map(_Mender, fn_constructor_args=(task, options), num_cpus=share.cpus,
                       num_gpus=share.gpus, compute=ActorPoolStrategy(size=share.workers))


class Restored(NamedTuple):
    """A recording `[T]` or `[C, T]` and its rate in Hz."""

    wave: np.ndarray
    sample_rate: int


class _Mender:
    """An actor: the network of a task, and what it makes of rows."""

    def __init__(self, task: str | Task, options: dict[str, Any]):
        self.apply: Callable[[np.ndarray, int], Restored]
        if isinstance(task, str) and task in ENHANCERS:
            self.apply = _enhancing(separator.load(task, "voxmend", **options))
        else:
            self.apply = _mending(Restorer(task, **options))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            wave, rate = self.apply(*_read(row))
            error = ""
        except (ValueError, OSError) as fault:
            wave = np.zeros((1, 0) if "path" in row else (0,) * np.ndim(row["audio"]), np.float32)
            rate, error = int(row.get("sample_rate") or 0), " ".join(str(fault).split())
        return {**row, "audio": wave, "sample_rate": rate, "error": error}


def _enhancing(enhancer: separator.Separator) -> Callable[[np.ndarray, int], Restored]:
    return lambda wave, rate: Restored(enhancer(wave, rate)[0], rate)


def _mending(restorer: Restorer) -> Callable[[np.ndarray, int], Restored]:
    def mend(wave: np.ndarray, rate: int) -> Restored:
        reader = audio.ArrayReader(np.atleast_2d(wave), rate)
        return Restored(restorer(wave, rate), restorer.output_rate(reader))

    return mend


def _read(row: dict[str, Any]) -> Restored:
    """The recording of a row; raises ValueError."""
    if "audio" in row:
        wave = row["audio"]
        if not isinstance(wave, np.ndarray) or wave.dtype == object:  # a list, of lists
            wave = np.stack([np.asarray(part) for part in wave])
        return Restored(wave, int(row["sample_rate"]))
    with urls.fetched([urls.locate(str(row["path"]))]) as (path,):
        reader = audio.Reader(Path(path))
        return Restored(np.concatenate(list(reader.blocks()), axis=1), reader.sample_rate)
