"""Efficiency of many workers, by arithmetic on what is measured: `efficiency.py [WORKERS] [FILE]`.

Measures seconds of the processor, which other work on the machine changes little, of `voxmend
enhance` on the demo's clip in noise, in fp32 by one thread:

    start      of a process, weights loaded: of the driver, and then of a worker of Ray
    loading    of the weights, by a worker that is forked from what has loaded all else
    second     of speech, work of a worker
    file       what each costs besides: opening, levels, writing, sidecar
    scan       of a file by the driver, before the work: listing, sidecar, length
    dispatch   of a file by the driver: message and reply, of processes and of Ray if it is there
    joining    of a second of a long recording by the driver: reading, levels, cross-fade, writing
    reading    of a second of a long recording by every worker, of Ray alone

and prints the table of expected efficiencies, the work over workers times the time of all:

    files       start + scan + max(loading + longest worker's share, dispatch)
    a long one  start + max(loading + share of the work, joining)

or of Ray, whose workers start when the driver has,

    files       start + scan + max(start + longest worker's share, dispatch)
    a long one  start + reading + max(start + reading + share of the work, joining)

It assumes that workers have free equal cores, and that the bandwidth of memory and of disks or the
network suffices; files are as long as uniform random numbers of 0.5 to 1.5 times their mean, and go
to whichever worker is free first, the longest first. With FILE the measurements are read from it
if it is there, and else written to it.
"""

import contextlib
import heapq
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kill_workers import make_inputs
from voxmend import audio
from voxmend.cli import enhance, folders, jobs, running, sharing, workers
from voxmend.cli.options import Running

MESSAGES = 200
CASES = [("12 s", 12.0, 10), ("12 s", 12.0, 1000), ("30 minutes", 1800.0, 100),
         ("30 minutes", 1800.0, 1000)]  # mean length in s, hours
LOAD = partial(enhance.load_enhancer, "enhance", Running(precision="fp32", device="cpu"),
               "voxmend", None, None)


