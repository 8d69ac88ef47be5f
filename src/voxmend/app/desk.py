"""What visitors can ask for: an answer is a course of views, from a moving bar to what was made."""

import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from ..audio.errors import reason
from . import commands, markup, voices
from .commands import Line, Sampling
from .examine import Found, examine
from .limits import MOST_DRAWS, MOST_VOICES, Limits
from .process import CancelledError, FailedError, Process
from .runs import Command, Made, run
from .store import BusyError, GoneError, Recording, Store

LOADED = ("voxmend.cli.files", "voxmend.restore.restorer", "voxmend.systems.enhance",
          "voxmend.systems.conversation", "voxmend.speakers.voices", "voxmend.app.examine",
          "voxmend.app.runs", "voxmend.app.voices")  # what runs are forked with
SAME = "same"  # the input's format
Shown = TypeVar("Shown")


class View(NamedTuple):
    """What the page shows of a run: three pieces of HTML."""

    status: str = ""
    result: str = ""
    command: str = ""


class Arrival(NamedTuple):
    """What the page shows of an upload: a line, what is wrong, and the recording if it is taken."""

    status: str = ""
    finding: str = ""
    recording: Recording | None = None


class VoicesView(NamedTuple):
    """What the page shows of voices; `drawn` are the places that a run began with."""

    status: str
    map: str
    result: str = ""
    command: str = ""
    drawn: tuple[voices.Place, ...] = ()


class Plan(NamedTuple):
    """Lines of the command, what their outputs are called, and which files they need beside it."""

    lines: list[Line]
    titles: Sequence[str]
    players: Sequence[str] = ()
    links: Mapping[str, Path] = MappingProxyType({})


