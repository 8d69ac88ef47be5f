"""What a check of files works with: a folder, clean speech, the command; and what it can find."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from . import command
from .damage import RATE, added, lag, noise

SAME = 80  # dB: what is nearer is the rounding of 16 bits


class Wrong(Exception):
    """What a check found amiss, in a few words."""


class Refused(Exception):
    """The command said no in one line where it should have worked."""


class Crashed(Exception):
    """An exception left the command."""


@dataclass
class Bench:
    """A folder of a check's own and clean clips of 4 s, 16 kHz; figures that it leaves, in dB."""

    folder: Path
    clips: list[np.ndarray]
    said: list[str] = field(default_factory=list)
    before: float | None = None
    after: float | None = None

    def voxmend(self, *args: object, stdin: Path | None = None) -> command.Outcome:
        """Runs the command, and notes what it says; raises Crashed for a traceback."""
        done = command.run(*args, stdin=stdin)
        lines = [] if b"RIFF" in done.out[:4] else done.text.splitlines()
        self.said += [line.replace(str(self.folder) + "/", "") for line in (*lines, *done.errors)]
        if done.traceback:
            raise Crashed(done.traceback.strip().splitlines()[-1])
        if done.code not in (0, 2) or (done.code == 2 and not done.errors):
            raise Wrong(f"exit code {done.code}")
        return done

    def works(self, *args: object, stdin: Path | None = None) -> command.Outcome:
        """Runs a command that should work; raises Refused or Wrong."""
        done = self.voxmend(*args, stdin=stdin)
        if done.refused:
            named = (str(self.folder), "--", " -: ")
            if not any(name in done.errors[0] for name in named):
                raise Wrong("a message that names no file")
            raise Refused
        if done.code:
            raise Wrong(f"{len(done.errors)} lines on stderr")
        return done

    def refuses(self, *args: object, hint: str = "", out: Path | None = None) -> None:
        """Runs a command that should say no in one line, with a hint, and leave nothing."""
        done = self.voxmend(*args)
        if not done.code:
            raise Wrong("exit code 0")
        if not done.refused:
            raise Wrong(f"{len(done.errors)} lines on stderr")
        if hint not in done.errors[0]:
            raise Wrong(f"no word of {hint}")
        if done.out:
            raise Wrong("refused after the work")
        if out and out.exists():
            raise Wrong(f"{out.name} was left")

    def noisy(self, channels: int = 1, snr_db: float = 12, clip: int = 0) -> np.ndarray:
        """Speech in white noise, the same in every channel but for the noise, `[C, T]`."""
        x = 0.6 * self.clips[clip]
        return np.stack([added(x, noise(len(x), 40 + c), snr_db) for c in range(channels)])

    def file(self, name: str, wave: np.ndarray | None = None, subtype: str = "PCM_16",
             rate: int = RATE) -> Path:
        """Writes a wav (or what libsndfile makes of the name), by default noisy speech."""
        path = self.folder / name
        soundfile.write(path, (self.noisy() if wave is None else wave).T, rate, subtype)
        return path

    def left(self) -> list[str]:
        """Everything in the folder, hidden files, too."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*"))


@dataclass(frozen=True)
class Check:
    """A case of files: of which point of the list, in words, by which verb, and what is tried."""

    case: str
    text: str
    verb: str
    act: Callable[[Bench], None]


def si_sdr(estimate: np.ndarray, reference: np.ndarray) -> float:
    """SI-SDR in dB of one channel, at most `SAME`.

    10 log₁₀(‖a·s‖²/‖ŝ − a·s‖²) with a = ⟨ŝ, s⟩/‖s‖² (Le Roux et al. 2019, means kept).

    Shape: `[T]`, `[T]`.
    """
    target = reference * (estimate @ reference) / max(reference @ reference, 1e-20)
    rest, power = np.sum((estimate - target) ** 2), np.sum(target**2)
    return float(np.clip(10 * np.log10((power + 1e-20) / (rest + 1e-20)), -SAME, SAME))


def compare(bench: Bench, got: np.ndarray, like: np.ndarray, slack: int = 0,
            least: float | None = None) -> None:
    """Checks channels, length and lag of a signal against another; notes its SI-SDR.

    Args:
        slack: samples that the length may differ by.
        least: SI-SDR in dB that it must have.

    Shape: `[C, T]`, `[C, T]`.
    """
    if len(got) != len(like):
        raise Wrong(f"{len(got)} channels of {len(like)}")
    if abs(got.shape[1] - like.shape[1]) > slack:
        raise Wrong(f"{got.shape[1]} samples of {like.shape[1]}")
    size = min(got.shape[1], like.shape[1])
    got, like = got[:, :size], like[:, :size]
    if late := lag(got[0], like[0]):
        raise Wrong(f"{late} samples late")
    bench.after = min(si_sdr(a, b) for a, b in zip(got, like, strict=True))
    if least is not None and bench.after < least:
        raise Wrong(f"another sound: {bench.after:.1f} dB")
