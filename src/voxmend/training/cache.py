"""Decoded recordings on disk: int16, mono, at one rate, in shards that are never changed.

    cache/16000-00000.int16    samples of many recordings, one after another, 1 GiB at most
    cache/16000-00000.npz      which these are: key, length and RMS of each, written last

What a cache lacks goes into new shards, so files that are added later cost their own decoding only,
as does a build that was interrupted. A key tells a file by its place, size and time of change.
"""

import hashlib
import os
import sys
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import compress, islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from filelock import FileLock, Timeout
from tqdm import tqdm

from .. import audio
from ..audio.errors import encoding
from .decoding import Samples, decode
from .manifest import Recording

SHARD_BYTES = 2**30
FORMAT = 2  # of the samples: shards of an earlier one are of no use


def key(recording: Recording, sample_rate: int) -> bytes:
    """What tells a decoded recording from all others, 20 hexadecimal digits.

    Raises AudioError where there is no such file.
    """
    try:
        state = recording.path.stat()
    except OSError:
        raise audio.AudioError(f"{recording.path}: no such file") from None
    told = (str(recording.path.resolve()), state.st_size, state.st_mtime_ns, recording.start,
            recording.seconds, recording.channel, sample_rate, FORMAT)
    return hashlib.sha256(repr(told).encode()).hexdigest()[:20].encode()


