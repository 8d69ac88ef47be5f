"""Options that verbs share, their checks, and what they build. Heavy imports wait."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from tyro.conf import Fixed, Positional, Suppress, arg

from ..models import remote

if TYPE_CHECKING:
    from ..restore.restorer import Restorer
    from ..systems.separator import Separator

Count = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]
Batch = Annotated[int | Literal["auto"], arg(metavar="INT|auto")]
Workers = Annotated[int | Literal["auto"] | None, arg(metavar="INT|auto", help_behavior_hint="")]
Ray = Annotated[str | None, arg(metavar="local|auto|ADDRESS", help_behavior_hint="")]
Decibels = Annotated[float | None, arg(metavar="DB", help_behavior_hint="")]
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
Place = Annotated[str | None, arg(metavar="FILE", help_behavior_hint="")]  # of a file, or its URL
Folder = Annotated[Path, arg(metavar="FOLDER")]
Precision = Literal["auto", "fp32", "bf16"]
Weights = Annotated[str | None, arg(metavar="WEIGHTS", help_behavior_hint="")]
MaybeFolder = Annotated[Path | None, arg(metavar="FOLDER", help_behavior_hint="")]


def check_least(low: int, **options: int | None) -> None:
    """Raises ValueError for a number below `low`; None stands for an option that was not given."""
    for name, value in options.items():
        if value is not None and value < low:
            raise ValueError(f"--{name} must be at least {low}")


def check_seed(seed: int) -> None:
    """Raises ValueError for a seed that no generator of random numbers takes."""
    if seed < 0:
        raise ValueError(f"--seed {seed}: give 0 or more")


def check_workers(workers: Workers, ray: Ray = None) -> None:
    """Raises ValueError for no workers, ImportError for a cluster without what serves it."""
    if workers != "auto":
        check_least(1, workers=workers)
    if ray:
        from .. import cluster

        cluster.check()


def check_batch(batch: Batch) -> None:
    """Raises ValueError for an empty batch."""
    if batch != "auto":
        check_least(1, batch=batch)


def check_local(**options: Path | None) -> None:
    """Raises ValueError for a URL where a file of this machine is to be."""
    for name, path in options.items():
        if path and len(path.parts) > 1 and path.parts[0].endswith(":"):
            raise ValueError(f"--{name} {path}: a URL; name a file of this machine")


def check_plot(path: Path | None, overwrite: bool) -> None:
    """Raises ValueError, OSError or ImportError for a picture that cannot be drawn."""
    if not path:
        return
    check_local(plot=path)
    from .. import audio
    from ..benchmarks import plots  # noqa: F401, whose import says if a package is missing

    if path.suffix.lower() != ".png":
        raise ValueError(f"--plot {path}: give a name that ends in .png")
    audio.check_free(path, overwrite)


class Handling(NamedTuple):
    """How recordings are read and written.

    Attributes:
        salvage: as of `audio.Reader`.
        headroom: dB that outputs are lowered by; None of a verb that has no such option.
    """

    salvage: bool = False
    headroom: float | None = 0.0


PLAIN = Handling()


@dataclass(frozen=True)
class Calling:
    """Options of every verb that calls a network."""

    seed: int = 0
    """Same seed, same result."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: Precision = "auto"
    """Numbers that networks multiply: fp32, bf16, or auto, bf16 where it is faster."""
    overwrite: bool = False
    """Replace outputs that exist already."""
    workers: Workers = None
    """Processes that share files, and the parts of a long one; auto: one for each core."""
    ray: Ray = None
    """Ray runs the workers: here (local), on this machine's cluster (auto) or that at ADDRESS."""
    batch: Batch = "auto"
    """Segments, channels and draws that pass a network at once; auto: as many as a GPU holds."""
    salvage: bool = False
    """Read what is there of a recording that breaks off or whose header says that it is empty."""
    headroom: float = 0.0
    """Lower outputs by so many dB, so that peaks fit below full scale."""
    report: Place = None
    """Show what was found, and before and after, in this HTML page; of several, in a table."""

    def check(self) -> None:
        """Raises ValueError, before minutes of work, for what no verb can do."""
        check_seed(self.seed)
        check_batch(self.batch)
        if not 0 <= self.headroom <= 60:
            raise ValueError(f"--headroom {self.headroom:g}: give 0 to 60 dB")

    @property
    def handling(self) -> Handling:
        """What they say of files."""
        return Handling(self.salvage, self.headroom)


