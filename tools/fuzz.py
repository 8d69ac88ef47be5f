"""Broken files and random options: `python tools/fuzz.py [--files 2000] [--options 300]`.

Every trial runs a verb in a child process, in a folder of its own. It must end within 20 s of the
processor's time (or 120 s of ours), with exit code 0, or 2 and one line on stderr; without a
traceback; without more than 1 GB of memory; and after code 2 nothing new may be in the folder,
after code 0 nothing hidden. Trials are numbered and seeded, so the same number is the same trial.
What fails is written to --failures: the files and the command. Prints a table by container.
"""

import argparse
import hashlib
import multiprocessing
import os
import queue
import re
import resource
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import chdir
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from cases import command
from cases.mutations import Trial, file_trial, option_trial
from figures import replace_between

SECONDS, WAIT = 20, 120  # a trial's limits: of the processor's time, and of ours
MEMORY = 1000  # MB, of the whole child
ADDRESSES = 16 * 2**30  # bytes, so that a runaway child does not take the machine
TRIALS = 100  # of a child, before it is replaced by a new one


class End(NamedTuple):
    """How a trial ended: exit code, and what is wrong, in a few words and in full."""

    code: int | None
    fault: str = ""
    details: str = ""


def lay_out(trial: Trial, folder: Path) -> dict[str, str]:
    """Writes a trial's files; returns what stands in its folder, with hashes."""
    for name, data in trial.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_bytes(data)
    return contents(folder)


