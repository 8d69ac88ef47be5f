"""Ray's actors against processes, after their start: `python tools/ray_local.py [ROUNDS] [FILES]`.

Two of either enhance the same files, in turns, so that other work on the machine meets both. The
time of a turn is that from when the second file was written until the last reply is there: what
comes before is the start. Prints files a second of every turn, and the ratio of the medians.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from kill_workers import make_inputs
from voxmend.cli import enhance, folders, jobs, sharing
from voxmend.cli.crew import Crew
from voxmend.cli.options import Running
from voxmend.cli.workers import Pool

LOAD = partial(enhance.load_enhancer, "enhance", Running(precision="fp32", device="cpu"),
               "voxmend", None, None)


def speed(replies: Iterable, out: Path) -> float:
    """Files a second, those after the second."""
    for _, (_, error, failed) in replies:
        if failed:
            sys.exit(error)
    ended = time.time()
    written = sorted(path.stat().st_mtime for path in out.glob("*.flac"))
    return (len(written) - 2) / (ended - written[1])


def main(rounds: int = 5, count: int = 24) -> None:
    """Prints a line for each round, and the ratio."""
    load = partial(sharing.load, jobs.Verb("enhance", {}, LOAD, overwrite=True), {}, True)
    with tempfile.TemporaryDirectory() as place:
        make_inputs(Path(place) / "in", count, 8.0)
        plan = folders.make_plan([f"{place}/in", f"{place}/out"])
        speeds: dict[str, list[float]] = {"processes": [], "actors": []}
        with Pool(2, load, sharing.answer) as pool, Crew("local", 2, load, sharing.answer) as crew:
            for number in range(rounds):
                for name, workers in (("processes", pool), ("actors", crew)):
                    speeds[name].append(speed(workers.map(plan.jobs), Path(place) / "out"))
                print(f"round {number + 1}: " + ", ".join(
                    f"{values[-1]:.2f} files/s by {name}" for name, values in speeds.items()),
                    flush=True)
        medians = {name: statistics.median(values) for name, values in speeds.items()}
        print(f"actors {medians['actors'] / medians['processes']:.2f} times as fast as processes")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
