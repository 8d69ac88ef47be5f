"""Kills workers and drivers at random moments: `python tools/kill_workers.py [KILLS] [SEED]`.

Mends a folder of five short files and a long one, `enhance --method segan --workers 2`, and sends
SIGKILL to a worker or to the driver again and again: mostly in the work, sometimes at its start.
After each kill every output that is there must be that of an undisturbed run by one process, bit
for bit, and every worker of a killed driver must have ended; in the end the command finishes the
folder and leaves nothing else in it. Prints a line for each kill and ends with 1 at the first
difference. Linux: it finds workers in /proc.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

import voxmend
from voxmend import audio

CLIP = Path(voxmend.__file__).parent / "demo" / "clean.flac"
COMMAND = [sys.executable, "-m", "voxmend", "enhance", "--method", "segan"]


def make_inputs(folder: Path) -> None:
    """Five parts of the demo's clip, and itself over and over for 65 seconds; in noise."""
    folder.mkdir()
    wave, noise = audio.load(CLIP, 16000), np.random.default_rng(0)
    parts = [*np.array_split(wave, 5, axis=1),
             np.tile(wave, -(-65 * 16000 // wave.shape[1]))[:, :65 * 16000]]
    for number, part in enumerate(parts):
        noisy = part + 0.01 * noise.standard_normal(part.shape)
        audio.save(folder / f"{number}.flac", noisy, 16000)


def outputs(folder: Path) -> dict[str, bytes]:
    """What has appeared under its name."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*.flac")}


def workers(driver: int) -> list[int]:
    """The processes of a driver that share its work."""
    listed = Path(f"/proc/{driver}/task/{driver}/children").read_text().split()
    return [int(number) for number in listed
            if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]


def alive(number: int) -> bool:
    """Whether a process runs, which a zombie does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Folder:
    """Inputs, outputs, and what those must be."""

    def __init__(self, place: Path):
        self.source, self.out = place / "in", place / "out"
        make_inputs(self.source)
        begun = time.monotonic()
        subprocess.run([*COMMAND, self.source, place / "undisturbed"], check=True,
                       stdout=subprocess.DEVNULL)
        self.seconds = time.monotonic() - begun
        self.right = outputs(place / "undisturbed")

    def start(self) -> subprocess.Popen:
        """Begins, or goes on, by two workers."""
        return subprocess.Popen([*COMMAND, self.source, self.out, "--workers", "2"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def await_work(self, driver: subprocess.Popen) -> None:
        """Returns when something is in work, or when the driver has ended."""
        while driver.poll() is None and not list(self.out.glob(".voxmend-*")):
            time.sleep(0.02)

    def check(self) -> int:
        """How many outputs are there; ends the program if one is wrong."""
        found = outputs(self.out)
        wrong = [name for name, content in found.items() if content != self.right[name]]
        if wrong:
            sys.exit(f"half-written or wrong: {', '.join(wrong)}")
        return len(found)

    def clear(self) -> None:
        """Removes the outputs, to begin again."""
        for path in self.out.iterdir():
            path.unlink()


def kill(driver: subprocess.Popen, dice: random.Random) -> str | None:
    """Kills the driver or one of its workers, and says which; None if it has ended."""
    sharing = workers(driver.pid) if driver.poll() is None else []
    if driver.poll() is not None:
        return None
    if sharing and dice.random() < 0.6:
        os.kill(dice.choice(sharing), signal.SIGKILL)
        return "worker"
    driver.kill()
    driver.wait()
    until = time.monotonic() + 60
    while any(map(alive, sharing)):
        if time.monotonic() > until:
            sys.exit("a worker outlived its driver by a minute")
        time.sleep(0.02)
    return "driver"


def main(kills: int = 20, seed: int = 0) -> None:
    """Prints what was killed, how many outputs were there then, and the verdict."""
    dice, killed = random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as place:
        folder = Folder(Path(place))
        print(f"{len(folder.right)} files, undisturbed in {folder.seconds:.0f} s by one process")
        driver, begun = folder.start(), time.monotonic()
        while killed.total() < kills:
            if dice.random() < 0.8:
                folder.await_work(driver)
                time.sleep(dice.uniform(0, min(20.0, folder.seconds)))
            else:
                time.sleep(dice.uniform(0, folder.seconds))
            victim = kill(driver, dice)
            if victim is None:
                if driver.returncode or folder.check() < len(folder.right):
                    sys.exit(f"it ended with {driver.returncode}")
                folder.clear()
            else:
                killed[victim] += 1
                hidden = len(list(folder.out.glob(".voxmend-*")))
                print(f"{killed.total():3} {victim} after {time.monotonic() - begun:5.1f} s: "
                      f"{folder.check()} outputs, all right; {hidden} in work", flush=True)
            if victim != "worker":
                driver, begun = folder.start(), time.monotonic()
        if driver.wait() or folder.check() < len(folder.right):
            sys.exit(f"it ended with {driver.returncode}")
        left = sorted(path.name for path in folder.out.glob(".*"))
        print(f"{killed['worker']} workers and {killed['driver']} drivers killed; all "
              f"{len(folder.right)} outputs as undisturbed, left besides: {left or 'nothing'}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
