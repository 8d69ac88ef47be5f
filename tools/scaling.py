"""Time of one process and of workers: `python tools/scaling.py [WORKERS] [MINUTES]`.

Enhances MINUTES of the demo's clip in noise as a folder of twelve files, and as one long file, by
one process and by WORKERS, each with one thread. Prints seconds by the clock and of the
processors, all processes together, and how many times as fast the workers are, with the start and
without that of one process, which is measured by a file of one second.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import voxmend
from voxmend import audio

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


def run(source: Path, out: Path, workers: int) -> float:
    """Seconds by the clock."""
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "voxmend", "enhance", "--precision", "fp32", source, out,
                    "--workers", str(workers)], check=True, stdout=subprocess.DEVNULL,
                   env=os.environ | {"OMP_NUM_THREADS": "1"})
    return time.monotonic() - begun


def main(workers: int = 2, minutes: float = 4.0) -> None:
    """Prints a table."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        make_inputs(place, minutes)
        start = run(place / "short.flac", place / "short.out.flac", 1)
        print(f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; start "
              f"{start:.1f} s\n\n"
              f"| {minutes:g} minutes | workers | s | faster | without the start |\n"
              "|---|---|---|---|---|", flush=True)
        for name in ("folder", "long.flac"):
            alone = run(place / name, place / f"1.{name}", 1)
            shared = run(place / name, place / f"2.{name}", workers)
            later = (alone - start) / max(shared - start, 0.1)
            print(f"| {name} | 1 | {alone:.0f} | | |\n"
                  f"| {name} | {workers} | {shared:.0f} | {alone / shared:.2f} | {later:.2f} |",
                  flush=True)


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, float), sys.argv[1:], strict=False)))
