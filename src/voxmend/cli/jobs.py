"""What a verb does, job by job: only what is not finished, and each in one piece."""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import audio
from . import claims, sidecars
from .folders import PIPE, Job, Plan, each

# What makes files of files: (inputs, outputs) -> what a sidecar says of it, and seconds of audio.
Work = Callable[[Sequence[Path], Sequence[Path]], tuple[dict[str, Any], float]]


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


def run(verb: Verb, plan: Plan) -> int:
    """Does the jobs of a plan that are not finished; returns the exit code, as `each`."""
    piped = any(PIPE in job.outputs for job in plan.jobs)
    with plan.spool, redirect_stdout(sys.stderr) if piped else nullcontext():
        for folder in {job.outputs[0].parent for job in plan.jobs if job.outputs[0] != PIPE}:
            claims.tidy(folder)
        todo = [job for job in plan.jobs if not _is_finished(verb, plan, job)]
        if len(todo) < len(plan.jobs):
            print(f"{len(plan.jobs) - len(todo)} of {len(plan.jobs)} files are finished already")
        if not todo:
            return 0
        work = verb.load()
        return each([(job,) for job in todo], lambda job: do(verb, job, work, plan.several),
                    plan.several)


def _is_finished(verb: Verb, plan: Plan, job: Job) -> bool:
    try:
        return sidecars.why_made(job, verb.name, verb.options, verb.overwrite, plan.several) is None
    except audio.AudioError:  # which is said in its turn
        return False


def do(verb: Verb, job: Job, work: Work, several: bool) -> None:
    """Makes the outputs of a job and their sidecar, or says why not."""
    target = job.outputs[0]
    try:
        with claims.claim(job.outputs) as claimed:
            why = sidecars.why_made(job, verb.name, verb.options, verb.overwrite, several)
            if why is None:
                print(f"{target}: finished by another process")
                return
            if why:
                print(f"{target}: done again, {why}")
            entry: dict[str, Any] = {"verb": verb.name, "options": verb.options,
                                     "inputs": sidecars.describe_all(job.inputs)}
            begun = time.monotonic()
            told, duration = work(job.inputs, claimed.made)
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
