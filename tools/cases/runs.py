"""Rows of runs: several inputs, streams, sidecars, locks, names, short files (C13 to C15, A4)."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from .bench import Bench, Check, Wrong
from .damage import RATE


def extracted(layout: str, bench: Bench) -> None:
    """A speaker's embedding does not depend on the layout of his recording."""
    x = bench.clips[0] * 0.6
    other = {"anti-phase": -x, "anti-phase, 6 dB lower": -x / 2, "silent": 0 * x}[layout]
    folder = bench.folder / "in"
    folder.mkdir()
    bench.file("in/a.wav", x[None])
    bench.file("in/b.wav", np.stack([x, other]))
    bench.works("speakers", "extract", folder, "-o", bench.folder / "out.npz")
    with np.load(bench.folder / "out.npz", allow_pickle=False) as found:
        vectors = next(found[name] for name in found.files if found[name].ndim == 2)
    if len(vectors) < 2:
        raise Wrong("not embedded")
    first, second = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    if (alike := float(first @ second)) < 0.9:
        raise Wrong(f"cosine {alike:.2f} to the mono one")


def several(names: tuple[str, ...], bench: Bench) -> None:
    """Several inputs go into a folder."""
    sources, out = [bench.file(name) for name in names], bench.folder / "out"
    bench.works("denoise", *sources, f"{out}/")
    if missing := [name for name in names if not (out / name).is_file()]:
        raise Wrong(f"no {missing[0]}")


def two_files(bench: Bench) -> None:
    """Of two inputs the second is no output."""
    sources = [bench.file(name) for name in ("a.wav", "b.wav", "c.wav")]
    before = sources[-1].read_bytes()
    done = bench.voxmend("denoise", *sources, "--overwrite")
    if sources[-1].read_bytes() != before:
        raise Wrong("the last input was overwritten")
    if not done.refused:
        raise Wrong(f"exit code {done.code}, {len(done.errors)} lines")


def same_names(bench: Bench) -> None:
    """Two inputs of one name in different folders do not overwrite each other."""
    for folder in ("one", "two", "out"):
        (bench.folder / folder).mkdir()
    sources = [bench.file(f"{folder}/a.wav") for folder in ("one", "two")]
    done = bench.voxmend("denoise", *sources, bench.folder / "out")
    count = len(list((bench.folder / "out").rglob("*.wav")))
    if not done.refused and count < 2:
        raise Wrong(f"exit code {done.code}, {count} outputs")


def streamed(source: str, target: str, bench: Bench) -> None:
    """`-` is stdin and stdout."""
    file, out = bench.file("in.wav"), bench.folder / "out.wav"
    done = bench.works("denoise", "-" if source == "-" else file, "-" if target == "-" else out,
                       stdin=file if source == "-" else None)
    if target == "-":
        if done.out[:4] != b"RIFF":
            raise Wrong("no wav on stdout")
        out.write_bytes(done.out)
    if (frames := soundfile.info(out).frames) != 4 * RATE:
        raise Wrong(f"{frames} samples")
    if extra := set(bench.left()) - {"in.wav", "out.wav", *_sidecars(bench)}:
        raise Wrong(f"{min(extra)} was left")


def _sidecars(bench: Bench) -> list[str]:
    return [name for name in bench.left() if name.endswith(".json")]


def dry_run(bench: Bench) -> None:
    """`--dry-run` needs no OUT and writes nothing."""
    bench.works("mend", bench.file("in.wav"), "--dry-run")
    if bench.left() != ["in.wav"]:
        raise Wrong("something was written")


def through_link(bench: Bench) -> None:
    """A symbolic link as OUT is written through."""
    link, real = bench.folder / "out.wav", bench.folder / "real.wav"
    link.symlink_to(real)
    bench.works("denoise", bench.file("in.wav"), link, "--overwrite")
    if not link.is_symlink() or not real.is_file():
        raise Wrong("the link was replaced")