def cost(work: Callable[[], object]) -> float:
    """Seconds of the processor that something takes this process."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def start(place: Path) -> float:
    """Of a process that loads the weights, and has a second of speech to enhance."""
    make_inputs(place / "short", 1, 1.0)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "voxmend", "enhance", "--precision", "fp32",
                    place / "short" / "0.flac", place / "out.flac"], check=True,
                   stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def plan_of(place: Path, count: int, seconds: float) -> folders.Plan:
    """A folder of so many files, and where they go."""
    source = place / f"{count} of {seconds:g}"
    make_inputs(source, count, seconds)
    return folders.make_plan([str(source), str(place / f"{source.name} out")])


def files(place: Path, work: jobs.Work) -> tuple[float, float]:
    """What a second of speech costs, and a file besides."""
    verb, short, long = jobs.Verb("enhance", {}, LOAD), 1.0, 16.0
    means = []
    for number, (count, seconds) in enumerate(((2, short), (16, short), (4, long))):
        plan = plan_of(place / f"{number}", count, seconds)  # the first prepares
        means.append(cost(lambda jobs_=plan.jobs: [jobs.do(verb, job, work, True)
                                                   for job in jobs_]) / count)
    second = (means[2] - means[1]) / (long - short)
    return second, max(0.0, means[1] - short * second)


def scan(place: Path) -> float:
    """What the driver does of each file before the work."""
    source, verb = place / "many", jobs.Verb("enhance", {}, LOAD)
    make_inputs(source, MESSAGES, 0.1)

    def work() -> None:
        plan = folders.make_plan([str(source), str(place / "many out")])
        for job in plan.jobs:
            jobs.is_finished(verb, plan, job)
            running._seconds(job)

    return cost(work) / MESSAGES


def dispatch(by_ray: bool) -> float:
    """What the driver does of each message."""
    message = folders.Job((Path("in") / ("x" * 40),), (Path("out") / ("x" * 40),))
    if by_ray:
        from voxmend.cli.crew import Crew

        made: contextlib.AbstractContextManager = Crew("local", 2, dict, _echo)
    else:
        made = workers.Pool(2, dict, _echo)
    with made as pool:
        few, many = (cost(lambda count=count: list(pool.map([message] * count)))
                     for count in (2, 2 + MESSAGES))
    return (many - few) / MESSAGES


def _echo(loaded: object, message: object) -> tuple[str, str, int]:
    return "x" * 60, "", 0


def long_one(place: Path, work: jobs.Work, seconds: float = 300.0) -> tuple[float, float]:
    """What the driver does of a second of a long recording, and what a worker reads of it."""
    make_inputs(place / "long", 1, seconds)
    (stream,), path = work.streams, place / "long" / "0.flac"

    def nothing(function: Callable, parts: sharing.Segments) -> Iterator[np.ndarray]:
        for _, chunk in parts:
            yield np.concatenate([chunk, chunk])

    def join() -> None:
        reader = audio.Reader(path)
        with audio.Writer(place / "joined.flac", reader.sample_rate, 1, like=reader) as writer:
            for block in stream(reader, spread=nothing):
                writer.write(block[:1])

    def read() -> None:
        for _ in sharing._caught(stream, (audio.Reader(path),))[1]:
            pass

    return cost(join) / seconds, cost(read) / seconds


def measure() -> dict[str, float]:
    """All of the above, in seconds of the processor."""
    work = LOAD()
    loading = cost(LOAD)  # the second time
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        place = Path(folder)
        found = {"start": start(place), "loading": loading, "scan": scan(place)}
        found["second"], found["file"] = files(place, work)
        found["joining"], found["reading"] = long_one(place, work)
        found["dispatch"] = dispatch(False)
        if find_spec("ray"):
            found["dispatch by Ray"] = dispatch(True)
    return found


def longest_share(costs: np.ndarray, count: int) -> float:
    """Seconds of the worker that ends last, when each takes the longest that is left."""
    free = [0.0] * count
    for some in sorted(costs, reverse=True):
        heapq.heapreplace(free, free[0] + some)
    return max(free)


def of_files(found: dict[str, float], by_ray: bool, count: int, mean: float,
             hours: int) -> float:
    """The efficiency with so many files."""
    number = round(hours * 3600 / mean)
    lengths = mean * np.random.default_rng(0).uniform(0.5, 1.5, number)
    costs = found["file"] + found["second"] * lengths
    share = longest_share(costs, count)
    dispatching = found["dispatch by Ray" if by_ray else "dispatch"]
    wall = found["start"] + number * found["scan"] + max(
        found["start" if by_ray else "loading"] + share, number * dispatching)
    return float(costs.sum() / count / wall)


def of_a_long_one(found: dict[str, float], by_ray: bool, count: int, hours: int) -> float:
    """The efficiency with one file of so many hours."""
    seconds = 3600 * hours
    work, reading = found["second"] * seconds / count, found["reading"] * seconds * by_ray
    wall = found["start"] + reading + max(
        found["start" if by_ray else "loading"] + reading + work, found["joining"] * seconds)
    return work / wall


def main(count: int = 64, file: str = "") -> None:
    """Prints measurements, and the table."""
    if file and Path(file).exists():
        found = json.loads(Path(file).read_text())
    else:
        found = measure()
        if file:
            Path(file).write_text(json.dumps(found))
    print("| measured | seconds of the processor |\n|---|---|")
    for name, value in found.items():
        print(f"| {name} | {value:.2g} |")
    ways = {False: "--workers"} | ({True: "--ray"} if "dispatch by Ray" in found else {})
    print(f"\n| {count} workers | " + " | ".join(ways.values()) + " |\n|---|" + "---|" * len(ways))
    for said, mean, hours in CASES:
        shares = (of_files(found, by_ray, count, mean, hours) for by_ray in ways)
        print(f"| {hours} h in files of {said} | " + " | ".join(f"{x:.0%}" for x in shares) + " |")
    shares = (of_a_long_one(found, by_ray, count, 10) for by_ray in ways)
    print("| a file of 10 h | " + " | ".join(f"{x:.0%}" for x in shares) + " |")


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, str), sys.argv[1:], strict=False)))
