"""Options that verbs share, their checks, and what they build. Heavy imports wait."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

Count = Annotated[int | None, arg(metavar="INT", help_behavior_hint="")]
File = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")]
Folder = Annotated[Path, arg(metavar="FOLDER")]


@dataclass(frozen=True)
class Running:
    """Options of every verb that runs a network."""

    steps: Count = None
    """Sampling steps; by default the task's own number."""
    seed: int = 0
    """Same seed, same result."""
    device: str = "auto"
    """auto, cpu, cuda or mps."""
    overwrite: bool = False
    """Replace outputs that exist already."""


@dataclass(frozen=True)
class Common(Running):
    """Options of every verb that runs a prior."""

    prior: str = "speech16k"
    """The network trained on speech: a bundled one's name (see voxmend info) or a .safetensors."""


@dataclass(frozen=True)
class Mending(Common):
    """Options of every verb that mends a recording."""

    draws: int = 1
    """Draw so many results: OUT is their mean, NAME.uncertainty their standard deviation."""
    plot: File = None
    """Write a before-and-after picture to this PNG."""


Plain = Annotated[Running, arg(name="")]
Drawing = Annotated[Common, arg(name="")]
Options = Annotated[Mending, arg(name="")]
In = Annotated[Path, Positional, arg(metavar="IN")]
Out = Annotated[Path, Positional, arg(metavar="OUT")]
Method = Literal["voxmend", "undiff", "undiff-release"]
OutDir = Annotated[Path, Positional, arg(metavar="OUTDIR")]


def parse_number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low < value <= high:
        raise ValueError(f"--{name} {text}: give auto or a number above {low:g}, at most {high:g}")
    return value


def parse_gaps(text: str) -> tuple[tuple[float, float], ...]:
    try:
        gaps = tuple(tuple(float(t) for t in part.split("-")) for part in text.split(","))
        if all(len(gap) == 2 and 0 <= gap[0] < gap[1] < float("inf") for gap in gaps):
            return gaps
    except ValueError:
        pass
    raise ValueError(f"--gaps {text}: give auto or START-END in seconds, as in 1.25-1.3,4-4.05")


def check_seed(seed: int) -> None:
    if seed < 0:
        raise ValueError(f"--seed {seed}: give 0 or more")


def check_plot(path: Path, overwrite: bool) -> None:
    from .. import audio
    from ..benchmarks import plots  # noqa: F401, whose import says if a package is missing

    if path.suffix.lower() != ".png":
        raise ValueError(f"--plot {path}: give a name that ends in .png")
    audio.check_free(path, overwrite)


def load_restorer(task: str, common: Common, method: str = "voxmend", **options):
    from ..restore.restorer import Restorer
    from ..restore.tasks import TASKS
    from ..systems import undiff

    draws = getattr(common, "draws", 1)
    if draws < 1 or (common.steps is not None and common.steps < 1):
        raise ValueError("--draws and --steps must be at least 1")
    check_seed(common.seed)
    tasks = {"voxmend": TASKS, "undiff": undiff.PAPER, "undiff-release": undiff.RELEASE}[method]
    if common.steps and method != "voxmend":
        raise ValueError(f"--method {method}: takes every step of the prior's schedule; leave out "
                         "--steps")
    return Restorer(tasks[task], common.prior, common.steps, common.seed, draws, common.device,
                    **options)


def load_separator(task: str, method: str, weights: Path | None, sampler: str | None,
                   common: Running):
    from ..systems import separator

    if getattr(common, "prior", Common.prior) != Common.prior:
        raise ValueError(f"--method {method}: runs no prior; give --weights instead of --prior, "
                         "or --method voxmend")
    if common.steps is not None and common.steps < 1:
        raise ValueError("--steps must be at least 1")
    check_seed(common.seed)
    return separator.load(task, method, weights, sampler, common.steps, common.seed, common.device)
