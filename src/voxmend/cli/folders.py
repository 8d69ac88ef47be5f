"""Which files are read, and where what is made of each goes.

    voxmend VERB IN OUT            a recording, or a folder of them; - is stdin or stdout
    voxmend VERB IN IN ... OUT     OUT is a folder

In a folder OUT a file keeps its name, and what lies in a folder IN its place there; of a
mel-spectrogram, .npy, a .wav is made.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from .. import audio
from ..audio import SUFFIXES, urls

PIPE = Path("-")  # stdin as an input, stdout as an output
DEVICES = ("/dev/stdin", "/dev/stdout")  # which are the same
SIDECAR = ".voxmend.json"  # added to the name of an output
KEPT = "voxmend-stdin-"  # what a folder for stdin is called, before a random part
LONGEST_NAME = 255  # bytes, on most file systems


@dataclass(frozen=True)
class Job:
    """What is read, and what is made of it."""

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]


@dataclass
class Plan:
    """The jobs of a command."""

    jobs: list[Job]
    several: bool
    """They go into a folder: what is finished is passed over, what is bad stops no other."""
    folder: Path = Path()
    """Where those are."""
    spool: ExitStack = field(default_factory=ExitStack)
    """Closes, and removes, what stdin was kept in."""


Outputs = Callable[[Path], Sequence[Path]]


def fit_name(name: str, ending: str) -> str:
    """`name + ending`; a name too long for that is cut, and told from others by a hash."""
    if len(os.fsencode(name + ending)) <= LONGEST_NAME:
        return name + ending
    ending = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}{ending}"
    return os.fsencode(name)[:LONGEST_NAME - len(os.fsencode(ending))].decode(
        errors="ignore") + ending


def uncertainty(target: Path) -> Path:
    """Where the standard deviation of several draws stands."""
    return target.with_name(fit_name(target.stem, f".uncertainty{target.suffix}"))


def removed(target: Path) -> Path:
    """Where the noise that enhancement took away stands."""
    return target.with_name(fit_name(target.stem, f".noise{target.suffix}"))


def voices(folder: Path, speakers: int) -> list[Path]:
    """Where the separated voices stand."""
    return [folder / f"speaker{k + 1}.wav" for k in range(speakers)]


def make_folder(folder: Path) -> None:
    """Makes a folder for outputs, and those above it; raises AudioError where there is a file."""
    if folder.exists() and not folder.is_dir():
        raise audio.AudioError(f"{folder}: a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)


def is_stream(path: Path) -> bool:
    """Whether an output is a pipe or a device, which is written through and never replaced."""
    return path == PIPE or (not urls.is_remote(path) and path.exists()
                            and not path.is_file() and not path.is_dir())


def read_names(texts: Sequence[str]) -> list[Path]:
    """Paths and URLs as they were typed; `./-` is a file called so, `-` is not."""
    return [PIPE if text in DEVICES
            else urls.locate(text) if text == "-" or Path(text) != PIPE else Path.cwd() / "-"
            for text in texts]


def without_target(texts: Sequence[str]) -> list[Path]:
    """What is read by a command that writes nothing: all paths but a last one for outputs."""
    names = read_names(texts)
    return names[:-1] if len(names) > 1 and not names[-1].is_file() else names


def keep_stdin(paths: Sequence[Path], stack: ExitStack) -> list[Path]:
    """The paths with a file `stdin.wav` in the place of `-`, which holds what is read there."""
    if PIPE not in paths:
        return list(paths)
    if sys.stdin is None:
        raise audio.AudioError("-: stdin is closed; pipe a recording into it, or name a file")
    kept = Path(stack.enter_context(TemporaryDirectory(prefix=KEPT))) / "stdin.wav"
    with kept.open("wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return [kept if path == PIPE else path for path in paths]


def as_told(text: str) -> str:
    """A line for the user, which names no folder that stdin is kept in."""
    return re.sub(rf"{re.escape(gettempdir())}/{KEPT}\w+/", "", text)


def make_plan(texts: Sequence[str], outputs: Outputs = lambda out: [out],
              suffixes: Sequence[str] = SUFFIXES, into_folder: bool = False) -> Plan:
    """The jobs of inputs and, last, where they go.

    Args:
        outputs: what is made, of where it goes.
        suffixes: of files that a verb takes; others of several are passed over.
        into_folder: an output is a folder, called as its input but for the suffix.

    Raises AudioError for what cannot be put where it is to go.
    """
    if len(texts) < 2:
        raise audio.AudioError(f"{' '.join(texts) or 'nothing to do'}: name IN and OUT, what is "
                               "read and where it goes")
    names = read_names(texts)
    with urls.reached(*names):
        return _plan(texts, names, outputs, suffixes, into_folder)


def _plan(texts: Sequence[str], names: Sequence[Path], outputs: Outputs, suffixes: Sequence[str],
          into_folder: bool) -> Plan:
    *sources, target = names
    several = (len(sources) > 1 or sources[0].is_dir()
               or (not into_folder and (target.is_dir() or texts[-1].endswith("/"))))
    plan = Plan([], several, target if several else target.parent)
    sources = keep_stdin(sources, plan.spool)
    if several or into_folder:
        _check_folder(target, texts[-1], sources)
    elif target != PIPE and not urls.is_remote(target) and not target.parent.is_dir():
        raise audio.AudioError(f"{target}: no such folder as {target.parent}; make it first")
    if not several:
        if not (urls.is_remote(sources[0]) or sources[0].exists()):  # before networks are loaded
            raise audio.AudioError(f"{sources[0]}: no such file: check the name")
        plan.jobs = [Job((sources[0],), tuple(outputs(target)))]
    else:
        places = find(sources, suffixes)
        if into_folder:
            places = {file: place.with_suffix("") for file, place in places.items()}
        plan.jobs = [Job((file,), tuple(outputs(audio.writable(target / place))))
                     for file, place in places.items()]
    _check_outputs(plan)
    return plan


def _check_folder(target: Path, text: str, sources: Sequence[Path]) -> None:
    """Raises AudioError if several recordings or voices cannot go there."""
    is_name = target.suffix.lower() in SUFFIXES and not text.endswith("/")
    if target == PIPE or (is_name and not target.is_dir()):
        raise audio.AudioError(f"{target}: the name of one file; name a folder, which several "
                               "recordings or voices need")
    if not urls.is_remote(target):
        there = next(path for path in (target, *target.absolute().parents) if path.exists())
        if not there.is_dir():
            raise audio.AudioError(f"{there}: a file; name a folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise audio.AudioError(f"{there}: cannot be written; name another folder")
    for source in sources:
        if source.is_dir() and source.resolve() in (target.resolve(), *target.resolve().parents):
            raise audio.AudioError(f"{target}: lies in {source} and would be read itself the next "
                                   "time; name a folder elsewhere")


def find(sources: Sequence[Path], suffixes: Sequence[str] = SUFFIXES) -> dict[Path, Path]:
    """Every recording, with its place in a folder of outputs."""
    places: dict[Path, Path] = {}
    others: list[Path] = []
    for source in sources:
        if source.is_dir():
            top = source.resolve().name if len(sources) > 1 else ""
            found, left = _sorted_out(source, suffixes)
            places |= {file: top / _named(urls.relative(file, source)) for file in found}
            others += left
        elif source.suffix.lower() in suffixes:
            places[source] = _named(Path(source.name))
        elif not source.exists():
            raise audio.AudioError(f"{source}: no such file: check the name")
        else:
            others.append(source)
    others = [path for path in others if not path.name.endswith(SIDECAR)]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        print(f"passed over, no recordings by their names: {', '.join(map(str, others[:3]))}{more}")
    if not places:
        raise audio.AudioError(f"{sources[0]}: no audio files ({', '.join(suffixes)}) there")
    return places


def _named(place: Path) -> Path:
    """Where a recording that is made of a file stands: that of a mel-spectrogram is a wav."""
    return place.with_suffix(".wav") if place.suffix.lower() == ".npy" else place


def recordings(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """The recordings in a folder, by their names, sorted; raises AudioError for none."""
    return _sorted_out(folder, suffixes)[0]


def _sorted_out(folder: Path, suffixes: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """The recordings in a folder, and its other files."""
    files = _inside(folder)
    found = [path for path in files if path.suffix.lower() in suffixes]
    if not found:
        raise audio.AudioError(f"{folder}: no audio files ({', '.join(suffixes)}) there")
    return found, [path for path in files if path.suffix.lower() not in suffixes]


def _inside(folder: Path) -> list[Path]:
    """All files of a folder that are not hidden, sorted."""
    found = urls.files(folder) if urls.is_remote(folder) else sorted(_walk(folder))
    return [path for path in found if not any(
        part.startswith(".") for part in urls.relative(path, folder).parts)]


def _walk(folder: Path) -> Iterator[Path]:
    """The files of a folder, and of folders elsewhere that links in it lead to, each once.

    Raises AudioError for a folder that cannot be read.
    """
    def refuse(error: OSError) -> None:
        raise audio.AudioError(f"{error.filename}: {audio.errors.reason(error)}: make the folder "
                               "readable, or name others")

    top, seen = folder.resolve(), set[Path]()
    for place, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = Path(place).resolve()
        folders[:] = [name for name in sorted(folders) if real not in seen
                      and not name.startswith(".") and not _leads_home(Path(place, name), top)]
        if real not in seen:
            yield from (Path(place, name) for name in files)
        seen.add(real)


def _leads_home(path: Path, top: Path) -> bool:
    """Whether it is a link to what a walk comes to anyway, or to what is around it."""
    end = path.resolve()
    return path.is_symlink() and (end.is_relative_to(top) or top.is_relative_to(end))


def real_name(path: Path) -> str:
    """A name that two paths share only if they are one file."""
    return str(path) if urls.is_remote(path) else os.path.realpath(path)


def _check_outputs(plan: Plan) -> None:
    """Raises AudioError where one output would replace another, or an input of a folder."""
    taken: dict[str, Path] = {}
    read = {real_name(path) for job in plan.jobs for path in job.inputs}
    for job in plan.jobs:
        for path in job.outputs:
            place = real_name(path)
            if plan.several and place in read:
                raise audio.AudioError(f"{path}: is read itself; name a folder elsewhere")
            if place in taken:
                raise audio.AudioError(f"{job.inputs[0]}: goes to {path}, as does {taken[place]}; "
                                       "give it another name")
            taken[place] = job.inputs[0]
            if is_stream(path) and len(job.outputs) > 1:
                raise audio.AudioError(f"{path}: a pipe, which takes one recording, not "
                                       f"{len(job.outputs)}; name a file")


def each(items: Iterable[tuple], work: Callable, several: bool) -> int:
    """Runs `work(*item)` on all items; a bad one of several does not stop the rest.

    Returns the exit code: 0, or 2 when some of several failed.
    """
    failed = 0
    for item in items:
        try:
            work(*item)
        except (ValueError, OSError, RuntimeError, MemoryError) as error:
            if not several:
                raise
            failed += 1
            print(line_of(error), file=sys.stderr)
    return 2 if failed else 0


def line_of(error: Exception) -> str:
    """What is said of a failure, in one line."""
    message = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.filename and error.strerror:
        message = f"{error.filename}: {error.strerror.lower()}"
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:
        message = "no space left for stdout, or where temporary files go: make some"
    return as_told("voxmend: " + " ".join(message.split()))
