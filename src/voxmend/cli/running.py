"""All jobs of a verb, in this process or shared by workers.

Each worker takes whole files, the longest first. A file that lasts longer than a worker's share of
all is joined and written here, and its segments are shared instead.
"""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from functools import partial
from pathlib import Path
from typing import Any

import soundfile
from tqdm import tqdm

from .. import audio
from ..audio import urls
from ..audio.quiet import silenced
from . import claims, sharing, sidecars
from .folders import PIPE, Job, Plan, each
from .jobs import Verb, Work, do, is_finished
from .options import check_workers
from .stopping import stopping
from .workers import GRACE, Lost, Pool, cores, share_of_threads, warm_up

LEAST_SECONDS = 60.0  # of a recording whose segments are worth to be shared
# what workers import, and first what ends the server that they are forked from with this process
MODULES = tuple(f"voxmend.cli.{name}" for name in ("tied", "main", "files"))


def run(verb: Verb, plan: Plan) -> int:
    """Does the jobs of a plan that are not finished; returns the exit code, as `each`."""
    check_workers(verb.workers, verb.ray)
    piped = any(PIPE in job.outputs for job in plan.jobs)
    folders = {job.outputs[0].parent for job in plan.jobs
               if job.outputs[0] != PIPE and not urls.is_remote(job.outputs[0])}

    def settle() -> None:
        claims.settle_held()
        _tidy(folders)

    with (plan.spool, stopping(settle),
          redirect_stdout(sys.stderr) if piped else nullcontext()):
        _tidy(folders)
        todo = [job for job in plan.jobs if not is_finished(verb, plan, job)]
        if len(todo) < len(plan.jobs):
            kind = "pages" if verb.name == "report" else "files"
            print(f"{len(plan.jobs) - len(todo)} of {len(plan.jobs)} {kind} are finished already")
        if not todo:
            return 0
        shared = verb.ray or verb.workers not in (None, 1)
        if shared and not verb.ray:
            warm_up(MODULES, share_of_threads(_count(verb)))
        work = verb.load()
        if not shared:
            return each([(job,) for job in todo], lambda job: do(verb, job, work, plan.several),
                        plan.several)
        new = {parent for folder in folders for parent in (folder, *folder.parents)
               if not parent.exists()}
        try:
            return _share(verb, plan, work, todo)
        finally:  # what workers left that had to be killed, of other machines a moment later
            until = time.monotonic() + (GRACE if verb.ray else 0)
            while _tidy(folders) and time.monotonic() < until:
                time.sleep(0.02)
            for folder in sorted(new, reverse=True):
                with suppress(OSError):  # it holds something
                    folder.rmdir()


def _tidy(folders: Iterable[Path]) -> bool:
    """Settles what was killed there; whether something is in work."""
    for folder in folders:
        claims.tidy(folder)
    return any(map(claims.in_work, folders))


def _count(verb: Verb) -> int:
    """How many workers a verb is to have on this machine."""
    return verb.workers if isinstance(verb.workers, int) else cores()


@contextmanager
def _workers(verb: Verb, several: bool) -> Iterator[sharing.Workers]:
    """The workers of a verb, of this machine or of a cluster."""
    from ..models import precision

    load = partial(sharing.load, verb, dict(precision.found), several)
    if verb.ray:
        from .crew import Crew

        told = verb.workers if isinstance(verb.workers, int) else None
        with Crew(verb.ray, told, load, sharing.answer) as crew:
            yield crew
    else:
        count = _count(verb)
        with Pool(count, load, sharing.answer, share_of_threads(count)) as pool:
            yield pool


def _share(verb: Verb, plan: Plan, work: Work, todo: Sequence[Job]) -> int:
    """Does jobs by workers."""
    lengths = {job: _seconds(job) for job in todo}
    bar = tqdm(total=round(sum(lengths.values()) / 3600, 3), disable=not sys.stderr.isatty(),
               bar_format="{desc}: {percentage:3.0f}%|{bar}| {n:.2f} of {total:.2f} hours "
                          "[{elapsed}<{remaining}]")
    failed = False
    with _workers(verb, plan.several) as workers, bar:
        least = max(LEAST_SECONDS, sum(lengths.values()) / workers.count)
        # what refines reads what was made before it, which other machines do not see
        streams = len(work.streams) == 1 or (work.streams and verb.ray in (None, "local"))
        long = [job for job in todo if streams and lengths[job] >= least]
        short = sorted((job for job in todo if job not in long), key=lambda job: -lengths[job])
        done = 0

        def tell(job: Job) -> None:
            nonlocal done
            done += 1
            bar.set_description_str(f"{done} of {len(todo)} files", refresh=False)
            bar.update(lengths[job] / 3600)

        for job in long:
            failed |= bool(each([(job,)], lambda job: do(
                verb, job, work, plan.several, sharing.Spread(workers, work)), plan.several))
            tell(job)
        for number, reply in workers.map(short):
            failed |= _say(reply, short[number])
            tell(short[number])
    return 2 if failed else 0


def _seconds(job: Job) -> float:
    """About how long a recording lasts, by its header, or else by its size."""
    if not job.inputs:
        return 1
    with suppress(soundfile.SoundFileError, OSError, TypeError, IndexError), silenced():
        return float(soundfile.info(job.inputs[0]).duration)
    with suppress(OSError, audio.AudioError), urls.reached(job.inputs[0]):  # said in its turn
        return float(sidecars.describe(job.inputs[0])["bytes"]) / 32000
    return 1


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