@dataclass(frozen=True)
class Running(Calling):
    """Options of every verb that may sample."""

    steps: Count = None
    """Sampling steps, of methods that sample; by default the task's own number."""

    def check(self) -> None:
        """Raises ValueError, too, for no steps."""
        check_least(1, steps=self.steps)
        super().check()


@dataclass(frozen=True)
class Common(Running):
    """Options of every verb that runs a prior."""

    prior: str = "speech16k"
    """The network trained on speech: a bundled one's name (see voxmend info), a .safetensors, or
    hf://OWNER/NAME[@REVISION] on the Hugging Face Hub."""

    def pinned(self) -> Self:
        """The same with the commit that a prior on a hub has now: all workers load that."""
        return replace(self, prior=remote.pin(self.prior))


@dataclass(frozen=True)
class Generating(Common):
    """Options of the verb that reads no recording."""

    salvage: Annotated[bool, Fixed, Suppress] = False


@dataclass(frozen=True)
class Mending(Common):
    """Options of every verb that mends a recording."""

    draws: int = 1
    """Draw so many results: OUT is their mean, NAME.uncertainty their standard deviation."""
    plot: File = None
    """Write a before-and-after picture to this PNG."""

    def check(self) -> None:
        """Raises ValueError, too, for no draws and for a picture that cannot be drawn."""
        check_least(1, draws=self.draws)
        super().check()
        check_plot(self.plot, self.overwrite)


@dataclass(frozen=True)
class Denoising(Mending):
    """Options of the verb whose prior has a second stage."""

    prior: str = "denoiser16k"


@dataclass(frozen=True)
class Report:
    """Options of every verb that measures."""

    out: File = None
    """Write all figures to this JSON file, and the tables to the same name with .md."""
    seed: int = 0
    """Same seed, same figures."""
    overwrite: bool = False
    """Replace outputs that exist already."""

    def check(self) -> None:
        """Raises ValueError, before minutes of work, when a report cannot be written."""
        from .. import audio

        check_seed(self.seed)
        if not self.out:
            return
        check_local(out=self.out)
        if self.out.suffix != ".json":
            raise ValueError(f"--out {self.out}: give a name that ends in .json")
        for path in (self.out, self.out.with_suffix(".md")):
            audio.check_free(path, self.overwrite)

    def saver(self, markdown: Callable[[dict], str]) -> Callable[[dict], None]:
        """What writes a result, as far as it has come, to `out` and its tables beside it."""
        import json

        from .. import audio

        out = self.out
        if not out:
            return lambda result: None

        def save(result: dict) -> None:
            texts = {out: json.dumps(result, indent=2), out.with_suffix(".md"): markdown(result)}
            for path, text in texts.items():
                with audio.atomic_path(path, overwrite=True) as partial:
                    partial.write_text(text + "\n")

        return save


@dataclass(frozen=True)
class Measuring(Report):
    """Options of every verb that measures networks on recordings."""

    clips: Count = None
    """Take only the first so many files; by default all."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    precision: Precision = "auto"
    """Numbers that networks multiply: fp32, bf16, or auto, bf16 where it is faster."""

    def check(self, fewest: int = 1) -> None:
        """Raises ValueError, too, for less than the fewest clips."""
        check_least(fewest, clips=self.clips)
        super().check()

    def pick_device(self) -> str:
        """The device that the networks run on."""
        from ..models import hub

        return str(hub.pick_device(self.device))


@dataclass(frozen=True)
class Judging(Measuring):
    """Options of the verbs that can ask more judges."""

    judges: bool = False
    """Ask, too, whether words and voice are the same, and print other papers' SI-SDR and LSD."""
    only: Annotated[tuple[str, ...], arg(metavar="NAME ...", help_behavior_hint="")] = ()
    """Leave out rows whose names begin otherwise. UnDiff's takes minutes a clip: name it."""