class _Index(NamedTuple):
    """What the shards of a cache hold, sorted by keys."""

    keys: np.ndarray
    shard: np.ndarray
    start: np.ndarray
    length: np.ndarray
    rms: np.ndarray

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of keys, and whether they are there. Shape: `[n]` to `[n]` twice."""
        if not len(self.keys):
            return np.zeros(len(keys), int), np.zeros(len(keys), bool)
        rows = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        return rows, self.keys[rows] == keys


def _read_index(cache: Path, sample_rate: int) -> _Index:
    parts = []
    for path in sorted(cache.glob(f"{sample_rate}-*.npz")):
        stored = np.load(path)
        length = stored["lengths"]
        shard = np.full(len(length), int(path.stem.partition("-")[2]))
        parts.append((stored["keys"], shard, length.cumsum() - length, length, stored["rms"]))
    if not parts:
        return _Index(*[np.zeros(0, kind) for kind in ("S20", int, int, int, np.float32)])
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = columns[0].argsort(kind="stable")
    return _Index(*[column[order] for column in columns])


class _Shard:
    """A shard that is being written; it counts from when it is closed, if all of it was written."""

    def __init__(self, cache: Path, sample_rate: int):
        numbers = [int(p.stem.partition("-")[2]) for p in cache.glob(f"{sample_rate}-*.npz")]
        self.path = cache / f"{sample_rate}-{max(numbers, default=-1) + 1:05}.int16"
        self.bytes = 0
        self._entries: list[tuple[bytes, int, np.float32]] = []

    def __enter__(self) -> Self:
        self._partial = self.path.with_suffix(".part")
        with encoding(self.path):
            self._file = self._partial.open("wb")
        return self

    def add(self, key: bytes, samples: Samples) -> None:
        try:
            with encoding(self.path):
                self._file.write(samples.wave.tobytes())
        except audio.AudioError:
            self._entries.clear()
            raise
        self._entries.append((key, len(samples.wave), samples.rms))
        self.bytes += samples.wave.nbytes

    def __exit__(self, *exception: Any) -> None:
        try:
            if self._entries:
                with encoding(self.path):
                    self._keep(self._file, self.path)
                    keys, lengths, rms = zip(*self._entries, strict=True)
                    with self._partial.open("wb") as file:
                        np.savez(file, keys=np.array(keys), lengths=np.array(lengths),
                                 rms=np.array(rms))
                        self._keep(file, self.path.with_suffix(".npz"))
        finally:
            with suppress(OSError):  # of a full disk, which has been told
                self._file.close()
            self._partial.unlink(missing_ok=True)

    def _keep(self, file: Any, path: Path) -> None:
        file.flush()
        os.fsync(file.fileno())
        self._partial.replace(path)


Keyed = tuple[bytes, Recording]


def _files(lacking: dict[bytes, Recording]) -> list[list[Keyed]]:
    """Recordings by their files, as `decode` takes them: whole ones, and parts of one together."""
    files: dict[tuple[Path, bool], list[Keyed]] = {}
    for key, some in lacking.items():
        files.setdefault((some.path, some.seconds is None), []).append((key, some))
    return [sorted(parts, key=lambda part: part[1].start) for parts in files.values()]


def _decoded(lacking: dict[bytes, Recording], sample_rate: int, workers: int
             ) -> Iterator[tuple[bytes, Samples | audio.AudioError]]:
    """What recordings are by their keys, file by file, by threads: libsndfile has no GIL."""
    def of_file(parts: list[Keyed]) -> list[tuple[bytes, Samples | audio.AudioError]]:
        keys, recordings = zip(*parts, strict=True)
        return list(zip(keys, decode(recordings, sample_rate), strict=True))

    with ThreadPoolExecutor(workers) as threads:
        coming = (threads.submit(of_file, parts) for parts in _files(lacking))
        waiting = deque(islice(coming, workers + 1))  # of whole files, which fill the memory
        while waiting:
            yield from waiting.popleft().result()
            waiting.extend(islice(coming, 1))


def _sound(found: Iterable[tuple[bytes, Samples | audio.AudioError]], faults: Counter[str]
           ) -> Iterator[tuple[bytes, Samples]]:
    """Those that could be decoded; what is wrong with others goes to `faults`."""
    for key, samples in found:
        if isinstance(samples, audio.AudioError):
            faults[str(samples)] += 1  # said once, of a file that has many parts
        else:
            yield key, samples


def _processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _sole_builder(cache: Path) -> Iterator[None]:
    """Where one process at a time is; the system opens the lock of one that dies."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache / "decoding.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        print(f"{cache}: another process decodes there; waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def fill(recordings: Sequence[Recording], keys: np.ndarray, cache: Path, sample_rate: int,
         workers: int | None = None) -> None:
    """Decodes into a cache what it lacks; one process at a time does, others wait.

    Args:
        keys: of the recordings.
        workers: threads; by default one for each processor.

    Raises AudioError for recordings that cannot be decoded, when all others are: of several, each
    has a line on stderr.
    """
    with _sole_builder(cache):
        _, there = _read_index(cache, sample_rate).find(keys)
        lacking = dict(compress(zip(keys, recordings, strict=True), ~there))
        found = _decoded(lacking, sample_rate, workers or _processors())
        faults = Counter[str]()
        pairs = _sound(tqdm(found, "decoding", len(lacking), unit="file"), faults)
        pair = next(pairs, None)
        while pair:
            with _Shard(cache, sample_rate) as shard:
                while pair and (not shard.bytes
                                or shard.bytes + pair[1].wave.nbytes <= SHARD_BYTES):
                    shard.add(*pair)
                    pair = next(pairs, None)
    if len(faults) > 1:
        print(*faults, sep="\n", file=sys.stderr)
        raise audio.AudioError(f"{faults.total()} recordings of {len(recordings)} cannot be read, "
                               "as said above: fetch them again, or take them out")
    for fault in faults:
        raise audio.AudioError(fault)


class Decoded:
    """Recordings as they lie in a cache, mapped, so that memory stays small.

    `decoded[i]` is recording i, int16. The cache is filled first with what it lacks, as `fill`
    does it.

    Attributes:
        lengths: in samples.
        rms: of samples in −1…1.
    """

    def __init__(self, recordings: Sequence[Recording], cache: Path, sample_rate: int):
        keys = np.array([key(some, sample_rate) for some in recordings])
        index = _read_index(cache, sample_rate)
        rows, there = index.find(keys)
        if not there.all():
            fill(recordings, keys, cache, sample_rate)
            index = _read_index(cache, sample_rate)
            rows, _ = index.find(keys)
        self.lengths, self.rms = index.length[rows], index.rms[rows]
        self._shard, self._start = index.shard[rows], index.start[rows]
        self._maps = {n: np.memmap(cache / f"{sample_rate}-{n:05}.int16", np.int16, "r")
                      for n in np.unique(self._shard)}

    def __getitem__(self, i: int) -> np.ndarray:
        start = self._start[i]
        return self._maps[self._shard[i]][start:start + self.lengths[i]]
