"""Tasks: which damage is mended, under which guidance, by which sampler."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from torch import Tensor

from ..audio.errors import check_whole
from ..diffusion.denoiser import Denoiser
from ..diffusion.guidance import (
    GUIDANCES,
    Imputation,
    MixtureLikelihood,
    NoisyObservation,
    Reconstruction,
    Unguided,
)
from ..diffusion.samplers import ancestral, euler
from ..diffusion.schedules import check_levels, karras_grid
from ..diffusion.told import GuessDenoiser
from ..models import hub
from ..operators import Clip, Gap, Highpass, Lowpass, Mel, Mixture, Operator, WhiteNoise
from .damage import BRIDGEABLE, Damage, listed

SLOWEST = 0.5  # speed at which a guess is heard
CALLED = {"operator": "a function of a Scene, as lambda scene: Clip(0.3 * scene.scale)",
          "guidance": "an object, as guidance.Imputation()",
          "sampler": "a function, as samplers.euler", "levels": "a function of task and prior"}


@dataclass(frozen=True)
class Scene:
    """What an operator is built from.

    Attributes:
        found: damage of the channel, or what is told, in the recording's own units.
        scale: factor that brings the recording to the prior's level.
        start: first sample of the segment, at the prior's rate.
        length: samples of the segment, at the prior's rate.
        sample_rate: of the prior, Hz; for a task with `native_rate` also the recording's, where
            `start` and `length` are at that rate.
        recorded_rate, output_rate: of the recording and of what is made of it, Hz.
        sources: that the recording is a mixture of.
        offset: of the channel, DC, in the recording's own units.
    """

    found: Damage
    scale: float
    start: int
    length: int
    sample_rate: int
    recorded_rate: int
    output_rate: int
    sources: int = 1
    offset: float = 0.0
    _asked: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def damage(self) -> Damage:
        """That of the channel less its DC offset: all an operator knows then is of that."""
        self._asked.append(True)
        return self.found.less(self.offset)

    @property
    def centred(self) -> bool:
        """Whether an operator was made of `damage`, and not of levels of the recording itself."""
        return bool(self._asked)


def lost_bandwidth(scene: Scene) -> Operator | None:
    """The band-pass of found cut-offs, or the low-pass of a rate that is to be raised."""
    cutoff = scene.damage.cutoff or np.inf
    if scene.recorded_rate < min(scene.output_rate, scene.sample_rate):
        cutoff = min(cutoff, 0.47 * scene.recorded_rate)
    lost = cutoff < scene.sample_rate / 2 - 100  # half of the filter's transition band
    low = scene.damage.low_cutoff
    return compose(Lowpass(float(cutoff), scene.sample_rate) if lost else None,
                   Highpass(low, scene.sample_rate) if low else None)


def found_gaps(scene: Scene) -> Gap | None:
    """The gaps that touch the segment and can be bridged."""
    gaps = Gap.between([(a, b) for a, b in scene.damage.gaps if b - a <= BRIDGEABLE],
                       scene.length, scene.sample_rate, scene.start)
    return None if gaps.present.all() else gaps


def found_clipping(scene: Scene) -> Operator | None:
    """The clipping of those stretches that touch the segment."""
    begin, clips = scene.start / scene.sample_rate, []
    for part in scene.damage.clipping:
        first, last = (round(min(max(edge - begin, 0.0) * scene.sample_rate, scene.length))
                       for edge in (part.start, part.end))
        if first < last:
            clips.append(Clip(part.level * scene.scale, part.tolerance, scene.sample_rate,
                              (first, last), part.offset * scene.scale, part.side))
    return compose(*clips)


def compose(*operators: Operator | None) -> Operator | None:
    """The composition of those that are not None, the last applied first; None if none is left."""
    result = None
    for operator in operators:
        if operator is not None:
            result = operator if result is None else result @ operator
    return result


def found_damage(scene: Scene) -> Operator | None:
    """Everything in `scene.damage`, in the order in which it happens to a recording.

    Band-limited by the room or the line, noise added, clipped by the converter, cut in transit.
    """
    damage = scene.damage
    band = math.sqrt(scene.sample_rate / scene.recorded_rate)  # resampling keeps white noise's PSD
    return compose(found_gaps(scene),
                   found_clipping(scene),
                   WhiteNoise(damage.noise * scene.scale * band) if damage.noise else None,
                   lost_bandwidth(scene))


def karras_levels(task: "Task", prior: Denoiser) -> Tensor:
    """The Karras grid of the task's steps, sigma_max, sigma_min and rho."""
    return karras_grid(task.steps, task.sigma_max, task.sigma_min, task.rho)


