"""All jobs of a verb, in this process or shared by workers.

Each worker takes whole files, the longest first. A file that lasts longer than a worker's share of
all is read and written here, and its segments are shared instead: the same function makes the same
of them wherever it runs, so the result is the same.
"""

import io
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from ..audio.batches import Segment, apply, groups
from ..audio.quiet import silenced
from . import claims
from .folders import PIPE, Job, Plan, each
from .jobs import Streaming, Verb, Work, do, is_finished
from .workers import Lost, Pool, cores, share_of_threads

LEAST_SECONDS = 60.0  # of a recording whose segments are worth to be shared


def run(verb: Verb, plan: Plan) -> int:
    """Does the jobs of a plan that are not finished; returns the exit code, as `each`."""
    piped = any(PIPE in job.outputs for job in plan.jobs)
    folders = {job.outputs[0].parent for job in plan.jobs if job.outputs[0] != PIPE}
    with plan.spool, redirect_stdout(sys.stderr) if piped else nullcontext():
        _tidy(folders)
        todo = [job for job in plan.jobs if not is_finished(verb, plan, job)]
        if len(todo) < len(plan.jobs):
            print(f"{len(plan.jobs) - len(todo)} of {len(plan.jobs)} files are finished already")
        if not todo:
            return 0
        work = verb.load()
        count = cores() if verb.workers == "auto" else verb.workers
        if count == 1:
            return each([(job,) for job in todo], lambda job: do(verb, job, work, plan.several),
                        plan.several)
        new = {parent for folder in folders for parent in (folder, *folder.parents)
               if not parent.exists()}
        try:
            return _share(verb, plan, work, todo, count)
        finally:  # what workers left that had to be killed
            _tidy(folders)
            for folder in sorted(new, reverse=True):
                with suppress(OSError):  # it holds something
                    folder.rmdir()


def _tidy(folders: Iterable[Path]) -> None:
    for folder in folders:
        claims.tidy(folder)


def _share(verb: Verb, plan: Plan, work: Work, todo: Sequence[Job], count: int) -> int:
    """Does jobs by workers."""
    from ..models import precision

    lengths = {job: _seconds(job) for job in todo}
    share = max(LEAST_SECONDS, sum(lengths.values()) / count)
    long = [job for job in todo if work.streams and lengths[job] >= share]
    short = sorted((job for job in todo if job not in long), key=lambda job: -lengths[job])
    load = partial(_load, verb, dict(precision.found), plan.several)
    bar = tqdm(total=round(sum(lengths.values()) / 3600, 3), disable=not sys.stderr.isatty(),
               bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.2f} of {total:.2f} hours "
                          "[{elapsed}<{remaining}]")
    failed = False
    with Pool(count, load, _answer, share_of_threads(count)) as pool, bar:
        done = 0

        def tell(job: Job) -> None:
            nonlocal done
            done += 1
            bar.set_description_str(f"{done} of {len(todo)} files", refresh=False)
            bar.update(lengths[job] / 3600)

        for job in long:
            failed |= bool(each([(job,)], lambda job: do(
                verb, job, work, plan.several, _Spread(pool, work)), plan.several))
            tell(job)
        for number, reply in pool.map(short):
            failed |= _say(reply, short[number])
            tell(short[number])
    return 2 if failed else 0


def _seconds(job: Job) -> float:
    """About how long a recording lasts, by its header, or else by its size."""
    try:
        with silenced():
            return float(soundfile.info(job.inputs[0]).duration)
    except (soundfile.SoundFileError, OSError, TypeError, IndexError):
        return job.inputs[0].stat().st_size / 32000 if job.inputs and job.inputs[0].is_file() else 1


def _say(reply: Any, job: Job) -> bool:
    """Prints what a worker said of a job; whether it failed. Raises what is no fault of a file."""
    if isinstance(reply, Exception):
        if not isinstance(reply, Lost):
            raise reply
        reply = "", f"voxmend: {job.inputs[0] if job.inputs else job.outputs[0]}: {reply}\n", True
    out, error, failed = reply
    for text, stream in ((out, sys.stdout), (error, sys.stderr)):
        if text:
            tqdm.write(text, file=stream, end="")
    return bool(failed)


@dataclass
class _Loaded:
    """What a worker keeps."""

    verb: Verb
    work: Work
    several: bool
    told: bytes = b""
    """Of which stream, and of which recording, `function` is."""
    function: Callable[[np.ndarray, int], np.ndarray] | None = None


@dataclass(frozen=True)
class _Group:
    """Segments of a recording that are made at once, and what is told of that."""

    told: bytes
    parts: list[Segment]


def _load(verb: Verb, found: dict[str, bool], several: bool) -> _Loaded:
    from ..models import precision

    precision.told.update(found)
    return _Loaded(verb, verb.load(), several)


def _answer(loaded: _Loaded, message: Job | _Group) -> Any:
    if isinstance(message, _Group):
        if message.told != loaded.told:
            number, arguments = pickle.loads(message.told)
            loaded.function = _function_of(loaded.work.streams[number], arguments)
            loaded.told = message.told
        assert loaded.function
        return apply(loaded.function, message.parts)
    out, error = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(error):
        failed = each([(message,)], lambda job: do(loaded.verb, job, loaded.work, loaded.several),
                      several=True)
    return out.getvalue(), error.getvalue(), failed


def _function_of(stream: Streaming, arguments: Sequence[Any]) -> Callable:
    """What a stream would apply to every segment of a recording."""
    found: list[Callable] = []

    def catch(function: Callable, parts: Iterable) -> Iterator[np.ndarray]:
        found.append(function)
        return iter(())

    for _ in stream(*arguments, spread=catch):
        pass
    return found[0]


class _Spread:
    """Streams a recording with its segments shared by workers."""

    def __init__(self, pool: Pool, work: Work):
        self.pool, self.work = pool, work

    def __call__(self, stream: Streaming, *arguments: Any,
                 progress: Callable[[int], None] | None = None) -> Iterator[np.ndarray]:
        told = pickle.dumps((self.work.streams.index(stream), arguments))

        def share(function: Callable, parts: Iterable[Segment]) -> Iterator[np.ndarray]:
            for _, out in self.pool.map((_Group(told, group) for group in groups(function, parts)),
                                        ordered=True):
                if isinstance(out, Exception):
                    raise out
                yield from out

        return stream(*arguments, progress=progress, spread=share)
