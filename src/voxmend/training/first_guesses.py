"""First guesses prepared in advance: speech damaged at random, as classical methods restore it.

A classical method takes longer than a step of training. So clips are damaged and restored on as
many cores as there are to spare, and a network is trained on them beside that. What it hears again
and again it learns by heart, so that new ones should be as many as it hears.
"""

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..audio import AudioError, atomic_path
from ..dsp import degrade
from ..operators import Clip, Gap, Lowpass, Mel, Operator
from .corpus import Corpus
from .pool import Draws

NAMES = ("clean", "guess", "marks", "kind")  # what a shard holds
KINDS = {"clip": 0.45, "gap": 0.2, "mel": 0.1, "composed": 0.25}  # and their shares
SECONDS, CLIPS, SCALE = 2, 120, 16384
SDR_DB, GAP_SECONDS, CUTOFF = (1.0, 10.0), (0.005, 0.12), (1000.0, 7000.0)


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """A number that is uniform in its logarithm."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def some_gaps(length: int, least: int, sample_rate: int, rng: np.random.Generator) -> Gap | None:
    """At least so many gaps, up to five, of 5 to 120 ms; None for none."""
    present = torch.ones(length, dtype=torch.bool)
    for _ in range(rng.integers(least, 6)):
        size = int(sample_rate * log_uniform(*GAP_SECONDS, rng))
        start = rng.integers(0, length - size)
        present[start:start + size] = False
    return None if present.all() else Gap(present, sample_rate)


def damage(clean: np.ndarray, kind: str, sample_rate: int,
           rng: np.random.Generator) -> tuple[Tensor, Operator]:
    """An observation of a kind, `[1, 1, …]`, and what made it; of what is lost of the band nothing.

    Clipped to 1 to 10 dB; `composed` is clipped after a low-pass at 1 to 7 kHz, and has gaps.

    Shape: `[T]`.
    """
    wave = torch.from_numpy(clean)[None, None]
    if kind == "mel":
        operator: Operator = Mel(len(clean))
    elif kind == "gap":
        gaps = some_gaps(len(clean), 1, sample_rate, rng)
        assert gaps is not None
        operator = gaps
    else:
        if kind == "composed":
            wave = Lowpass(log_uniform(*CUTOFF, rng), sample_rate)(wave)
        level = degrade.clip_level_for_sdr(wave.numpy(), rng.uniform(*SDR_DB))
        operator = Clip(level, sample_rate=sample_rate)
        gaps = some_gaps(len(clean), 0, sample_rate, rng) if kind == "composed" else None
        operator = operator if gaps is None else gaps @ operator
    return operator(wave), operator


def _shard(corpus: Corpus, rms: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Clips of speech with their guesses, marks and kinds."""
    rows: list[list[np.ndarray]] = []
    names, shares = list(KINDS), list(KINDS.values())
    while len(rows) < CLIPS:
        clean = corpus.crops(1, SECONDS * corpus.sample_rate, rms, 0.0, rng)[0, 0].numpy()
        if np.abs(clean).max() < rms / 2:  # next to nothing is said
            continue
        number = rng.choice(len(names), p=shares)
        y, operator = damage(clean, names[number], corpus.sample_rate, rng)
        evidence = operator.evidence(y)
        assert evidence is not None
        guess, marks = evidence.guess[0, 0].numpy(), evidence.marks[0, 0].numpy()
        signals = [np.rint(s * SCALE).clip(-32768, 32767).astype(np.int16) for s in (clean, guess)]
        rows.append([*signals, marks.astype(np.int8), np.array(number)])
    return dict(zip(NAMES, map(np.stack, zip(*rows, strict=True)), strict=True))


def _number(path: Path) -> int:
    """Of a shard among those of its seed."""
    return int(path.stem.split("-")[1])