@dataclass(frozen=True)
class Comparing(Judging):
    """Options of the verbs that compare DiffSeps with a prior."""

    weights: Annotated[tuple[str, ...], arg(metavar="FILE ...", help_behavior_hint="")] = ()
    """DiffSeps (.safetensors), each with seven rows; by default the bundled one."""
    prior: Weights = None
    """A bundled prior's name (see voxmend info) or a .safetensors file; by default the task's."""
    plot: File = None
    """Draw curves of quality against network calls into this PNG."""

    def check(self, fewest: int = 1) -> None:
        """Raises ValueError, too, for a picture that cannot be drawn."""
        super().check(fewest)
        check_plot(self.plot, self.overwrite)


Once = Annotated[Calling, arg(name="")]
Plain = Annotated[Running, arg(name="")]
Drawing = Annotated[Common, arg(name="")]
Fresh = Annotated[Generating, arg(name="")]
Options = Annotated[Mending, arg(name="")]
Paths = Annotated[tuple[str, ...], Positional,
                  arg(name="paths", metavar="IN ... OUT", help_behavior_hint="")]
Method = Literal["voxmend", "undiff", "undiff-release"]
OutDir = Annotated[Path, Positional, arg(metavar="OUTDIR")]


def parse_number(name: str, text: str, low: float, high: float) -> float:
    """The number of an option that also takes auto: above `low`, at most `high`."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low < value <= high:
        raise ValueError(f"--{name} {text}: give auto or a number above {low:g}, at most {high:g}")
    return value


ByChannel = dict[int | None, Any]  # values of channels by their numbers from 0, None of the others
Told = dict[str, ByChannel]  # fields of Damage


def parse_channels(name: str, text: str, parse: Callable[[str], Any]) -> ByChannel:
    """The values of an option [CHANNEL:]VALUE,..., where CHANNEL is L, R or a number from 1.

    Raises ValueError where some values have a channel, and others, which could be meant for the
    same or for all, have none.
    """
    texts: dict[int | None, list[str]] = {}
    for part in text.split(","):
        channel, colon, value = part.rpartition(":")
        number = {"L": "1", "R": "2"}.get(channel.strip().upper(), channel.strip())
        if colon and not (number.isdecimal() and int(number) > 0):
            seconds = ", and times in seconds" if name == "gaps" else ""
            raise ValueError(f"--{name} {part}: {channel!r} is no channel; give L, R or a number "
                             f"from 1{seconds}")
        texts.setdefault(int(number) - 1 if colon else None, []).append(value)
    if None in texts and len(texts) > 1:
        raise ValueError(f"--{name} {text}: {texts[None][0]} has no channel, and others have one; "
                         "give each its own, as in L:..., or none")
    return {channel: parse(",".join(values)) for channel, values in texts.items()}


def parse_gaps(text: str) -> tuple[tuple[float, float], ...]:
    """The gaps of --gaps START-END,... in seconds."""
    try:
        edges = (map(float, part.split("-")) for part in text.split(","))
        gaps = tuple((start, end) for start, end in edges)
        if all(0 <= start < end < float("inf") for start, end in gaps):
            return gaps
    except ValueError:
        pass
    raise ValueError(f"--gaps {text}: give auto or START-END in seconds, as in 1.25-1.3,4-4.05")


def load_restorer(task: str, common: Common, method: str = "voxmend",
                  **options: Any) -> "Restorer":
    """The Restorer of a task, by a method of its own or a paper's."""
    from ..restore.restorer import Restorer
    from ..restore.tasks import TASKS
    from ..systems import undiff

    common.check()
    tasks = {"voxmend": TASKS, "undiff": undiff.PAPER, "undiff-release": undiff.RELEASE}[method]
    if common.steps and method != "voxmend":
        raise ValueError(f"--method {method}: takes every step of the prior's schedule; leave out "
                         "--steps")
    return Restorer(tasks[task], common.prior, common.steps, common.seed,
                    getattr(common, "draws", 1), common.device,
                    precision=common.precision, batch=common.batch, **options)


def load_separator(task: str, method: str, weights: str | None, sampler: str | None,
                   common: Calling) -> "Separator":
    """The network trained for a task, to separate or to enhance, as the options say."""
    from ..systems import separator

    if getattr(common, "prior", Common.prior) != Common.prior:
        raise ValueError(f"--method {method}: runs no prior; give --weights instead of --prior, "
                         "or --method voxmend")
    common.check()
    steps = common.steps if isinstance(common, Running) else None
    return separator.load(task, method, weights, sampler, steps, common.seed, common.device,
                          common.precision, common.batch)
