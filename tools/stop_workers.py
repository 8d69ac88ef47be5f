"""How soon a command stops: `python tools/stop_workers.py [STOPS] [SEED]`.

Starts what `kill_workers.py` starts, `enhance --method segan` on a folder of short files and on a
long one, by `--workers 2` and by `--ray local`, and sends at random moments SIGINT to all its
processes, as Ctrl-C in a terminal does, or SIGTERM to it alone. Prints for each the seconds until
it has ended, and until all of its processes have, and what is left; ends with 1 if something
half-written is, or if it took more than two seconds.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kill_workers import SHARED, Folder, alive, workers
from voxmend.cli.stopping import descendants

LIMIT = 2.0  # seconds


def stop(folder: Folder, dice: random.Random) -> str:
    """Starts, stops, and says how that went."""
    driver, begun = folder.start(), time.monotonic()
    if dice.random() < 0.7:
        while driver.poll() is None and not workers(driver.pid):
            time.sleep(0.05)
    else:
        time.sleep(1)  # of the start of Python, before anything is done
    time.sleep(dice.uniform(0, min(15.0, folder.seconds)))
    after, of_it = time.monotonic() - begun, [driver.pid, *descendants(driver.pid)]
    if driver.poll() is not None:
        return "had ended"
    name, stopped = dice.choice(("Ctrl-C", "SIGTERM")), time.monotonic()
    if name == "Ctrl-C":
        os.killpg(driver.pid, signal.SIGINT)
    else:
        driver.terminate()
    try:
        driver.wait(60)
    except subprocess.TimeoutExpired:
        driver.kill()
    ended = time.monotonic() - stopped
    while any(map(alive, of_it)) and time.monotonic() - stopped < 60:
        time.sleep(0.02)
    gone = time.monotonic() - stopped
    found = folder.check() if folder.out.exists() else 0
    left = [path.name for path in folder.out.glob(".*")] if folder.out.exists() else []
    late = " LATE" if gone > LIMIT else ""
    if driver.returncode not in (130, -signal.SIGTERM, -signal.SIGINT):
        late += " WRONG"
    return (f"{name:7} after {after:5.1f} s: ended with {driver.returncode} in {ended:.2f} s, all "
            f"{len(of_it):2} processes in {gone:.2f} s; {found} outputs, all right; left besides: "
            f"{', '.join(left) or 'nothing'}{late}")


def main(stops: int = 24, seed: int = 0) -> int:
    """Prints a line for each stop."""
    dice, bad = random.Random(seed), False
    with tempfile.TemporaryDirectory() as place:
        for shared in SHARED:
            for count, seconds in ((8, 8.0), (1, 65.0)):
                folder = Folder(Path(place) / f"{shared}{count}", count, seconds, shared)
                print(f"{' '.join(SHARED[shared])}: {count} of {seconds:g} s, load "
                      f"{os.getloadavg()[0]:.0f}", flush=True)
                for _ in range(stops // 4):
                    line = stop(folder, dice)
                    bad |= "LATE" in line or "WRONG" in line or "nothing" not in line
                    print(f"  {line}", flush=True)
                    if folder.out.exists():
                        shutil.rmtree(folder.out)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