def prepare(corpus: Corpus, folder: Path, hours: float, rms: float = 0.1, seed: int = 0,
            keep: int | None = None) -> None:
    """Writes shards of four minutes of clips with their guesses, as many as `hours` hold.

    It goes on after the last that is there, where it was stopped; another seed gives others.

    Args:
        keep: of that seed's shards only the newest so many stay in the folder; None: all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = sorted(folder.glob(f"{seed}-*.npz"), key=_number)
    count = math.ceil(hours * 3600 / (SECONDS * CLIPS))
    first = _number(there[-1]) + 1 if there else 0
    for number in tqdm(range(first, count), desc=folder.name, unit="shard", initial=first,
                       total=count):
        arrays = _shard(corpus, rms, np.random.default_rng([seed, number]))
        path = folder / f"{seed}-{number:04d}.npz"
        with atomic_path(path) as partial:
            np.savez(partial, allow_pickle=False, **arrays)
        there.append(path)
        while keep and len(there) > keep:
            there.pop(0).unlink(missing_ok=True)


@dataclass(frozen=True)
class Clips:
    """Clips with their guesses: `clean` and `guess` `[B, 1, T]`, `marks` `[B, 2, T]`, `kind` `[B]`.

    Marks are those of `operators.Evidence`, kinds count `KINDS`.
    """

    clean: Tensor
    guess: Tensor
    marks: Tensor
    kind: Tensor


class FirstGuesses:
    """The clips that `prepare` wrote to a folder, held on a device: 350 MB an hour.

    Args:
        newest: only the newest so many shards are held, in the order in which they were written;
            0: all. Guesses that are heard again and again are learnt by heart.

    Raises AudioError for a folder without any.
    """

    def __init__(self, folder: Path, device: torch.device | str = "cpu", newest: int = 0):
        self.folder, self.device, self.newest = Path(folder), device, newest
        self._shards: dict[Path, dict[str, Tensor]] = {}
        self._arrays: dict[str, Tensor] = {}
        self.refresh()
        if not self._shards:
            raise AudioError(f"{folder}: holds no first guesses; make them with "
                             "tools/first_guesses.py")

    def refresh(self) -> None:
        """Takes in the shards that `prepare` has added meanwhile, and lets go of those too old."""
        shards = {}
        for path in self._paths():
            with suppress(FileNotFoundError):  # `prepare` has let go of it
                shards[path] = self._shards.get(path) or self._read(path)
        if list(shards) == list(self._shards):
            return
        sizes = [len(shard["kind"]) for shard in shards.values()]
        self._arrays = {name: torch.cat([shard[name] for shard in shards.values()])
                        for name in NAMES}
        parts = {name: array.split(sizes) for name, array in self._arrays.items()}
        self._shards = {path: {name: parts[name][i] for name in NAMES}  # views: nothing is twice
                        for i, path in enumerate(shards)}

    def _paths(self) -> list[Path]:
        """The shards to be held, the oldest first."""
        written = {}
        for path in self.folder.glob("*-*.npz"):
            with suppress(FileNotFoundError):
                if not path.name.startswith("."):
                    written[path] = path.stat().st_mtime_ns
        return sorted(written, key=lambda path: (written[path], path))[-self.newest:]

    def _read(self, path: Path) -> dict[str, Tensor]:
        with np.load(path, allow_pickle=False) as shard:
            return {name: torch.from_numpy(shard[name]).to(self.device) for name in NAMES}

    def __len__(self) -> int:
        return len(self._arrays["kind"])

    @property
    def length(self) -> int:
        """Samples of a clip."""
        return self._arrays["clean"].shape[-1]

    def take(self, numbers: Tensor, starts: Tensor, length: int) -> Clips:
        """Parts of clips by their numbers. Shape: `[B]`, `[B]`."""
        rows = numbers[:, None]
        place = starts[:, None] + torch.arange(length, device=starts.device)
        marks = torch.stack([self._arrays["marks"][rows, mark, place] for mark in (0, 1)], 1)
        clean, guess = (self._arrays[name][rows, place][:, None].float() / SCALE
                        for name in ("clean", "guess"))
        return Clips(clean, guess, marks.float(), self._arrays["kind"][numbers])

    def crops(self, length: int, draws: Draws) -> Clips:
        """Random parts of random clips."""
        return self.take(draws.integers(0, len(self) - 1)[:, 0],
                         draws.integers(0, self.length - length)[:, 0], length)
