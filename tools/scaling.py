"""Time of one process and of workers: `python tools/scaling.py [WORKERS] [MINUTES] [VERB]`.

Enhances MINUTES of the demo's clip in noise as a folder of twelve files, and as one long file, by
one process and by WORKERS, each with one thread; with VERB `separate` it takes them apart. Prints
seconds by the clock, and how many times as fast the workers are, with the start and without that of
one process, which is measured by a file of one second; and seconds of the processor, which other
programs change little, of the driver and of the worker that had most of them. Linux: it finds
workers in /proc.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

import voxmend
from voxmend import audio
from voxmend.cli.stopping import descendants

CLIP = Path(voxmend.__file__).parent / "demo" / "clean.flac"


def make_inputs(place: Path, minutes: float) -> None:
    """A folder, a long file and a short one."""
    wave, length = audio.load(CLIP, 16000), round(minutes * 60 * 16000)
    wave = np.tile(wave, -(-length // wave.shape[1]))[:, :length]
    wave += 0.01 * np.random.default_rng(0).standard_normal(wave.shape, np.float32)
    (place / "folder").mkdir()
    for number, part in enumerate(np.array_split(wave, 12, axis=1)):
        audio.save(place / "folder" / f"{number:02d}.flac", part, 16000)
    audio.save(place / "long.flac", wave, 16000)
    audio.save(place / "short.flac", wave[:, :16000], 16000)


def processor(process: int) -> float:
    """Seconds that all threads of a process have had of the processor."""
    told = [path.read_text() for path in Path(f"/proc/{process}/task").glob("*/schedstat")]
    return sum(int(line.split()[0]) for line in told) / 1e9


def run(source: Path, out: Path, workers: int, verb: str) -> tuple[float, float, float]:
    """Seconds by the clock; of the processor, the driver's and the longest worker's."""
    begun, used = time.monotonic(), dict[int, float]()
    target = out.with_suffix("") if verb == "separate" else out
    driver = subprocess.Popen([sys.executable, "-m", "voxmend", verb, "--precision", "fp32", source,
                               target, "--workers", str(workers)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    while driver.poll() is None:
        for process in (driver.pid, *descendants(driver.pid)):
            with suppress(OSError):  # it has ended
                used[process] = max(used.get(process, 0.0), processor(process))
        time.sleep(0.1)
    if driver.returncode:
        sys.exit(f"it ended with {driver.returncode}")
    return time.monotonic() - begun, used.pop(driver.pid), max(used.values(), default=0.0)


def main(workers: int = 2, minutes: float = 4.0, verb: str = "enhance") -> None:
    """Prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_inputs(place, minutes)
        start = run(place / "short.flac", place / "short.out.flac", 1, verb)[0]
        print(f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; start "
              f"{start:.1f} s\n\n"
              f"| {minutes:g} minutes | workers | s | faster | without the start | processor: "
              "driver | a worker |\n|---|---|---|---|---|---|---|", flush=True)
        for name in ("folder", "long.flac"):
            alone, own, _ = run(place / name, place / f"1.{name}", 1, verb)
            shared, driver, worker = run(place / name, place / f"2.{name}", workers, verb)
            later = (alone - start) / max(shared - start, 0.1)
            print(f"| {name} | 1 | {alone:.0f} | | | {own:.1f} | |\n"
                  f"| {name} | {workers} | {shared:.0f} | {alone / shared:.2f} | {later:.2f} | "
                  f"{driver:.1f} | {worker:.1f} |", flush=True)


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, float, str), sys.argv[1:], strict=False)))