class Desk:
    """Takes recordings and runs the command on them.

    Args:
        main: the command, which takes its words and returns an exit code.
    """

    def __init__(self, store: Store, limits: Limits, main: Command):
        self.store, self.limits, self.main = store, limits, main

    def arrive(self, secret: str, before: str | None = None) -> Iterator[Arrival]:
        """Finds what is wrong with an upload; one that cannot be used is removed.

        Args:
            before: the upload that it takes the place of, which is removed unless it is examined.
        """
        with suppress(GoneError):
            earlier = self.store.get(before)
            if earlier.found is None:
                self.store.remove(earlier.secret)
        try:
            recording = self.store.get(secret)
            work = yield from self._follow(
                recording, recording.path.parent, "looking for damage",
                lambda status: Arrival(status, "", recording), examine, recording.name,
                self.limits)
        except BusyError as error:
            yield Arrival(markup.failure(str(error)))
            return
        except CancelledError:  # another one has taken its place
            return
        except (ValueError, FailedError) as error:
            self.store.remove(secret)
            yield Arrival(markup.failure(str(error)))
            return
        except GeneratorExit:  # the visitor is gone before knowing it
            self.store.remove(secret)
            raise
        recording.found = work.made
        yield Arrival("", markup.finding(secret, recording.name, recording.found), recording)

    def mend(self, secret: str | None, kinds: Sequence[str], form: str, draws: float,
             seed: float) -> Iterator[View]:
        """Restores what is wrong, of the kinds that were chosen."""
        def plan(recording: Recording, found: Found) -> Plan:
            leave = [kind for kind in found.mendable if kind not in kinds]
            if found.mendable and len(leave) == len(found.mendable):
                raise ValueError("nothing is chosen: choose what is to be mended")
            return Plan(commands.mend(recording.name, leave, _suffix(form, found),
                                      _sampling(draws, seed)), ["Mended"])

        return self._run(secret, plan)

    def enhance(self, secret: str | None, verb: str, form: str, refined: bool, limit: float,
                keep_noise: bool) -> Iterator[View]:
        """Takes noise away, and with the verb `dereverb` the room as well.

        Args:
            limit: dB; 0 is no limit.
        """
        def plan(recording: Recording, found: Found) -> Plan:
            if verb not in ("enhance", "dereverb"):
                raise ValueError(f"{verb}: no way to enhance")
            lines = commands.enhance(recording.name, verb, _suffix(form, found), refined,
                                     limit or None, keep_noise)
            return Plan(lines, ["Enhanced", "Taken away"])

        return self._run(secret, plan)

    def refine(self, secret: str | None, other: str | None, form: str,
               seed: float) -> Iterator[View]:
        """Refines what another tool has made of the recording."""
        def plan(recording: Recording, found: Found) -> Plan:
            if other is None:
                raise ValueError("drop what another tool has made of it as well, in this tab")
            enhanced, _ = self._examined(other)
            name = f"by another tool/{enhanced.name}"  # the two may be called the same
            lines = commands.refine(recording.name, name, _suffix(form, found), _sampling(1, seed))
            return Plan(lines, ["Refined"], links={name: enhanced.path})

        return self._run(secret, plan)

    def separate(self, secret: str | None) -> Iterator[View]:
        """Takes two voices apart."""
        titles = ["Speaker 1", "Speaker 2"]
        return self._run(secret, lambda recording, found: Plan(
            commands.separate(recording.name), titles, titles))

    def draw_voices(self, secret: str | None, count: float, seed: float,
                    start: Sequence[voices.Place] = (),
                    target: voices.Place | None = None) -> Iterator[tuple[str, VoicesView]]:
        """Draws voices, and steers them from where they are drawn to a place of the map.

        Args:
            start: where they are drawn.
            target: where their middle is to go.
        """
        before = voices.picture(start, target)
        count, seed = round(min(max(count or 1, 1), MOST_VOICES)), round(max(seed or 0, 0))
        lines = commands.generate(count, seed)
        if target and start:
            moves = voices.amounts(voices.Drawn(tuple(start), ()).middle, target)
            lines = commands.steer(count, seed, moves)
        typed = markup.command(commands.as_typed(lines))
        kept = ""

        def shown(status: str) -> tuple[str, VoicesView]:
            return kept, VoicesView(status, before, "", typed, tuple(start))

        try:
            recording = self._of_voices(secret)
            kept = recording.secret
            with recording.new_run() as folder:
                work = yield from self._follow(recording, folder, "drawing voices", shown,
                                               voices.draw, self.main, lines)
        except (ValueError, FailedError) as error:
            yield shown(markup.failure(str(error)))
            return
        drawn: voices.Drawn = work.made
        result = markup.made(kept, folder.name, drawn.outputs[:2], [], work.notes, None)
        yield kept, VoicesView(
            markup.note(f"{count} voices, their middle at {drawn.middle[0]:+.2f}, "
                        f"{drawn.middle[1]:+.2f} standard deviations"),
            voices.picture(drawn.places, target), result, typed,
            tuple(start) if target and start else drawn.places)

    def _of_voices(self, secret: str | None) -> Recording:
        """Where voices of a visitor are kept, anew when those before are gone; raises FullError."""
        try:
            return self.store.get(secret)
        except GoneError:
            return self.store.new("voices")

    def _examined(self, secret: str | None) -> tuple[Recording, Found]:
        """A recording with which nothing is done now; raises BusyError and GoneError."""
        recording = self.store.get(secret)
        if recording.found is None or recording.running:
            raise BusyError
        return recording, recording.found

    def _run(self, secret: str | None,
             make: Callable[[Recording, Found], Plan]) -> Iterator[View]:
        """Runs what is planned for a recording."""
        begun, typed = time.monotonic(), ""
        try:
            recording, found = self._examined(secret)
            plan = make(recording, found)
            typed = markup.command(commands.as_typed(plan.lines))
            with recording.new_run() as folder:
                for name, path in plan.links.items():
                    (folder / name).parent.mkdir(exist_ok=True)
                    os.link(path, folder / name)
                work = yield from self._follow(
                    recording, folder, "loading", lambda status: View(status, "", typed), run,
                    self.main, plan.lines, recording.name, found.damages, plan.titles)
        except (ValueError, FailedError) as error:
            yield View(markup.failure(str(error)), "", typed)
            return
        except OSError as error:  # whose own words name folders of the server
            yield View(markup.failure(f"{recording.name}: {reason(error)}"))
            return
        made: Made = work.made
        result = markup.made(
            recording.secret, folder.name, made.outputs,
            [(made.sidecar, "How it was made (JSON)")], work.notes, f"{folder.name}.html",
            plan.players)
        yield View(markup.note(f"done in {time.monotonic() - begun:.0f} s"), result, typed)

    def _follow(self, recording: Recording, folder: Path, what: str,
                shown: Callable[[str], Shown], function: Callable[..., Any],
                *arguments: Any) -> Generator[Shown, None, Process]:
        """Runs a function for a recording, which ends with whoever follows it.

        Args:
            shown: makes a view of a bar, which is HTML.

        Returns: what ran, which need no longer be the recording's `work`.

        Raises: BusyError as `Recording.start`, FailedError as `Process.progress`.
        """
        begun, last = time.monotonic(), ""
        work = recording.start(folder, function, *arguments)
        with closing(work.progress()) as course:
            for doing, share in course:
                now = markup.progress(doing or what, share, time.monotonic() - begun)
                if now != last:
                    yield shown(now)
                last = now
        recording.used = time.monotonic()
        return work


def _suffix(form: str, found: Found) -> str:
    """The suffix of a format that was chosen."""
    return found.writable or ".wav" if form == SAME else ".wav"


def _sampling(draws: float, seed: float) -> Sampling:
    """How results are drawn, within what is allowed."""
    return Sampling(round(min(max(draws or 1, 1), MOST_DRAWS)), round(max(seed or 0, 0)))
