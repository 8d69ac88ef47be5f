"""Seconds of work per second of speech: `python tools/times.py SPEECH [SECONDS] [CASE ...]`.

A recording of 60 s, or so many, of a folder's files one after the other, is damaged as by the cases
of `voxmend bench` (declip, extend-4k, ...) and mended by their task in its default steps, the
damage told; the shorter of two runs, after a short one. Nothing else should run beside it.
"""

import sys
import time
from pathlib import Path

import numpy as np

from voxmend import audio
from voxmend.benchmarks.restoration import CASES, RATE
from voxmend.benchmarks.scoring import machine
from voxmend.restore.restorer import Restorer
from voxmend.training.corpus import audio_files

USUAL = ("declip", "extend-4k", "inpaint", "denoise", "vocode", "mend")


def speech(folder: Path, seconds: float) -> np.ndarray:
    """Files one after the other, so many seconds of them. Shape: `[T]`."""
    waves: list[np.ndarray] = []
    for path in audio_files(folder):
        if sum(map(len, waves)) >= seconds * RATE:
            break
        waves.append(audio.load(path, RATE).mean(0))
    return np.concatenate(waves)[:round(seconds * RATE)]


def main(folder: str, seconds: str = "60", *cases: str) -> None:
    """Prints the table."""
    clean = speech(Path(folder), float(seconds))
    length = len(clean) / RATE
    print(f"{length:.0f} s; {machine()}\n\n"
          "| damage | seconds per second |\n|---|---|")
    for name in cases or USUAL:
        restorer, took = Restorer(CASES[name].task), []
        for part in (clean[:4 * RATE], clean, clean):
            example = CASES[name].make(part, 0)
            begin = time.perf_counter()
            restorer(example.damaged, RATE, example.damage)
            took.append(time.perf_counter() - begin)
        print(f"| {name} | {min(took[1:]) / length:.3f} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
