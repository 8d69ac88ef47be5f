"""What can be wrong with one channel of a recording, as words and as numbers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ..audio.errors import is_number

LOUDEST_DB = -6  # over the speech; noise that sets in is not in all that the RMS is of
DROWNING_DB = 6  # below the speech; a noise floor tells less of noise that is louder
BRIDGEABLE = 1.0  # seconds; what is missing for longer nobody can guess
AMOUNTS = ("cutoff", "low_cutoff", "dull", "noise", "coloured", "clicks", "reverberation",
           "clipped", "rms")  # fields of Damage that are numbers from 0 on


@dataclass(frozen=True)
class Clipping:
    """A stretch of time in which samples saturate.

    Attributes:
        level: |x − offset| at which they do, in the file's own units.
        start, end: of the stretch, in seconds.
        tolerance: share of the level by which clipped samples may lie under it. It is small where
            the clipper's output is heard as it was, and larger where a codec, a resampler, noise
            or the clipper's soft knee has moved the samples.
        offset: half-way between the upper level and the lower one, which may have one sign.
        side: 1 where samples saturate above alone, −1 below alone, 0 on either side.
    """

    level: float
    start: float = 0.0
    end: float = math.inf
    tolerance: float = 0.005
    offset: float = 0.0
    side: Literal[-1, 0, 1] = 0

    def __post_init__(self) -> None:
        for name in ("level", "start", "end", "tolerance", "offset"):
            if not is_number(getattr(self, name)):
                raise ValueError(f"clipping: {name}={getattr(self, name)!r}: give a number")
        if not (0 <= self.level < math.inf and math.isfinite(self.offset)):
            raise ValueError(f"clipping at {self.level:g} about {self.offset:g}: give finite "
                             "levels")
        if not 0 <= self.start < self.end:
            raise ValueError(f"clipping from {self.start:g} to {self.end:g} s: give it as it "
                             "passes")
        if self.side not in (-1, 0, 1) or not 0 <= self.tolerance < 1:
            raise ValueError(f"clipping of side {self.side} and tolerance {self.tolerance:g}: give "
                             "-1, 0 or 1, and 0 or more but less than 1")

    @property
    def floor(self) -> float:
        """The lowest `reach` of a clipped sample."""
        return (1 - self.tolerance) * self.level

    @property
    def levels(self) -> tuple[float, ...]:
        """The lower level and the upper one, as far as there are both."""
        return tuple(self.offset + side * self.level for side in (-1, 1) if side != -self.side)

    def reach(self, wave: np.ndarray) -> np.ndarray:
        """How far out samples lie, on the sides that saturate. Shape: `[n]` to the same."""
        centred = wave - self.offset
        return self.side * centred if self.side else np.abs(centred)

    def __str__(self) -> str:
        if not self.offset and not self.side:
            return f"{self.level:.2g}"
        return " and ".join(f"{level:.2g}" for level in self.levels)


@dataclass(frozen=True)
class Damage:
    """What is wrong with one channel; false when nothing.

    Raises ValueError for a gap that ends before it starts, or starts before the recording, and for
    what is no Clipping, gap or number of its kind.

    Attributes:
        clipping: stretches in which samples saturate, in order and without overlap.
        cutoff: Hz above which the spectrum is lost; None if it is not.
        low_cutoff: Hz below which it is lost, too.
        dull: Hz above which a gentle filter has weakened it; None if none has.
        gaps: (start, end) of every gap, in seconds.
        ends: those at the start and the end of the recording, which nothing can bridge.
        noise: RMS of the stationary background noise, in the file's own units; None if negligible.
        coloured: RMS of background noise that is not white, or sets in or ends in the recording,
            in the file's own units; None if negligible.
        hum: nominal frequency of the mains, 50 or 60 Hz, whose harmonics are heard; else None.
        clicks: how many stand out for certain.
        reverberation: T60 in seconds; None where sound dies away at once.
        masked: whether speech hardly stands out of noise that is not steady.
        offset: DC offset, in the file's own units; 0 if it is little.
        speech: whether it sounds like speech; if not, nothing is wrong unless told.
        clipped: share of the samples that are clipped, 0…1.
        rms: of the whole channel, but for its mean, and for what is briefly far louder than the
            speech, as a cough.
    """

    clipping: tuple[Clipping, ...] = ()
    cutoff: float | None = None
    low_cutoff: float | None = None
    dull: float | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    ends: tuple[tuple[float, float], ...] = ()
    noise: float | None = None
    coloured: float | None = None
    hum: float | None = None
    clicks: int = 0
    reverberation: float | None = None
    masked: bool = False
    offset: float = 0.0
    speech: bool = True
    clipped: float = 0.0
    rms: float = 0.0

    def __post_init__(self) -> None:
        for name in ("clipping", "gaps", "ends"):
            object.__setattr__(self, name, listed(name, getattr(self, name)))
        if not all(isinstance(part, Clipping) for part in self.clipping):
            raise ValueError(f"clipping={self.clipping!r}: give a tuple of Clipping")
        for name in ("gaps", "ends"):
            object.__setattr__(self, name, spans(name, getattr(self, name)))
        for name in AMOUNTS:
            amount = getattr(self, name)
            if amount is not None and not (is_number(amount) and 0 <= amount < math.inf):
                raise ValueError(f"{name}={amount!r}: give None, or a number from 0 on")
        if self.hum not in (None, 50, 60):
            raise ValueError(f"hum={self.hum!r}: give None, 50 or 60 Hz")
        if self.cutoff and self.low_cutoff and self.cutoff <= self.low_cutoff:
            raise ValueError(f"nothing above {self.cutoff:g} Hz nor below {self.low_cutoff:g} Hz: "
                             "give a cutoff above low_cutoff")

    def __bool__(self) -> bool:
        return bool(self.clipping or self.cutoff or self.low_cutoff or self.gaps or self.noise
                    or self.interferes)

    def less(self, offset: float) -> "Damage":
        """That of the channel from which a constant was taken away."""
        return replace(self, clipping=tuple(
            replace(part, offset=part.offset - offset) for part in self.clipping))

    @property
    def interferes(self) -> bool:
        """Whether there are clicks, hum or noise that is not white."""
        return bool(self.clicks or self.hum or self.coloured)

    def describe(self) -> list[str]:
        """One readable line per find, with the verb for what `mend` cannot do; none if nothing."""
        lines = []
        if self.clipping:
            levels = ", ".join(dict.fromkeys(map(str, self.clipping)))
            share = f" ({self.clipped:.1%} of the samples)" if self.clipped else ""
            lines.append(f"clipped at {levels}{share}")
        if self.cutoff:
            lines.append(f"nothing above {self.cutoff / 1000:.1f} kHz")
        if self.low_cutoff:
            lines.append(f"nothing below {self.low_cutoff:.0f} Hz")
        if self.dull:
            lines.append(f"fades above {self.dull / 1000:.1f} kHz, as behind a gentle filter (left "
                         "so; told as a cutoff it is made anew)")
        if self.gaps:
            total = sum(end - start for start, end in self.gaps)
            plural = "s" if len(self.gaps) > 1 else ""
            lines.append(f"{len(self.gaps)} gap{plural}, {total:.2f} s in all")
            long = sum(end - start > BRIDGEABLE for start, end in self.gaps)
            if long:
                lines[-1] += f" ({long} of more than {BRIDGEABLE:g} s, left as they are)"
        for start, end in self.ends:
            where = "end" if start else "start"
            lines.append(f"{end - start:.2f} s missing at the {where} (left so; told as gap it is "
                         "filled)")
        if self.noise:
            loud = " (if it is no steady hiss, voxmend enhance takes more of it away)"
            lines.append(f"noise at {self._beside_speech(self.noise)}"
                         + loud * (self._below_speech(self.noise) < DROWNING_DB))
        if self.coloured:
            lines.append("noise that is not white, or not steady, at "
                         f"{self._beside_speech(self.coloured)} (voxmend enhance may take more of "
                         "it away)")
        if self.hum:
            lines.append(f"hum of {self.hum:.0f} Hz")
        if self.clicks:
            lines.append(f"{self.clicks} clicks or more")
        if self.reverberation:
            lines.append(f"reverberation of {self.reverberation:.1f} s (voxmend dereverb takes it "
                         "away)")
        if self.masked:
            lines.append("speech masked by noise that is not steady (voxmend enhance takes it "
                         "away)")
        if self.offset:
            lines.append(f"DC offset of {self.offset:.2g} (left so)")
        if not self.speech and not self:
            lines.append("does not sound like speech: left alone (tell what is wrong to mend it "
                         "anyway; speech that noise drowns: voxmend enhance)")
        return lines

    def _below_speech(self, noise: float) -> float:
        speech = np.sqrt(max(self.rms**2 - noise**2, 0.0))
        return float(decibel(speech / noise))

    def _beside_speech(self, noise: float) -> str:
        below = self._below_speech(noise)
        if below <= LOUDEST_DB:
            beside = "louder than the speech"
        else:
            beside = f"{abs(round(below))} dB {'below' if below > -0.5 else 'above'} the speech"
        return f"{decibel(noise):.0f} dBFS, {beside}"


def listed(name: str, value: Any) -> tuple:
    """A field of several values; raises ValueError for a single one."""
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        raise ValueError(f"{name}={value!r}: give a tuple, of one as well")
    return tuple(value)


def spans(name: str, pairs: tuple) -> tuple[tuple[float, float], ...]:
    """Pairs of start and end; raises ValueError for others, and for time that does not pass."""
    found = []
    for pair in pairs:
        if np.shape(pair) != (2,) or not all(map(is_number, pair)):
            raise ValueError(f"{name}={pairs!r}: give pairs of START, END in seconds")
        start, end = pair
        if not 0 <= start <= end:
            raise ValueError(f"{name}: from {start:g} to {end:g} s: give it as it passes")
        found.append((start, end))
    return tuple(found)


def decibel(amplitude: ArrayLike) -> Any:
    """20 log₁₀ |a|, limited to −200 dB."""
    return 20 * np.log10(np.maximum(np.abs(amplitude), 1e-10))


def channel_name(channel: int, channels: int) -> str:
    """What `--gaps` and the like call a channel: L and R of two, else a number from 1."""
    return "LR"[channel] if channels == 2 else str(channel + 1)
