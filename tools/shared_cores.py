"""What waiting costs OpenMP's threads where other programs use the cores as well.

    python tools/shared_cores.py [VERB ...]

Runs verbs (default: inpaint mend denoise) on the demo clip with gaps, alone and beside a program
that keeps one core busy: with threads that sleep while they wait, as the command has them, and with
threads that spin first, as GNU OpenMP's do by themselves. Prints seconds, the median of three.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import voxmend

CLIP = Path(voxmend.__file__).parent / "demo" / "clean.flac"
VOXMEND = [sys.executable, "-m", "voxmend"]
BUSY = "while True: pass"
WAITING = {"sleep": {"OMP_WAIT_POLICY": "PASSIVE"}, "spin": {"GOMP_SPINCOUNT": "300000"}}


@contextmanager
def neighbour(busy: bool):
    """Another program on one core, for as long as the block lasts.

    In a session of its own, as what another terminal runs: Linux shares cores among sessions.
    """
    other = (subprocess.Popen([sys.executable, "-c", BUSY], start_new_session=True)
             if busy else None)
    try:
        yield
    finally:
        if other:
            other.kill()
            other.wait()


def seconds(verb: str, damaged: Path, waiting: dict[str, str]) -> float:
    """How long one run of a verb takes, whole."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([*VOXMEND, verb, damaged, Path(folder) / "out.wav"], check=True,
                       capture_output=True, env=os.environ | waiting)
        return time.perf_counter() - start


def main(*verbs: str) -> None:
    """Prints the table."""
    print(f"| | {' | '.join(f'alone, {way} | beside another, {way}' for way in WAITING)} |\n"
          f"|---|{'---|' * 2 * len(WAITING)}")
    with tempfile.TemporaryDirectory() as folder:
        damaged = Path(folder) / "gaps.wav"
        subprocess.run([*VOXMEND, "degrade", "gaps", CLIP, damaged], check=True,
                       capture_output=True)
        for verb in verbs or ("inpaint", "mend", "denoise"):
            row = []
            for waiting in WAITING.values():
                for busy in (False, True):
                    with neighbour(busy):
                        row.append(median(seconds(verb, damaged, waiting) for _ in range(3)))
            print(f"| {verb} | {' | '.join(f'{value:.1f}' for value in row)} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