@dataclass(frozen=True)
class Task:
    """A kind of mending: which damage, under which guidance, by which sampler.

    The Restorer knows a task by these fields alone, never by its name.

    Attributes:
        name: what progress bars and sidecars call it.
        operator: from a Scene to the operator, or to None if there is nothing to mend in the
            segment, which is then passed on. None instead of a function: nothing is observed, and
            the result is a draw of the prior alone.
        finds: the fields of `Damage` that the task mends and, if not told, estimates.
        steps: of the sampler.
        sigma_max, sigma_min: first and last noise level, for signals of RMS `sigma_data`; the last
            step is one call of the denoiser, so a larger sigma_min gives results nearer to the
            posterior mean (higher SI-SNR, smoother) and a smaller one nearer to a sample (sharper).
            `NoisyObservation` of white noise has levels of its own, 10 and 1.5 times the noise's.
        rho: of the Karras grid.
        start: `noisy` adds noise of level sigma_max to the operator's first guess. With `guess`
            noise, here and in the sampler, is only where there is no guess, as in a lost band: a
            single draw descends from the guess itself, which is nearer to the posterior mean
            (several draws must differ and are noisy). `noise` makes no use of a guess:
            x ~ N(0, 1 + sigma_max²), as in DDPM.
        levels: from task and prior to the sampler's noise levels, `[steps + 1]`.
        speeds: at which a prior that corrects first guesses hears them in its first call
            (`diffusion.told.Posterior`).
        noise_scale: factor on the noise that the sampler adds, over 1 against the energy that a
            denoiser that leans to the mean takes away (S_noise of Karras et al. 2022, algorithm 2).
        keeps_band: keep what the recording has above the prior's band, unless the rate is raised;
            else a mended segment holds nothing there.
        raises_rate: bring a recording of a lower rate than the prior's to the prior's rate
            (bandwidth extension); else the output has the recording's rate.
        sources: K for a task that separates a recording into K signals, `[K, T]` or `[K, C, T]`,
            as its operator does; their order is arbitrary, but the same from segment to segment,
            channel to channel and draw to draw. None: the output is the recording, restored.
        simulates: the observation is what the operator makes of the recording, as in copy synthesis
            by a vocoder; else the recording is the observation.
        native_rate: a recording at another rate than the prior's is mended first, by the operator's
            `start`, at its own rate, since resampling moves clipped samples off their level and
            makes the edges of gaps ring. Its operator is then built at both rates.
        told: what fields that are None are where the prior corrects first guesses (`GuessDenoiser`)
            and the operator has evidence; None: such a prior is told nothing, and guided, too.
            `correcting` makes such tasks.
        plain: what those fields are for all other priors. A field that `replace` gives a value has
            it for every prior.
        names: the fields of `Damage` that it cannot mend, but names, and the verb that can.
        leaves: the fields of `Damage` that it could mend, but was told to leave, and names.
        prior: the weights that suit it, as `hub.find_prior` has them.

    Raises: ValueError for a field that cannot be what it is, and for fields that exclude each
    other: several sources have no band to keep, and neither they nor a simulated observation a
    first guess at the recording's rate. For fields in `told` that have a value and are not in
    `plain`, so that they would not count.
    """

    name: str
    operator: Callable[[Scene], Operator | None] | None
    finds: tuple[str, ...] = ()
    guidance: Callable = field(default_factory=Imputation)
    sampler: Callable = ancestral
    steps: int = 16
    sigma_max: float = 0.5
    sigma_min: float = 0.01
    rho: float = 7.0
    start: Literal["noisy", "guess", "noise"] = "noisy"
    levels: Callable = karras_levels
    speeds: tuple[float, ...] = (1.0,)
    noise_scale: float = 1.0
    keeps_band: bool = True
    raises_rate: bool = False
    sources: int | None = None
    simulates: bool = False
    native_rate: bool = False
    told: dict[str, Any] | None = None
    plain: dict[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    prior: str = hub.DEFAULT

    @property
    def reports(self) -> tuple[str, ...]:
        """The fields of `Damage` of which a user is told."""
        return (*self.finds, *self.names, *self.leaves, "speech")

    def for_prior(self, prior: Denoiser) -> "Task":
        """The task as this prior does it where damage has evidence that it is told."""
        if self.told is None or not isinstance(prior.innermost, GuessDenoiser):
            return self.untold
        return self._closed(self.plain | self.told)

    @property
    def untold(self) -> "Task":
        """The task as it is done where a prior is told nothing."""
        return self._closed(self.plain)

    def _closed(self, course: dict[str, Any]) -> "Task":
        """The task, its open fields as in `course`."""
        return replace(self, **{name: value for name, value in course.items()
                                if getattr(self, name) is None})

    def course(self, prior: Denoiser) -> dict[str, Any]:
        """How it draws by this prior, as a sidecar says it."""
        task = self.for_prior(prior)
        return {"start": task.start, "steps": len(task.levels(task, prior)) - 1,
                "sampler": getattr(task.sampler, "__name__", repr(task.sampler)),
                "guidance": repr(task.guidance),
                **({"speeds": list(task.speeds)} if len(task.speeds) > 1 else {})}

    def leaving(self, kinds: Sequence[str]) -> "Task":
        """The task that leaves some of what it finds as it is, and only names it.

        Args:
            kinds: fields of `Damage`.

        Raises: ValueError for a kind that it does not find.
        """
        strange = [kind for kind in listed("kinds", kinds) if kind not in self.finds]
        if strange:
            raise ValueError(f"task {self.name!r} finds no {', '.join(strange)}; it finds "
                             f"{', '.join(self.finds)}")
        return replace(self, finds=tuple(name for name in self.finds if name not in kinds),
                       leaves=(*self.leaves, *kinds))

    def __post_init__(self) -> None:
        self._check_values()
        if self.sources is not None and self.sources < 1:
            raise ValueError(f"task {self.name!r}: give at least 1 source, not {self.sources}")
        if self.sources is not None and self.keeps_band:
            raise ValueError(f"task {self.name!r}: sources have no band of the recording's to "
                             "keep; set keeps_band=False")
        idle = [name for name in self.told or {}
                if name not in self.plain and getattr(self, name) is not None]
        if idle:
            raise ValueError(f"task {self.name!r}: {', '.join(idle)} would not count where a prior "
                             "corrects; make such a task by correcting(task, ...)")
        if self.native_rate and (self.sources is not None or self.simulates):
            raise ValueError(f"task {self.name!r}: native_rate needs a first guess of the "
                             "recording itself, so neither sources nor simulates")


    def _check_values(self) -> None:
        """Raises ValueError for a field that cannot be what it is; None is one left open."""
        for name in ("operator", "guidance", "sampler", "levels"):
            part = getattr(self, name)
            if part is not None and (part in [*GUIDANCES.values()] or not callable(part)):
                raise ValueError(f"task {self.name!r}: {name}={part!r}: give {CALLED[name]}")
        for name in ("finds", "names", "leaves"):
            if strange := {*listed(name, getattr(self, name))} - {*Damage.__dataclass_fields__}:
                raise ValueError(f"task {self.name!r}: {name}: Damage has no {min(strange)!r}")
        check_whole(1, steps=self.steps)
        if self.start not in (None, "noisy", "guess", "noise"):
            raise ValueError(f"task {self.name!r}: start={self.start!r}: give noisy, guess or "
                             "noise")
        if None not in (self.sigma_max, self.sigma_min):
            check_levels(self.sigma_max, self.sigma_min)
        speeds = self.speeds or ()
        if not all(SLOWEST <= speed <= 2 for speed in speeds):
            raise ValueError(f"task {self.name!r}: speeds={speeds}: give {SLOWEST} to 2")


def correcting(task: Task, **told: Any) -> Task:
    """A task that is done otherwise where a prior corrects first guesses.

    >>> task = correcting(Task("mine", found_damage, ("clipping",), steps=8), steps=1)
    >>> task.told["steps"], task.untold.steps
    (1, 8)
    """
    plain = {name: getattr(task, name) for name in told}
    left_open: dict[str, Any] = dict.fromkeys(told)
    return replace(task, told=told, plain=plain, **left_open)


# A call where the noise hides all but the guess gives the posterior mean. What others at a lower
# level add is no nearer to the truth; the guess heard slower as well, in as many calls, is.
CORRECTED: dict[str, Any] = {"guidance": Imputation(), "sampler": euler, "steps": 1,
                             "sigma_max": 2.0, "start": "noisy", "noise_scale": 1.0,
                             "speeds": (1.0, 0.88)}

TASKS = {task.name: task for task in (
    correcting(
        Task("declip", found_damage, ("clipping",), sampler=euler, steps=8, sigma_max=0.05,
             sigma_min=0.015, start="guess", native_rate=True, names=("offset",)), **CORRECTED),
    correcting(
        Task("extend", found_damage, ("cutoff", "low_cutoff"), sigma_min=0.001,
             raises_rate=True, native_rate=True, names=("dull",)), **CORRECTED),
    correcting(
        Task("inpaint", found_damage, ("gaps",), sampler=euler, steps=8, sigma_max=0.2,
             sigma_min=0.03, start="guess", native_rate=True, names=("ends",)),
        **CORRECTED | {"speeds": (1.0, 0.9, 0.8)}),
    Task("denoise", found_damage, ("noise", "coloured", "hum"),
         NoisyObservation(otherwise=Imputation()), steps=1,  # the posterior mean in one call
         native_rate=True, prior="denoiser16k"),
    correcting(
        Task("mend", found_damage,
             ("clipping", "cutoff", "low_cutoff", "gaps", "noise", "coloured", "hum", "clicks"),
             NoisyObservation(otherwise=Reconstruction(0.5)), sigma_max=0.1, sigma_min=0.005,
             start="guess", native_rate=True,
             names=("dull", "ends", "reverberation", "masked", "offset")), **CORRECTED),
    Task("vocode", lambda scene: Mel(scene.length), steps=4, sigma_max=0.02, sigma_min=0.001,
         keeps_band=False, raises_rate=True, simulates=True),
    Task("separate", lambda scene: Mixture(scene.sources), (), MixtureLikelihood(), sigma_max=1.0,
         steps=32, keeps_band=False, sources=2),
    Task("generate", None, (), Unguided(), sigma_max=2.0, steps=32),
)}
