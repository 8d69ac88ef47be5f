"""A verb's jobs: each is done in one piece, and only what is not finished."""

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO

from .. import audio
from ..audio import urls
from . import claims, sidecars
from .folders import Job, Plan

if TYPE_CHECKING:
    import numpy as np

# Streams a recording: `(stream, *arguments, progress)` to `stream(*arguments, progress)`.
Streaming = Callable[..., "Iterator[np.ndarray]"]


def alone(stream: Streaming, *arguments: Any,
          progress: Callable[[int], None] | None = None) -> "Iterator[np.ndarray]":
    """Streams in this process."""
    return stream(*arguments, progress=progress)


@dataclass(frozen=True)
class Work:
    """What a verb does with files, weights loaded."""

    make: Callable[[Sequence[Path], Sequence[Path], Streaming], tuple[dict[str, Any], float]]
    """`(inputs, outputs, streaming)` to what a sidecar says of it, and the seconds of audio."""
    streams: tuple[Streaming, ...] = ()
    """Those of its streams whose segments do not depend on each other: they take a `spread`."""


@dataclass(frozen=True)
class Verb:
    """A verb with its options, as it can be sent to another process."""

    name: str
    options: dict[str, Any]
    """That decide an output; those of `sidecars.settings`."""
    load: Callable[[], Work]
    """Loads the weights; can be pickled."""
    overwrite: bool = False
    """Replaces outputs that exist already."""
    workers: int | Literal["auto"] | None = None
    """Processes that share the work."""
    ray: str | None = None
    """A cluster that they belong to."""


def is_finished(verb: Verb, plan: Plan, job: Job) -> bool:
    """Whether the outputs of a job are what it would make."""
    try:
        with urls.reached(*job.inputs, *job.outputs):
            return sidecars.why_made(job, verb.name, verb.options, verb.overwrite,
                                     plan.several) is None
    except audio.AudioError:  # which is said in its turn
        return False


class _Naming(io.TextIOBase):
    """A stream in which the copies of files by URL are called by that."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write(urls.renamed(text))

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()


@contextmanager
def _fetched(job: Job) -> "Iterator[list[Path]]":
    """The inputs of a job as they are on this machine."""
    if not any(map(urls.is_remote, job.inputs)):
        yield list(job.inputs)
        return
    with (urls.fetched(job.inputs) as inputs,
          redirect_stdout(_Naming(sys.stdout)), redirect_stderr(_Naming(sys.stderr))):
        yield inputs


def do(verb: Verb, job: Job, work: Work, several: bool, streaming: Streaming = alone) -> None:
    """Makes the outputs of a job and their sidecar, or says why not."""
    target = job.outputs[0]
    try:
        with urls.reached(*job.inputs, *job.outputs), claims.claim(job.outputs) as claimed:
            why = sidecars.why_made(job, verb.name, verb.options, verb.overwrite, several)
            if why is None:
                print(f"{target}: finished by another process")
                return
            if why:
                print(f"{target}: done again, {why}")
            entry: dict[str, Any] = {"verb": verb.name, "options": verb.options,
                                     "inputs": sidecars.describe_all(job.inputs)}
            with _fetched(job) as inputs:
                begun = time.monotonic()
                told, duration = work.make(inputs, claimed.made, streaming)
                seconds = time.monotonic() - begun
            entry |= {**told, "seconds": round(seconds, 2),
                      "real_time_factor": round(seconds / duration, 3)}
            claimed.commit(sidecars.compose(job, claimed.made, entry))
    except claims.Taken as taken:
        if not several:
            raise
        print(f"passed over, {taken}")
        return
    print(f"{target}: {duration:.1f} s in {seconds:.1f} s", flush=True)
