"""What workers are told, and what they answer: whole jobs, and segments of a long recording.

The function that a stream would apply to every segment is made anew in each worker, from the same
weights and arguments, so the result is the same wherever it runs.

    driver:  stream(reader, …, spread=share) ── segments, or their numbers ──▶ workers
             cross-fade, write               ◀── what the function makes ───
"""

import io
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..audio import urls
from ..audio.batches import Function, Segment, apply, at_once, groups
from .folders import Job, each
from .jobs import Streaming, Verb, Work, do

Segments = Iterator[Segment]


class Workers(Protocol):
    """What answers messages: `workers.Pool`, `crew.Crew`."""

    count: int
    reads: bool
    """Workers read recordings by themselves; else segments are sent to them."""

    def map(self, messages: Iterable[Any], ordered: bool = False) -> Iterator[tuple[int, Any]]:
        """Numbers of messages and replies."""


@dataclass
class Loaded:
    """What a worker keeps."""

    verb: Verb
    work: Work
    several: bool
    told: bytes = b""
    """Of which stream, and of which recording, `function` is."""
    function: Function | None = None
    segments: Segments = field(default_factory=lambda: iter(()))
    """Those of the recording that are still to be read."""
    next: int = 0
    """The number of the first of them."""
    copies: ExitStack = field(default_factory=ExitStack)
    """Closes, and removes, what was fetched of the recording."""


@dataclass(frozen=True)
class Group:
    """Segments of a recording that are made at once, and what is told of that."""

    told: bytes
    parts: list[Segment]


@dataclass(frozen=True)
class Part:
    """The numbers of such segments, which a worker reads by itself."""

    told: bytes
    numbers: range


def load(verb: Verb, found: dict[str, bool], several: bool) -> Loaded:
    """What a worker keeps, as the driver has it."""
    from ..models import precision

    precision.told.update(found)
    return Loaded(verb, verb.load(), several)


def answer(loaded: Loaded, message: Job | Group | Part) -> Any:
    """What a worker makes of a message: of a job what it says of it, and whether it failed."""
    if isinstance(message, Job):
        out, error = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(error):
            failed = each([(message,)], lambda job: do(loaded.verb, job, loaded.work,
                                                       loaded.several), several=True)
        return out.getvalue(), error.getvalue(), failed
    if message.told != loaded.told or (isinstance(message, Part)
                                       and message.numbers.start < loaded.next):
        _begin(loaded, message.told)
    assert loaded.function
    if isinstance(message, Group):
        return apply(loaded.function, message.parts)
    for _ in islice(loaded.segments, message.numbers.start - loaded.next):
        pass
    loaded.next = message.numbers.stop
    return apply(loaded.function, [*islice(loaded.segments, len(message.numbers))])


def _begin(loaded: Loaded, told: bytes) -> None:
    """Makes the function of a recording's segments."""
    loaded.copies.close()
    place, arguments = _unpickled(told, loaded.copies)
    loaded.function, segments = _caught(loaded.work.streams[place], arguments)
    loaded.told, loaded.segments, loaded.next = told, segments, 0


class _Caught(Exception):
    """Ends a stream that has told what it is to be told of."""


def _caught(stream: Streaming, arguments: Sequence[Any]) -> tuple[Function, Segments]:
    """What a stream would apply to every segment of a recording, and these."""
    found: list[tuple[Function, Segments]] = []

    def catch(function: Function, parts: Iterable[Segment]) -> Iterator[Any]:
        found.append((function, iter(parts)))
        raise _Caught

    with suppress(_Caught):
        next(iter(stream(*arguments, spread=catch)), None)
    return found[0]


class _Pickler(pickle.Pickler):
    """Pickles the copies of files by URL as these, which any machine can fetch."""

    def persistent_id(self, value: Any) -> Any:
        return urls.origin(value) if isinstance(value, Path) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, copies: ExitStack):
        super().__init__(file)
        self.copies, self.known = copies, dict[Any, Path]()

    def persistent_load(self, path: Any) -> Path:
        if path not in self.known:
            (self.known[path],) = self.copies.enter_context(urls.fetched([path]))
        return self.known[path]


def _pickled(value: Any) -> bytes:
    file = io.BytesIO()
    _Pickler(file).dump(value)
    return file.getvalue()


def _unpickled(told: bytes, copies: ExitStack) -> Any:
    return _Unpickler(io.BytesIO(told), copies).load()


@dataclass(frozen=True)
class Spread:
    """Streams a recording with its segments shared by workers."""

    workers: Workers
    work: Work

    def __call__(self, stream: Streaming, *arguments: Any,
                 progress: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
        share = partial(self._read if self.workers.reads else self._sent, stream, arguments)
        return stream(*arguments, progress=progress, spread=share)

    def _told(self, stream: Streaming, arguments: Sequence[Any]) -> tuple[int, Sequence[Any]]:
        return self.work.streams.index(stream), arguments

    def _sent(self, stream: Streaming, arguments: Sequence[Any], function: Function,
              parts: Segments) -> Iterator[Any]:
        told = pickle.dumps(self._told(stream, arguments))
        return self._replies(Group(told, group) for group in groups(function, parts))

    def _read(self, stream: Streaming, arguments: Sequence[Any], function: Function,
              parts: Segments) -> Iterator[Any]:
        told = _pickled(self._told(stream, arguments))
        count, size = sum(1 for _ in _caught(stream, arguments)[1]), at_once(function)
        for out in self._replies(Part(told, range(first, min(first + size, count)))
                                 for first in range(0, count, size)):
            next(parts)
            yield out

    def _replies(self, messages: Iterable[Group | Part]) -> Iterator[Any]:
        for _, out in self.workers.map(messages, ordered=True):
            if isinstance(out, Exception):
                raise out
            yield from out
