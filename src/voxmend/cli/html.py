"""Pages for a browser, of one recording or of many, and what `--report` of the verbs leaves.

    OUT.html                     of one recording: the page
    OUT.html, OUT.pages/*.html   of several: a table, the worst first, and a page of each

Every verb passes here, so heavy imports wait.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from .. import audio
from ..audio import urls
from . import claims, folders, jobs, running, sidecars
from .folders import Job, Plan
from .options import Calling

if TYPE_CHECKING:
    from ..restore.damage import Damage
    from .files import Made

SUFFIXES = (".html", ".htm")


def everything(job: Job) -> tuple[Path, ...]:
    """All that a job reads and makes."""
    return *job.inputs, *job.outputs


def sounds(job: Job) -> tuple[Path, ...]:
    """The same without mel-spectrograms."""
    return tuple(path for path in everything(job) if path.suffix.lower() != ".npy")


@dataclass(frozen=True)
class Shown:
    """What the pages of a verb show.

    Attributes:
        names: of the tracks, the recording first; where a job has a file less, that is missing.
        files: those of a job that its page shows, in this order.
        uncertain: one more file follows, the standard deviation of the last.
        place: the output by which a page is named.
    """

    names: tuple[str, ...]
    files: Callable[[Job], tuple[Path, ...]] = everything
    uncertain: bool = False
    place: Callable[[Job], Path] = lambda job: job.outputs[0]


def run(verb: jobs.Verb, plan: Plan, common: Calling, shown: Shown) -> int:
    """Does the jobs of a plan and, if that is asked for, leaves pages of them; the exit code."""
    if not common.report:
        return running.run(verb, plan)
    workers, ray = (common.workers, common.ray) if plan.several else (None, None)
    pages = _verb(shown.names, shown.uncertain, common.salvage, common.overwrite, workers, ray)
    (target,) = folders.read_names([common.report])
    check(target, pages, plan.several, plan.folder)
    piped = [path for job in plan.jobs for path in job.outputs if folders.is_stream(path)]
    if piped:
        raise ValueError(f"--report {common.report}: shows files, and {piped[0]} is a pipe; name a "
                         "file as OUT")
    with plan.spool.pop_all():  # what stdin was kept in, which is shown as well
        status = running.run(verb, plan)
        places = {shown.files(job): urls.relative(shown.place(job), plan.folder)
                  for job in plan.jobs if _is_made(verb, job)}
        return max(status, show(pages, places, target, plan))


def _verb(names: tuple[str, ...], uncertain: bool, salvage: bool, overwrite: bool,
          workers: int | Literal["auto"] | None = None, ray: str | None = None) -> jobs.Verb:
    """What makes pages, with what decides them."""
    options = {"names": [*names], "uncertain": uncertain, "salvage": salvage}
    return jobs.Verb("report", options, partial(load_pages, names, uncertain, salvage), overwrite,
                     workers, ray)


def _is_made(verb: jobs.Verb, job: Job) -> bool:
    """Whether the outputs of a job are there as the verb makes them."""
    try:
        with urls.reached(*job.inputs, *job.outputs):
            return sidecars.why_made(job, verb.name, verb.options, False, resumes=True) is None
    except audio.AudioError:
        return False


def check(target: Path, verb: jobs.Verb, several: bool, made: Path | None = None) -> None:
    """Raises ValueError or AudioError, before minutes of work, for what cannot be written there.

    Args:
        made: a folder that will be there by then.
    """
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{target}: give the report a name that ends in .html")
    with urls.reached(target):
        claims.check_file(target)
        parent = target.parent
        if not (urls.is_remote(target) or parent.is_dir() or (several and made == parent)):
            raise audio.AudioError(f"{target}: no such folder as {parent}; make it first")
        sidecars.why_made(Job((), (target,)), verb.name, {}, verb.overwrite, resumes=several)


def show(verb: jobs.Verb, places: dict[tuple[Path, ...], Path], target: Path, of: Plan) -> int:
    """Makes the page of one recording, or pages and a table of several; the exit code.

    Args:
        places: what each page shows, and its place, without `.html`, beside the others.
        of: what the pages are about.
    """
    several = of.several
    if not several:
        return running.run(verb, Plan([Job(inputs, (target,)) for inputs in places], several))
    folder = target.with_suffix(".pages")
    plan = Plan([Job(inputs, (folder / place.with_name(folders.fit_name(place.name, ".html")),))
                 for inputs, place in places.items()], several)
    status = running.run(verb, plan)
    made = [job for job in plan.jobs if _is_made(verb, job)]
    if not made:
        return status
    pages, shown = tuple(job.outputs[0] for job in made), {p for job in made for p in job.inputs}
    missing = [job.inputs[0].name for job in of.jobs or plan.jobs
               if shown.isdisjoint(everything(job))]
    title = of.folder.resolve().name or target.stem
    options = {"table": title} | ({"missing": missing} if missing else {})
    listing = jobs.Verb("report", options, partial(load_table, title, folder, missing),
                        verb.overwrite)
    return max(status, running.run(listing, Plan([Job(pages, (target,))], several)))


def load_pages(names: tuple[str, ...], uncertain: bool, salvage: bool) -> jobs.Work:
    """What makes pages.

    Args:
        names, uncertain: as of `Shown`.
        salvage: as of `audio.Reader`.
    """
    from ..report import page_of_files, severity

    def make(inputs: Sequence[Path], outputs: Sequence[Path],
             streaming: jobs.Streaming) -> "Made":
        readers = [audio.Reader(path, salvage) for path in inputs]
        seconds = max(reader.frames / reader.sample_rate for reader in readers)
        tracks = readers[:-1] if uncertain else readers
        found = _find(tracks[0]) if len(tracks) == len(names) else ()
        left = _find(tracks[1]) if len(tracks) == 2 else None
        text = page_of_files(inputs[0].name, [*zip(names[-len(tracks):], tracks, strict=True)],
                             found, _facts(tracks, left), readers[-1] if uncertain else None)
        outputs[0].write_text(text, encoding="utf-8", errors="replace")
        return {"task": "report", "recording": inputs[0].name, "sound_seconds": round(seconds, 3),
                "severity": round(severity(found, seconds), 4), "found": _texts(found),
                "left": None if left is None else _texts(left)}, seconds

    return jobs.Work(make)


def _find(reader: audio.Reader) -> tuple["Damage", ...]:
    """What `voxmend mend --dry-run` finds."""
    from ..restore.tasks import TASKS
    from .reports import find

    return find(reader, TASKS["mend"].reports, {})


def _facts(readers: Sequence[audio.Reader], left: "Sequence[Damage] | None") -> dict[str, str]:
    """What is known of a recording, and of how the first file beside it was made."""
    from ..report import facts

    first = readers[0]
    known = {"Sample rate": f"{first.sample_rate} Hz", "Channels": str(first.channels),
             "Samples": first.subtype}
    if left is not None:
        known["Found in the result"] = "; ".join(_texts(left)) or "nothing"
    return known | facts(sidecars.read(_place(readers[-1].path)) or {})


def _place(path: Path) -> Path:
    """Where a file lies, or that which it is a copy of."""
    return urls.origin(path) or path


def _texts(damages: "Sequence[Damage]") -> list[str]:
    """What is said of the channels, each once, after the names of those if not of all."""
    from ..report.marks import words
    from ..restore.damage import channel_name

    where: dict[str, list[str]] = {}
    for channel, damage in enumerate(damages):
        for _, text in words(damage):
            where.setdefault(text, []).append(channel_name(channel, len(damages)))
    return [text if len(names) == len(damages) else f"{', '.join(names)}: {text}"
            for text, names in where.items()]


def load_table(title: str, folder: Path, missing: Sequence[str]) -> jobs.Work:
    """What makes a table of pages.

    Args:
        folder: of the pages, which lies beside the table.
        missing: what recordings are called of which there is none.
    """
    from ..report import Row, table

    def make(inputs: Sequence[Path], outputs: Sequence[Path],
             streaming: jobs.Streaming) -> "Made":
        rows = []
        for place in map(_place, inputs):
            told, name = sidecars.read(place) or {}, urls.relative(place, folder)
            rows.append(Row(name.with_suffix("").as_posix(), (folder.name / name).as_posix(),
                            told["sound_seconds"], told["severity"], told["found"], told["left"]))
        outputs[0].write_text(table(title, rows, missing), encoding="utf-8", errors="replace")
        return {"task": "report", "recordings": len(rows)}, sum(row.seconds for row in rows)

    return jobs.Work(make)


def report_files(paths: Sequence[str], restored: str | None, salvage: bool, overwrite: bool,
                 workers: int | Literal["auto"] | None) -> int:
    """Makes the pages of `voxmend report`; the exit code."""
    if len(paths) < 2:
        raise audio.AudioError(f"{' '.join(paths) or 'nothing to do'}: name IN and OUT.html, what "
                               "is read and where the page goes")
    names = ("before", "after") if restored else ("recording",)
    verb = _verb(names, False, salvage, overwrite, workers)
    *sources, target = folders.read_names(paths)
    other = folders.read_names([restored])[0] if restored else None
    with ExitStack() as spool:
        with urls.reached(*sources):
            is_folder = sources[0].is_dir()
            several = len(sources) > 1 or is_folder
            check(target, verb, several)
            if other and (len(sources) > 1 or other.is_dir() != is_folder):
                raise ValueError(f"--restored {restored}: name two recordings or two folders")
            plan = Plan([], several, sources[0] if is_folder else sources[0].parent)
            sources = folders.keep_stdin(sources, spool)
            places = folders.find(sources) if several else {sources[0]: Path(sources[0].name)}

        def shown(file: Path, place: Path) -> tuple[Path, ...]:
            if not other:
                return (file,)
            return file, audio.writable(other / place) if several else other

        return show(verb, {shown(file, place): place for file, place in places.items()}, target,
                    plan)
