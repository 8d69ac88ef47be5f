"""The verbs that restore a recording, draw one, and damage one."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from .options import (
    Common,
    Denoising,
    Fresh,
    Handling,
    Mending,
    Method,
    Options,
    Paths,
    Ray,
    Told,
    Workers,
    check_seed,
    load_restorer,
    parse_channels,
    parse_gaps,
    parse_number,
)

if TYPE_CHECKING:
    import numpy as np

    from .jobs import Work

    Damager = Callable[[np.ndarray, int], np.ndarray]


def load_mender(task: str, common: Mending, method: str, told: Told,
                leave: Sequence[str] = ()) -> "Work":
    """What mends recordings, and by `vocode` makes them of mel-spectrograms as well."""
    from . import files, jobs

    restorer = load_restorer(task, common, method)
    restorer.task = restorer.task.leaving(leave)

    def mend_one(inputs: Sequence[Path], outputs: Sequence[Path],
                 streaming: jobs.Streaming) -> files.Made:
        if inputs[0].suffix.lower() == ".npy" and task == "vocode":
            return files.vocode_file(inputs[0], outputs, restorer, common.handling)
        return files.mend_file(inputs[0], outputs, restorer, told, streaming, common.plot,
                               common.handling)

    return jobs.Work(mend_one, (restorer.stream,))


def _mend(task: str, paths: Sequence[str], common: Mending, told: Told,
          method: str = "voxmend", leave: Sequence[str] = ()) -> int:
    from ..audio import SUFFIXES
    from . import folders, html, jobs, sidecars

    common = common.pinned()
    takes = (*SUFFIXES, ".npy") if task == "vocode" else SUFFIXES
    plan = folders.make_plan(
        paths, lambda out: [out, *([folders.uncertainty(out)] if common.draws > 1 else [])], takes)
    if common.plot and plan.several:
        raise ValueError("--plot draws one file: name a file as IN and one as OUT")
    if common.plot and plan.jobs[0].inputs[0].suffix.lower() == ".npy":
        raise ValueError("--plot compares recordings: a mel-spectrogram has no picture before")
    left = {"leave": leave} if leave else {}  # as sidecars of versions without it have it
    settings = sidecars.settings(common, method=method, told=told, **left)
    load = partial(load_mender, task, common, method, told, leave)
    verb = jobs.Verb(task, settings, load, common.overwrite, common.workers, common.ray)
    return html.run(verb, plan, common,
                    html.Shown(("before", "after"), html.sounds, uncertain=common.draws > 1))


def _examine(paths: Sequence[str], salvage: bool, leave: Sequence[str]) -> int:
    from ..audio import urls
    from ..restore.tasks import TASKS
    from . import folders, reports

    if not paths:
        raise ValueError("nothing to do: name IN, what is examined")
    status = []
    with ExitStack() as stack:
        with urls.reached(*folders.read_names(paths)):
            found = folders.keep_stdin(folders.without_target(paths), stack)
            if len(found) > 1:
                found = list(folders.find(found))
        failed = folders.each([(path,) for path in found], lambda path: status.append(
            reports.examine(path, TASKS["mend"].leaving(leave), salvage)), several=len(found) > 1)
        return max([failed, *status])


def mend(paths: Paths, common: Options, dry_run: bool = False,
         leave: Annotated[str, arg(metavar="KIND,...", help_behavior_hint="")] = "") -> int:
    """Find clipping, lost bandwidth, gaps, noise; restore all.

    Args:
        paths: A recording, or several or folders of them, and where the result goes: a folder, if
            not a single recording is read. - is stdin, or stdout, which is a wav.
        dry_run: Only say what is wrong; nothing is written, and OUT may be left out.
        leave: Of what is found, leave these kinds as they are: clipping, cutoff, low_cutoff, gaps,
            noise, coloured, hum, clicks.
    """
    kinds = _check_kinds(leave)
    if dry_run:
        if common.report or common.plot:
            raise ValueError("--dry-run writes nothing: leave out --report and --plot, or see "
                             "voxmend report")
        return _examine(paths, common.salvage, kinds)
    return _mend("mend", paths, common, {}, leave=kinds)


def _check_kinds(text: str) -> tuple[str, ...]:
    """The kinds of --leave KIND,..., each once; raises ValueError for what `mend` never mends."""
    kinds = dict.fromkeys(filter(None, map(str.strip, text.split(","))))
    if not kinds:
        return ()
    from ..restore.tasks import TASKS

    finds = TASKS["mend"].finds
    for kind in kinds:
        if kind not in finds:
            raise ValueError(f"--leave {kind}: give some of {','.join(finds)}")
    if len(kinds) == len(finds):
        raise ValueError(f"--leave {text}: nothing is left to mend; leave out one")
    return tuple(kind for kind in finds if kind in kinds)


def declip(paths: Paths, common: Options, level: str = "auto",
           method: Method = "voxmend") -> int:
    """Declip: restore the peaks that clipping cut off.

    Args:
        paths: What is read and where it goes, as in voxmend mend. Restored peaks may pass full
            scale: a wav, aiff, caf, w64 or au becomes 32-bit float, then, unless --headroom makes
            room for them.
        level: Where samples are cut off, as a share of full scale, 0..1, about the DC offset that
            is found; of single channels as in L:0.3,R:0.6 (or 1:, 2:, ...); auto finds it.
        method: voxmend; or UnDiff, as its paper states the task (undiff) or as its release runs
            it (undiff-release), both by every step of the prior's schedule, or 200 where it has
            none.
    """
    from ..restore.damage import Clipping

    told: Told = {} if level == "auto" else {"clipping": parse_channels(
        "level", level, lambda text: (Clipping(parse_number("level", text, 0, 1)),))}
    return _mend("declip", paths, common, told, method)


def extend(paths: Paths, common: Options, cutoff: str = "auto",
           method: Literal["voxmend", "undiff"] = "voxmend") -> int:
    """Bandwidth extension (audio super-resolution), up to 8 kHz.

    Recordings below 16 kHz come out at 16 kHz.

    Args:
        paths: What is read and where it goes, as in voxmend mend.
        cutoff: Frequency in Hz above which everything is lost; of single channels as in
            L:3000,R:4000; auto finds it.
        method: voxmend, or undiff: imputation as in its paper, by every step of the prior's
            schedule, or 200 where it has none.
    """
    told: Told = {} if cutoff == "auto" else {"cutoff": parse_channels(
        "cutoff", cutoff, lambda text: parse_number("cutoff", text, 0, 8000))}
    return _mend("extend", paths, common, told, method)


def inpaint(paths: Paths, common: Options, gaps: str = "auto") -> int:
    """Inpainting: fill gaps, as of packet loss and dropouts.

    Args:
        paths: What is read and where it goes, as in voxmend mend.
        gaps: START-END,... in seconds, as in 1.2-1.25,3-3.04; of single channels each with its
            own, as in L:1.2-1.25,L:3-3.04; auto takes what breaks off abruptly.
    """
    told: Told = {} if gaps == "auto" else {"gaps": parse_channels("gaps", gaps, parse_gaps)}
    return _mend("inpaint", paths, common, told)


def denoise(paths: Paths, common: Annotated[Denoising, arg(name="")], noise: str = "auto") -> int:
    """Denoise: remove stationary noise of any colour, and hum.

    Above 8 kHz white noise is filtered, not by the prior. For noise of other kinds see voxmend
    enhance.

    Args:
        paths: What is read and where it goes, as in voxmend mend.
        noise: RMS of white noise as a share of full scale; of single channels as in L:0.01; auto
            measures it in the pauses.
    """
    told: Told = {} if noise == "auto" else {"noise": parse_channels(
        "noise", noise, lambda text: parse_number("noise", text, 0, 1))}
    return _mend("denoise", paths, common, told)


def vocode(paths: Paths, common: Options,
           method: Method = "voxmend") -> int:
    """Vocoder: make speech from a mel-spectrogram.

    A recording is made anew, from its own, and keeps its rate.

    Args:
        paths: What is read and where it goes, as in voxmend mend; mel-spectrograms as well: .npy,
            [80, frames], linear, hop 256 at 16 kHz. In a folder OUT they are .wav.
        method: voxmend; or UnDiff, as its paper states the task (undiff) or as its release runs
            it (undiff-release), both by every step of the prior's schedule, or 200 where it has
            none.
    """
    return _mend("vocode", paths, common, {}, method)


def generate(outdir: Annotated[str, Positional, arg(metavar="OUTDIR")], common: Fresh,
             n: Annotated[int, arg(name="number", aliases=["-n"])] = 4,
             seconds: float = 4.0,
             method: Literal["voxmend", "undiff"] = "voxmend") -> int:
    """Unconditional generation: speech-like sound from the prior.

    Args:
        outdir: Folder for 0001.wav, 0002.wav, ...
        n: How many files.
        seconds: Length of each.
        method: voxmend, or undiff: ancestral sampling by every step of the prior's schedule, or 200
            where it has none.
    """
    from . import folders, html, jobs, sidecars

    if n < 1 or not 0.1 <= seconds <= 600:
        raise ValueError("--number must be at least 1 and --seconds between 0.1 and 600")
    common = common.pinned()
    (place,) = folders.read_names([outdir])
    plan = folders.Plan([folders.Job((), (place / f"{i + 1:04d}.wav",)) for i in range(n)],
                        several=True, folder=place)
    settings = sidecars.settings(common, method=method, seconds=seconds)
    load = partial(load_generator, common, method, seconds)
    verb = jobs.Verb("generate", settings, load, common.overwrite, common.workers, common.ray)
    return html.run(verb, plan, common, html.Shown(("recording", "generated")))


def load_generator(common: Common, method: str, seconds: float) -> "Work":
    """What draws speech from the prior alone."""
    from . import files, jobs

    restorer = load_restorer("generate", common, method)
    return jobs.Work(lambda inputs, outputs, _: files.generate_file(
        outputs[0], seconds, restorer, common.handling))


@dataclass(frozen=True)
class Damaging:
    """Options of `degrade`."""

    sdr: float = 3.0
    """For clip: signal-to-distortion ratio, dB."""
    cutoff: float = 4000.0
    """For lowpass: frequency above which everything is lost, Hz."""
    milliseconds: float = 50.0
    """For gaps: length of each."""
    every: float = 500.0
    """For gaps: milliseconds from one to the next."""
    snr: float = 10.0
    """For noise: signal-to-noise ratio, dB."""
    bits: int = 6
    """For quantise: bits of a sample."""
    seed: int = 0
    """For noise: another seed, other noise."""
    overwrite: bool = False
    """Replace an output that exists already."""
    workers: Workers = None
    """Processes that share files; auto: one for each core."""
    ray: Ray = None
    """Have Ray run the workers, as in voxmend mend."""

    def check(self, kind: str) -> None:
        """Raises ValueError for what no seed is, and for an option of another kind of damage."""
        check_seed(self.seed)
        for other, names in OPTIONS.items():
            for name in names:
                if other != kind and getattr(self, name) != getattr(Damaging, name):
                    raise ValueError(f"--{name}: is of {other}; {kind} takes "
                                     f"{', '.join(f'--{own}' for own in OPTIONS[kind])}")


OPTIONS = {"clip": ("sdr",), "lowpass": ("cutoff",), "gaps": ("milliseconds", "every"),
           "noise": ("snr", "seed"), "quantise": ("bits",)}  # of each kind alone


def degrade(kind: Positional[Literal["clip", "lowpass", "gaps", "noise", "quantise"]], paths: Paths,
            common: Annotated[Damaging, arg(name="")]) -> int:
    """Damage clean speech: clip, lowpass, gaps, noise, quantise.

    Args:
        kind: The damage; each has options of its own.
        paths: What is read and where it goes, as in voxmend mend.
    """
    from . import folders, jobs, running, sidecars

    common.check(kind)
    check_damager(damager(kind, common))
    settings, load = sidecars.settings(common, kind=kind), partial(load_damager, kind, common)
    verb = jobs.Verb("degrade", settings, load, common.overwrite, common.workers, common.ray)
    return running.run(verb, folders.make_plan(paths))


def damager(kind: str, options: Damaging) -> "Damager":
    """What makes of a recording `[C, T]` at a rate in Hz a damaged one.

    It raises ValueError for what that recording, or any, cannot have.
    """
    from ..dsp import degrade as damage

    return {"clip": lambda wave, rate: damage.clip(
                wave, damage.clip_level_for_sdr(wave, options.sdr)),
            "lowpass": lambda wave, rate: damage.lowpass(wave, options.cutoff, rate),
            "gaps": lambda wave, rate: damage.gaps(wave, rate, options.milliseconds,
                                                   options.every)[0],
            "noise": lambda wave, rate: damage.white_noise(wave, options.snr, options.seed),
            "quantise": lambda wave, rate: damage.quantise(wave, options.bits)}[kind]


def check_damager(make: "Damager") -> None:
    """Raises ValueError for options that suit no recording."""
    import numpy as np

    from ..audio.errors import HIGHEST_RATE

    make(np.sin(np.arange(HIGHEST_RATE, dtype=np.float32))[None], HIGHEST_RATE)


def load_damager(kind: str, options: Damaging) -> "Work":
    """What damages recordings."""
    import numpy as np

    from .. import audio
    from . import files, jobs
    from .outputs import write, writers

    make = damager(kind, options)

    def damage_one(inputs: Sequence[Path], outputs: Sequence[Path],
                   streaming: jobs.Streaming) -> files.Made:
        reader = audio.Reader(inputs[0])
        wave, rate = np.concatenate(list(reader.blocks()), axis=1), reader.sample_rate
        first = options.every / 2000
        if kind == "gaps" and wave.shape[1] <= first * rate:
            raise audio.AudioError(f"{inputs[0]}: ends before the first gap, at {first:g} s: give "
                                   "a shorter --every")
        try:
            made = make(wave, rate)
        except ValueError as error:
            raise audio.AudioError(f"{inputs[0]}: {error}") from None
        write([made], writers(reader, outputs), Handling(headroom=None))
        return {"task": "degrade", "kind": kind}, reader.frames / rate

    return jobs.Work(damage_one)


VERBS = {verb.__name__: verb for verb in (mend, declip, extend, inpaint, denoise, vocode, generate)}