def through_fifo(bench: Bench) -> None:
    """A FIFO as OUT is written through."""
    fifo, got = bench.folder / "out.wav", bytearray()
    os.mkfifo(fifo)
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    ended = threading.Event()

    def drain() -> None:
        while not ended.is_set():
            with suppress(BlockingIOError):
                got.extend(os.read(descriptor, 1 << 16))
            time.sleep(0.002)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        bench.works("denoise", bench.file("in.wav"), fifo, "--overwrite")
        time.sleep(0.05)
    finally:
        ended.set()
        reader.join()
        os.close(descriptor)
    if not fifo.is_fifo():
        raise Wrong("the FIFO was replaced")
    if bytes(got[:4]) != b"RIFF":
        raise Wrong("nothing came through")


def again(change: str, bench: Bench) -> None:
    """What the sidecar tells of another input, verb or output is done again; the same is not."""
    source, out = bench.folder / "in", bench.folder / "out"
    source.mkdir()
    file, verb = bench.file("in/a.wav"), "denoise"
    bench.works("denoise", source, out)
    old = (out / "a.wav").read_bytes()
    if change == "the output is gone":
        (out / "a.wav").unlink()
    elif change == "the output was cut short":
        (out / "a.wav").write_bytes(old[:1000])
    elif change == "the input is another":
        bench.file("in/a.wav", bench.noisy(clip=1))
        os.utime(file, (time.time() + 10,) * 2)
    elif change == "another verb":
        verb = "enhance"
    elif change == "another option":
        verb = "denoise --noise 0.2"
    first = (out / "a.wav").stat().st_mtime_ns if (out / "a.wav").exists() else 0
    done = bench.voxmend(*verb.split(), source, out)
    redone = (out / "a.wav").exists() and (out / "a.wav").stat().st_mtime_ns != first
    if change == "nothing" and (redone or done.code):
        raise Wrong("done again")
    if change != "nothing" and not redone and not done.refused:
        raise Wrong("believed to be finished")


def foreign(folder: bool, bench: Bench) -> None:
    """A JSON of others beside OUT is theirs."""
    out = bench.folder / "out.wav"
    theirs = bench.folder / "out.wav.json"
    if folder:
        theirs.mkdir()
    else:
        theirs.write_text('{"mine": 1}')
    bench.voxmend("denoise", bench.file("in.wav"), out)
    if not folder and theirs.read_text() != '{"mine": 1}':
        raise Wrong("overwritten")
    if not out.exists() and len(bench.said) != 1:
        raise Wrong("neither written nor refused in one line")
    if out.exists() and bench.said and bench.said[-1].startswith("voxmend:"):
        raise Wrong("refused after the work, with OUT written")


def passed_over(bench: Bench) -> None:
    """Hidden files are passed over, other files named once."""
    source, out = bench.folder / "in", bench.folder / "out"
    (source / ".hidden").mkdir(parents=True)
    bench.file("in/a.wav")
    for name in ("._a.wav", ".b.wav", ".voxmend-0123abcd.wav", ".hidden/c.wav"):
        (source / name).write_bytes(b"not sound")
    (source / "notes.txt").write_text("words")
    done = bench.works("denoise", source, out)
    if done.errors and not any("notes.txt" in line or "1 other" in line for line in done.errors):
        raise Wrong(done.errors[0])
    text = "\n".join((done.text, *done.errors))
    if "notes.txt" not in text and "other" not in text and "passed over" not in text:
        raise Wrong("no word of notes.txt")
    if (found := sorted(path.name for path in out.rglob("*.wav"))) != ["a.wav"]:
        raise Wrong(f"wrote {', '.join(found)}")


