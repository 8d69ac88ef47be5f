"""Pages for a browser, of one recording or of many, and what `--report` of the verbs leaves.

    OUT.html                     of one recording: the page
    OUT.html, OUT.pages/*.html   of several: a table, the worst first, and a page of each
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from .. import audio
from ..report import Excerpt, Row, Track, page, severity, table
from ..report.marks import words, worst
from ..report.pages import LONGEST
from ..restore.damage import Damage
from ..restore.tasks import TASKS
from . import files, folders, jobs, running, sidecars
from .folders import Job, Plan
from .options import Calling
from .reports import find

SUFFIXES = (".html", ".htm")
FACTS = {"verb": "Verb", "method": "Method", "prior": "Prior", "weights": "Weights",
         "sampler": "Sampler", "steps": "Steps", "draws": "Draws", "seed": "Seed",
         "precision": "Precision", "seconds": "Seconds of work", "version": "voxmend"}


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
    pages = _verb(shown.names, shown.uncertain, common.salvage, common.overwrite,
                  common.workers)
    check(common.report, pages, plan.several)
    piped = [path for job in plan.jobs for path in job.outputs if folders.is_stream(path)]
    if piped:
        raise ValueError(f"--report {common.report}: shows files, and {piped[0]} is a pipe; name a "
                         "file as OUT")
    with plan.spool.pop_all():  # what stdin was kept in, which is shown as well
        status = running.run(verb, plan)
        places = {shown.files(job): shown.place(job).relative_to(plan.folder)
                  for job in plan.jobs if _is_made(verb, job)}
        return max(status, show(pages, places, common.report, plan))


def _verb(names: tuple[str, ...], uncertain: bool, salvage: bool, overwrite: bool,
          workers: int | Literal["auto"] | None) -> jobs.Verb:
    """What makes pages, with what decides them."""
    options = {"names": [*names], "uncertain": uncertain, "salvage": salvage}
    return jobs.Verb("report", options, partial(load_pages, names, uncertain, salvage), overwrite,
                     workers)


def _is_made(verb: jobs.Verb, job: Job) -> bool:
    """Whether the outputs of a job are there as the verb makes them."""
    try:
        return sidecars.why_made(job, verb.name, verb.options, False, resumes=True) is None
    except audio.AudioError:
        return False


def check(target: Path, verb: jobs.Verb, several: bool) -> None:
    """Raises ValueError or AudioError, before minutes of work, for what cannot be written there."""
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{target}: give the report a name that ends in .html")
    if target.is_dir():
        raise audio.AudioError(f"{target}: a folder, where a file is to go; rename it")
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
    pages = tuple(job.outputs[0] for job in plan.jobs if _is_made(verb, job))
    if not pages:
        return status
    title = of.folder.resolve().name or target.stem
    load = partial(load_table, title, target.absolute().parent, folder.absolute())
    listing = jobs.Verb("report", {"table": title}, load, verb.overwrite)
    return max(status, running.run(listing, Plan([Job(pages, (target,))], several)))


def load_pages(names: tuple[str, ...], uncertain: bool, salvage: bool) -> jobs.Work:
    """What makes pages.

    Args:
        names, uncertain: as of `Shown`.
        salvage: as of `audio.Reader`.
    """
    def make(inputs: Sequence[Path], outputs: Sequence[Path],
             streaming: jobs.Streaming) -> files.Made:
        readers = [audio.Reader(path, salvage) for path in inputs]
        seconds = max(reader.frames / reader.sample_rate for reader in readers)
        tracks = readers[:-1] if uncertain else readers
        named = names[-len(tracks):]
        found = _find(tracks[0]) if len(tracks) == len(names) else ()
        left = _find(tracks[1]) if len(tracks) == 2 else None
        start = worst(found, seconds, LONGEST)
        waves = [_read(reader, start) for reader in readers]
        text = page(inputs[0].name, [
            Track(name, wave, reader.sample_rate)
            for name, wave, reader in zip(named, waves, tracks, strict=False)],
            found, _facts(tracks, left), waves[-1] if uncertain else None,
            Excerpt(start, seconds))
        outputs[0].write_text(text, encoding="utf-8")
        return {"task": "report", "recording": inputs[0].name, "sound_seconds": round(seconds, 3),
                "severity": round(severity(found, seconds), 4), "found": _texts(found),
                "left": None if left is None else _texts(left)}, seconds

    return jobs.Work(make)


def _find(reader: audio.Reader) -> tuple[Damage, ...]:
    """What `voxmend mend --dry-run` finds."""
    return find(reader, TASKS["mend"].reports, {})


def _read(reader: audio.Reader, start: float) -> np.ndarray:
    """As much of a recording as a page holds, from `start` seconds on. Shape: `[C, T]`."""
    first = round(start * reader.sample_rate)
    last, kept, done = first + round(LONGEST * reader.sample_rate), [], 0
    for block in reader.blocks():
        kept.append(block[:, max(first - done, 0):max(last - done, 0)])
        done += block.shape[1]
        if done >= last:
            break
    wave = np.concatenate(kept, axis=1)
    return audio.fit(wave, max(wave.shape[1], 1))  # a shorter one may have ended before


def _facts(readers: Sequence[audio.Reader], left: Sequence[Damage] | None) -> dict[str, str]:
    """What is known of a recording, and of how the first file beside it was made."""
    first = readers[0]
    facts = {"Sample rate": f"{first.sample_rate} Hz", "Channels": str(first.channels),
             "Samples": first.subtype}
    if left is not None:
        facts["Found in the result"] = "; ".join(_texts(left)) or "nothing"
    made: dict[str, Any] = sidecars.read(readers[-1].path) or {}
    known = {**made.get("options", {}), **made}
    return facts | {name: str(known[key]) for key, name in FACTS.items()
                    if isinstance(known.get(key), str | int | float)
                    and "/" not in str(known[key])}


def _texts(damages: Sequence[Damage]) -> list[str]:
    """What is said of any channel, each once."""
    return [*dict.fromkeys(text for damage in damages for _, text in words(damage))]


def load_table(title: str, folder: Path, pages: Path) -> jobs.Work:
    """What makes a table of pages.

    Args:
        folder: where the table is to stand.
        pages: the folder of the pages.
    """
    def make(inputs: Sequence[Path], outputs: Sequence[Path],
             streaming: jobs.Streaming) -> files.Made:
        rows = []
        for path in inputs:
            told = sidecars.read(path) or {}
            place = path.absolute()
            rows.append(Row(place.relative_to(pages).with_suffix("").as_posix(),
                            place.relative_to(folder).as_posix(), told["sound_seconds"],
                            told["severity"], told["found"], told["left"]))
        outputs[0].write_text(table(title, rows), encoding="utf-8")
        return {"task": "report", "recordings": len(rows)}, sum(row.seconds for row in rows)

    return jobs.Work(make)


def report_files(paths: Sequence[str], restored: Path | None, salvage: bool, overwrite: bool,
                 workers: int | Literal["auto"] | None) -> int:
    """Makes the pages of `voxmend report`; the exit code."""
    if len(paths) < 2:
        raise audio.AudioError(f"{' '.join(paths) or 'nothing to do'}: name IN and OUT.html, what "
                               "is read and where the page goes")
    names = ("before", "after") if restored else ("recording",)
    verb = _verb(names, False, salvage, overwrite, workers)
    *sources, target = folders.read_names(paths)
    several = len(sources) > 1 or sources[0].is_dir()
    check(target, verb, several)
    if restored and (len(sources) > 1 or restored.is_dir() != sources[0].is_dir()):
        raise ValueError(f"--restored {restored}: name two recordings or two folders")
    plan = Plan([], several, sources[0] if sources[0].is_dir() else sources[0].parent)
    with plan.spool:
        sources = folders.keep_stdin(sources, plan.spool)
        places = folders.find(sources) if several else {sources[0]: Path(sources[0].name)}

        def shown(file: Path, place: Path) -> tuple[Path, ...]:
            if not restored:
                return (file,)
            return file, audio.writable(restored / place) if several else restored

        return show(verb, {shown(file, place): place for file, place in places.items()}, target,
                    plan)
