"""Kills workers and drivers at random moments: `kill_workers.py [KILLS] [SEED] [workers|ray]`.

Enhances a folder of eight short files, which workers share, and one of a long file, whose segments
they share, `enhance --method segan --workers 2`, or with `--ray local` as well by two actors, and
sends SIGKILL to a worker or to the driver again and again: mostly in the work, sometimes at its
start; half the kills for each folder.
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
from voxmend.cli.stopping import descendants

CLIP = Path(voxmend.__file__).parent / "demo" / "clean.flac"
COMMAND = [sys.executable, "-m", "voxmend", "enhance", "--method", "segan"]
SHARED = {"workers": ["--workers", "2"], "ray": ["--workers", "2", "--ray", "local"]}


def make_inputs(folder: Path, count: int, seconds: float) -> None:
    """Files of the demo's clip over and over, in noise."""
    folder.mkdir(parents=True)
    clip, length = audio.load(CLIP, 16000), round(seconds * 16000)
    wave = np.tile(clip, -(-length // clip.shape[1]))[:, :length]
    for number in range(count):
        noise = np.random.default_rng(number).standard_normal(wave.shape)
        audio.save(folder / f"{number}.flac", wave + 0.01 * noise, 16000)


def outputs(folder: Path) -> dict[str, bytes]:
    """What has appeared under its name."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*.flac")}


def workers(driver: int) -> list[int]:
    """The processes of a driver that share its work: those of its fork server, or of Ray."""
    found = list[int]()
    for number in descendants(driver):
        name = _text(Path(f"/proc/{number}/cmdline"))
        if "multiprocessing.forkserver" in name:
            found += descendants(number)
        elif "ray::MapWorker" in name:
            found.append(number)
    return sorted({*found})


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # removed in between
        return ""


def alive(number: int) -> bool:
    """Whether a process runs, which a zombie does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Folder:
    """Inputs, outputs, and what those must be."""

    def __init__(self, place: Path, count: int, seconds: float, shared: str = "workers"):
        self.source, self.out, self.shared = place / "in", place / "out", SHARED[shared]
        make_inputs(self.source, count, seconds)
        begun = time.monotonic()
        subprocess.run([*COMMAND, self.source, place / "undisturbed"], check=True,
                       stdout=subprocess.DEVNULL)
        self.seconds = time.monotonic() - begun
        self.right = outputs(place / "undisturbed")

    def start(self) -> subprocess.Popen:
        """Begins, or goes on, by two workers."""
        return subprocess.Popen([*COMMAND, self.source, self.out, *self.shared],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True)

    def await_work(self, driver: subprocess.Popen) -> None:
        """Returns when a worker has something in work, or when the driver has ended."""
        while driver.poll() is None:
            names = {f"process {number} " for number in (driver.pid, *workers(driver.pid))}
            locks = [_text(path) for path in self.out.glob(".voxmend-*/lock")]
            if workers(driver.pid) and any(lock.startswith(tuple(names)) for lock in locks):
                return
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
    sharing = workers(driver.pid)
    if driver.poll() is not None:
        return None
    if sharing and dice.random() < 0.7:
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


def torment(folder: Folder, kills: int, dice: random.Random) -> None:
    """Kills so often, then lets the command finish; prints a line for each."""
    killed, driver, begun = Counter[str](), folder.start(), time.monotonic()
    while killed.total() < kills:
        if dice.random() < 0.8:
            folder.await_work(driver)
            time.sleep(dice.uniform(0, min(8.0, folder.seconds)))
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
    print(f"{killed['worker']} workers and {killed['driver']} drivers killed; every output as "
          f"undisturbed, left besides: {', '.join(left) or 'nothing'}\n", flush=True)


def main(kills: int = 20, seed: int = 0, shared: str = "workers") -> None:
    """Prints what was killed, how many outputs were there then, and the verdict."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        for count, seconds in ((8, 8.0), (1, 65.0)):
            folder = Folder(Path(place) / str(count), count, seconds, shared)
            print(f"{count} of {seconds:g} s, undisturbed in {folder.seconds:.0f} s by one process")
            torment(folder, kills // 2, dice)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
