"""What was chosen on the page, as lines of the command: these are what runs, word for word."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

Line = list[str]  # the words behind `voxmend`


class Sampling(NamedTuple):
    """How results are drawn."""

    draws: int = 1
    seed: int = 0

    @property
    def words(self) -> Line:
        """As options, as far as they differ from what the command takes by itself."""
        return [*(["--draws", str(self.draws)] if self.draws != 1 else []),
                *(["--seed", str(self.seed)] if self.seed else [])]


def as_typed(lines: Sequence[Line]) -> list[str]:
    """Lines to copy into a terminal.

    >>> as_typed([["mend", "my voice.m4a", "my voice-mended.wav"]])
    ["voxmend mend 'my voice.m4a' 'my voice-mended.wav'"]
    """
    return [shlex.join(["voxmend", *line]) for line in lines]


def output(name: str, what: str, suffix: str) -> str:
    """The name of what is made of a file.

    >>> output("my voice.m4a", "mended", ".wav")
    'my voice-mended.wav'
    """
    return f"{Path(name).stem}-{what}{suffix}"


def mend(name: str, leave: Sequence[str], suffix: str, sampling: Sampling) -> list[Line]:
    """Restoration of all that is found but for some kinds."""
    left = ["--leave", ",".join(leave)] if leave else []
    return [["mend", name, output(name, "mended", suffix), *left, *sampling.words]]


def enhance(name: str, verb: str, suffix: str, refined: bool = False, limit: float | None = None,
            keep_noise: bool = False) -> list[Line]:
    """Removal of noise, or with the verb `dereverb` of a room's echo as well.

    Args:
        refined, limit: of the verb `enhance` only.
    """
    words = [verb, name, output(name, "enhanced" if verb == "enhance" else "dry", suffix)]
    if verb == "enhance":
        words += ["--method", "voxmend+refine"] if refined else []
        words += ["--limit", f"{limit:g}"] if limit is not None else []
    return [[*words, *(["--keep-noise"] if keep_noise else [])]]


def refine(noisy: str, enhanced: str, suffix: str, sampling: Sampling) -> list[Line]:
    """Refinement of what another tool has made of a recording."""
    return [["refine", noisy, enhanced, output(noisy, "refined", suffix), *sampling.words]]


def separate(name: str) -> list[Line]:
    """The voices of a recording."""
    return [["separate", name, output(name, "voices", "")]]


def generate(count: int, seed: int) -> list[Line]:
    """Voices that nobody has."""
    return [["speakers", "generate", "-o", "voices.npz", "-n", str(count), "--seed", str(seed),
             "--npy", "voice.npy"]]


def steer(count: int, seed: int, amounts: dict[str, float]) -> list[Line]:
    """The same voices, steered along one axis after another."""
    lines, source = generate(count, seed), "voices.npz"
    for number, (axis, amount) in enumerate(amounts.items(), 1):
        target = f"steered{number}.npz"
        lines.append(["speakers", "steer", "--voices", source, "--axis", axis,
                      "--amount", f"{amount:.2f}", "-o", target, "--npy", f"steered{number}.npy"])
        source = target
    return lines
