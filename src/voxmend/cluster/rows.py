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
FAULTS = (ValueError, OSError, RuntimeError, MemoryError)  # of one recording


def restore(dataset: "ray.data.Dataset", task: str | Task = "mend", workers: int | None = None,
            **options: Any) -> "ray.data.Dataset":
    """Restores the recording of every row, by actors that load the weights once each.

    A row has a "path", of a file or a URL, or "audio" and its "sample_rate" in Hz; of both "audio"
    counts, unless it is null. What it has besides stays. A recording is in memory as a whole, so
    cut what lasts hours, or use the command. What is wrong with a recording, or lacks, is said in
    "error", and its "audio" is then empty, its "sample_rate" 0 if it was not read; elsewhere
    "error" is "".

    Args:
        task: a name from `TASKS`, a Task of one's own, "enhance" or "dereverb".
        workers: actors; by default one for each GPU of the cluster, or else for each core.
        options: of `Restorer`, or of `systems.separator.load`.

    Shape: audio `[T]` or `[C, T]` float to the same (of a path `[C, T]`), as
    `Restorer.__call__`, float32.

    Raises ValueError for an unknown task, what is no data set, or more workers than the cluster has
    cores, ImportError without the extra `cluster`.
    """
    session.check()
    import ray
    from ray.data import ActorPoolStrategy, Dataset

    if isinstance(task, str) and task not in (*TASKS, *ENHANCERS):
        raise ValueError(f"unknown task {task!r}; known: {', '.join((*TASKS, *ENHANCERS))}")
    if not isinstance(dataset, Dataset):
        raise ValueError(f"dataset of type {type(dataset).__name__}: give a ray.data.Dataset, as "
                         "ray.data.read_parquet makes")
    if not ray.is_initialized():
        ray.init()
    share = session.shares(workers)
    # actors keep what they hold: without a core for reading and writing they would wait for ever
    return dataset.map(_Mender, fn_constructor_args=(task, options),
                       num_cpus=max(0, share.cpus - 1), num_gpus=share.gpus,
                       scheduling_strategy="SPREAD", compute=ActorPoolStrategy(size=share.workers))


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
        rate, error = 0, ""
        try:
            wave, rate = _read(row)
            wave, rate = self.apply(wave, rate)
        except FAULTS as fault:
            wave, error = _empty(row), " ".join(str(fault).split()) or type(fault).__name__
        return {**row, "audio": wave, "sample_rate": rate, "error": error}


def _enhancing(enhancer: separator.Separator) -> Callable[[np.ndarray, int], Restored]:
    return lambda wave, rate: Restored(enhancer(wave, rate)[0], rate)


def _mending(restorer: Restorer) -> Callable[[np.ndarray, int], Restored]:
    def mend(wave: np.ndarray, rate: int) -> Restored:
        reader = audio.ArrayReader(np.atleast_2d(wave), rate)
        return Restored(restorer(wave, rate), restorer.output_rate(reader))

    return mend


def _told(row: dict[str, Any], column: str) -> Any:
    """What a row has in a column; None for a null, which pandas calls NaN."""
    told = row.get(column)
    return None if isinstance(told, float) and told != told else told


def _read(row: dict[str, Any]) -> Restored:
    """The recording of a row; raises ValueError, with the column that lacks, and OSError."""
    told, name = _told(row, "audio"), _told(row, "path")
    if told is not None:
        return Restored(_wave(told), _rate(_told(row, "sample_rate")))
    if not name:
        raise ValueError('"audio" and "path" are missing: give one of them')
    path = urls.locate(str(name))
    with urls.reached(path), urls.fetched([path]) as (local,):
        reader = audio.Reader(Path(local))
        return Restored(np.concatenate(list(reader.blocks()), axis=1), reader.sample_rate)


def _wave(told: Any) -> np.ndarray:
    if isinstance(told, np.ndarray) and told.dtype != object:
        return told
    try:
        return np.asarray(list(told))  # of lists or arrays
    except (TypeError, ValueError):
        raise ValueError('"audio" is no array: give [samples], or [channels, samples] with as many '
                         "samples in each channel") from None


def _rate(told: Any) -> int:
    if told is None:
        raise ValueError('"sample_rate" is missing: give that of "audio" in Hz')
    try:
        if (rate := float(told)).is_integer():
            return int(rate)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f'"sample_rate" {told!r}: give a whole number of Hz')


def _empty(row: dict[str, Any]) -> np.ndarray:
    """No samples, `[1, 0]` of a row whose recording has channels, `[0]` of others.

    Arrow pickles a column of both, and Ray does not read that back.
    """
    told = _told(row, "audio")
    parts = (told if isinstance(told, list | tuple) else np.atleast_1d(told))[:1]
    channels = "path" in row if told is None else any(np.iterable(part) for part in parts)
    return np.zeros((1, 0) if channels else 0, np.float32)