def contents(folder: Path) -> dict[str, str]:
    """Hashes of all files below a folder, by name."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            if path.is_file() else "" for path in sorted(folder.rglob("*"))}


def peak() -> float:
    """The most memory that this process held since the last call, in MB."""
    status = Path("/proc/self/status").read_text()
    held = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    Path("/proc/self/clear_refs").write_text("5")
    return int(held.split()[1]) / 1000


def processor_time(pid: int | None) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fault(trial: Trial, done: command.Outcome, before: dict[str, str],
          after: dict[str, str]) -> str:
    """What is wrong with the end of a trial, or an empty string."""
    if done.traceback:
        return "traceback: " + done.traceback.strip().splitlines()[-1][:90]
    if done.code not in (0, 2):
        return f"exit code {done.code}"
    strange = [line for line in done.errors if not line.startswith("voxmend: ")]
    if strange:
        return ("usage in many lines" if any("╭" in line for line in strange)
                else "a line of others on stderr: "
                + re.sub(r"(0x)?[0-9a-f]*\d[0-9a-f]*", "#", strange[0])[:50])
    if done.code == 2 and len(done.errors) != 1 and not trial.each:
        return f"{len(done.errors)} lines on stderr"
    new = [name for name in after if name not in before]
    changed = [name for name in before if after.get(name) != before[name]]
    if hidden := [name for name in new if Path(name).name.startswith(".")]:
        return f"left over: {hidden[0].split('-')[0]}…"
    if done.code == 2 and not trial.each and (new or changed):
        return f"left over after an error: {' '.join(new or changed)}"
    named = {word.removeprefix("@") for word in trial.words if word.startswith("@")}
    if broken := [name for name in changed if name not in named]:
        return f"changed: {broken[0]}"
    return ""


def attempt(trial: Trial, folder: Path) -> End:
    """Runs a trial in a folder, which is the current one meanwhile, in this process."""
    before = lay_out(trial, folder)
    words = [str(folder / word[1:]) + "/" * word.endswith("/") if word.startswith("@") else word
             for word in trial.words]
    with tempfile.TemporaryDirectory() as scratch, chdir(folder):
        tempfile.tempdir, kept = scratch, tempfile.tempdir
        try:
            done = command.run(*words)
            wrong = fault(trial, done, before, contents(folder))
            left = [path.name for path in Path(scratch).iterdir()
                    if not path.name.startswith("torchinductor")]  # torch's cache, of its import
            if left and not wrong:
                wrong = "left over in the temporary folder"
        finally:
            tempfile.tempdir = kept
    return End(done.code, wrong, "\n".join((*done.errors, done.traceback)))


def child(pipe: Connection) -> None:
    """Runs the trials that come through a pipe, and sends back how they end."""
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (trial := pipe.recv()) is not None:
        peak()
        with tempfile.TemporaryDirectory() as folder:
            end = attempt(trial, Path(folder))
        if (most := peak()) > MEMORY and not end.fault:
            end = End(end.code, "memory", f"{most:.0f} MB")
        pipe.send(end)


class Children:
    """A child process that is replaced when it hangs, dies, or has run a hundred trials."""

    def __init__(self) -> None:
        self.process: multiprocessing.process.BaseProcess | None = None
        self.count = 0

    def stop(self) -> None:
        """Ends the child."""
        if self.process:
            self.process.kill()
            self.process.join()
        self.process = None

    def run(self, trial: Trial) -> End:
        """Runs a trial in the child."""
        if not self.process or self.count == TRIALS:
            self.stop()
            context = multiprocessing.get_context("spawn")
            self.pipe, other = context.Pipe()
            self.process, self.count = context.Process(target=child, args=(other,)), 0
            self.process.start()
            other.close()
        self.count += 1
        self.pipe.send(trial)
        begun, used = time.monotonic(), processor_time(self.process.pid)
        while not self.pipe.poll(0.5):
            if (processor_time(self.process.pid) - used > SECONDS
                    or time.monotonic() - begun > WAIT):
                self.stop()
                return End(None, f"longer than {SECONDS} s")
        try:
            end = self.pipe.recv()
        except EOFError:
            self.process.join()
            code = self.process.exitcode
            self.stop()
            return End(None, f"died: signal {-(code or 0)}")
        if end.fault == "memory" and self.count > 1:  # some of it may be what others left
            self.stop()
            return self.run(trial)
        return end


def run(trials: dict[str, Trial], jobs: int, failures: Path) -> dict[str, End]:
    """Runs trials in so many children at once; saves those that fail."""
    todo: queue.SimpleQueue[tuple[str, Trial]] = queue.SimpleQueue()
    for item in trials.items():
        todo.put(item)
    ends: dict[str, End] = {}
    bar = tqdm(total=len(trials), unit="trial")

    def work() -> None:
        children = Children()
        try:
            while True:
                name, trial = todo.get_nowait()
                ends[name] = children.run(trial)
                if ends[name].fault:
                    save(failures / name, trial, ends[name])
                bar.update()
        except queue.Empty:
            children.stop()

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bar.close()
    return {name: ends[name] for name in trials}


def save(folder: Path, trial: Trial, end: End) -> None:
    """Writes what repeats a failure: its files, the command, what it said."""
    folder.mkdir(parents=True, exist_ok=True)
    lay_out(trial, folder)
    words = " ".join(word.removeprefix("@") or "''" for word in trial.words)
    (folder / "FAILURE.txt").write_text(
        f"{trial.kind}: {trial.text}\nvoxmend {words}\n{end.fault}\n{end.details}\n")


def markdown(trials: dict[str, Trial], ends: dict[str, End]) -> list[str]:
    """The table by container, and the faults with how many trials show them."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    faults: Counter[str] = Counter()
    first: dict[str, str] = {}
    for name, end in ends.items():
        result = "failed" if end.fault else "done" if end.code == 0 else "refused"
        rows[trials[name].kind][result] += 1
        if end.fault:
            faults[end.fault] += 1
            first.setdefault(end.fault, name)
    lines = ["| input | trials | done | refused in one line | failed |", "|---|---|---|---|---|"]
    total: Counter[str] = Counter()
    for kind, row in rows.items():
        total += row
        lines.append(f"| {kind} | {sum(row.values())} | {row['done']} | {row['refused']} | "
                     f"{row['failed']} |")
    lines.append(f"| all | {len(ends)} | {total['done']} | {total['refused']} | "
                 f"{total['failed']} |")
    if faults:
        lines += ["", "| fault | trials | the first |", "|---|---|---|"]
        lines += [f"| {text.replace('|', '/')} | {count} | {first[text]} |"
                  for text, count in faults.most_common()]
    return lines


def main() -> None:
    """Runs the trials; exits with 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--options", type=int, default=300)
    parser.add_argument("--only", help="the name of one trial, as files-17")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path(tempfile.gettempdir()) / "fuzz")
    parser.add_argument("--out", type=Path, help="a page with a section <!-- fuzz -->")
    args = parser.parse_args()
    names = [f"files-{k}" for k in range(args.files)] + [
        f"options-{k}" for k in range(args.options)]
    trials = {}
    for name in [args.only] if args.only else names:
        kind, _, number = name.partition("-")
        trials[name] = (file_trial if kind == "files" else option_trial)(int(number))
    begun = time.monotonic()
    ends = run(trials, args.jobs, args.failures)
    lines = markdown(trials, ends)
    print("\n".join(lines))
    if args.out:
        replace_between(args.out, "fuzz", lines)
    failed = sum(bool(end.fault) for end in ends.values())
    print(f"{len(ends)} trials in {time.monotonic() - begun:.0f} s, {failed} failed"
          + (f": see {args.failures}" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