def started(bench: Bench, source: Path, out: Path) -> subprocess.Popen:
    """A run in a process of its own, that has begun to write its first output."""
    run = subprocess.Popen([sys.executable, "-m", "voxmend", "declip", source, out],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while run.poll() is None and time.monotonic() < deadline:
        if out.is_dir() and any(path.name.startswith(".") for path in out.rglob("*")):
            return run
        time.sleep(0.02)
    run.kill()
    run.communicate()
    raise Wrong("no run to disturb")


def clipped_files(bench: Bench, count: int) -> tuple[Path, Path]:
    """A folder of clipped recordings, and one for what becomes of them."""
    source, out = bench.folder / "in", bench.folder / "out"
    source.mkdir()
    for k in range(count):
        bench.file(f"in/{k}.wav", np.clip(bench.clips[k], -0.3, 0.3)[None, :RATE])
    return source, out


def killed(bench: Bench) -> None:
    """Partial files of a killed run are removed by the next."""
    source, out = clipped_files(bench, 1)
    run = started(bench, source, out)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    bench.works("declip", source, out)
    if hidden := [path.name for path in out.rglob(".*")]:
        raise Wrong(f"{hidden[0]} was left")
    if not (out / "0.wav").exists():
        raise Wrong("not finished")


def locked(bench: Bench) -> None:
    """Two runs into one folder share the files: each is written once."""
    source, out = clipped_files(bench, 3)
    run = started(bench, source, out)
    done = bench.voxmend("declip", source, out)
    text, errors = run.communicate()
    lines = [line for line in (text + done.text).splitlines() if ".wav: 1.0 s in" in line]
    if "Traceback" in errors or run.returncode not in (0, 2):
        raise Wrong("the first run broke")
    if len(lines) > 3:
        raise Wrong(f"3 files were written {len(lines)} times")
    if len(list(out.glob("*.wav"))) < 3 and not done.errors:
        raise Wrong("not finished, and nothing said")


def long_name(length: int, bench: Bench) -> None:
    """A name as long as the file system takes."""
    name = "n" * (length - 4) + ".wav"
    source, out = bench.file("in.wav"), bench.folder / "out"
    out.mkdir()
    bench.works("denoise", source, out / name)
    if soundfile.info(out / name).frames != 4 * RATE:
        raise Wrong("not written")


def tiny(samples: int, verb: str, bench: Bench) -> None:
    """A file of a few samples keeps its length."""
    x = bench.noisy()[:, 2 * RATE:2 * RATE + samples]
    out = bench.folder / "out.wav"
    done = bench.voxmend(verb, bench.file("in.wav", x), out)
    if done.code and not done.refused:
        raise Wrong(f"{len(done.errors)} lines on stderr")
    if not done.code and (frames := soundfile.info(out).frames) != samples:
        raise Wrong(f"{frames} samples of {samples}")


def checks() -> Iterator[Check]:
    """A4, C13 to C15."""
    for layout in ("anti-phase", "anti-phase, 6 dB lower", "silent"):
        yield Check("A4", f"stereo, second channel {layout}: the voice of mono",
                    "speakers extract", partial(extracted, layout))
    for names in (("a.wav", "b.wav"), ("a.wav", "b.wav", "c.wav")):
        yield Check("C13", f"{len(names)} inputs and a folder", "denoise", partial(several, names))
    yield Check("C13", "3 inputs, the last meant as one: not overwritten", "denoise", two_files)
    yield Check("C13", "2 inputs of one name from two folders: both kept", "denoise", same_names)
    for source, target in (("-", "-"), ("-", "out.wav"), ("in.wav", "-")):
        yield Check("C13", f"{source} to {target}: a whole wav", "denoise",
                    partial(streamed, source, target))
    yield Check("C13", "--dry-run without OUT: nothing written", "mend --dry-run", dry_run)
    yield Check("C13", "OUT is a symbolic link: written through", "denoise", through_link)
    yield Check("C13", "OUT is a FIFO: written through", "denoise", through_fifo)
    for change in ("nothing", "the output is gone", "the output was cut short",
                   "the input is another", "another verb", "another option"):
        yield Check("C14", f"a folder again, changed: {change}", "denoise", partial(again, change))
    yield Check("C14", "out.wav.json is somebody else's: untouched", "denoise",
                partial(foreign, False))
    yield Check("C14", "out.wav.json is a folder: refused before, or written", "denoise",
                partial(foreign, True))
    yield Check("C14", "hidden files passed over, others named", "denoise", passed_over)
    yield Check("C14", "partial files of a killed run: removed", "declip", killed)
    yield Check("C14", "two runs into one folder: each file once", "declip", locked)
    for length in (200, 252, 255):
        yield Check("C15", f"a name of {length} characters", "denoise", partial(long_name, length))
    for samples in (1, 10, 100, 320):
        for verb in ("mend", "denoise", "enhance"):
            yield Check("C15", f"a file of {samples} samples: its length kept", verb,
                        partial(tiny, samples, verb))
