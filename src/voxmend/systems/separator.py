"""Recordings of any length taken apart by a network trained for it: voices, or speech and noise.

    recording ─ segments, zero mean, unit level ─ apart ─ order of the voices ─ cross-fade

Segments have 10 s, or what the card of a network without a sampler says suits it
(`segment_seconds` of its `sampling`). Neighbouring ones share 2 s, in which they see the same noise
and the order is found.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from .. import audio
from ..audio.batches import Jointly, Made, Segment, side_by_side
from ..audio.levels import Levels
from ..audio.segments import Aligner, Spread, in_turn, process
from ..classical.upper_band import part_upper_band
from ..diffusion.chunked import NoiseStream
from ..diffusion.told import Listener
from ..models import hub, remote
from ..models.batching import in_batches, resolve
from ..models.precision import choose
from . import diffsep
from .diffsep import PAPER, STEPS
from .hearing import heard_as, hearing
from .score_models import RegenerationModel, ScoreModel
from .weights import DIRECT, WEIGHTS, count_sources, find_weights

SEGMENT_SECONDS, OVERLAP_SECONDS = 10, 2
SHORTEST_SECONDS = 0.2  # less than a syllable: no enhancer knows it for speech
HEARD_DB = 13  # a voice that far below the loudest, over a whole recording, is but a leak

Apart = Callable[[Tensor, Sequence[int], Callable | None], Tensor]


@dataclass(frozen=True)
class Separator:
    """Takes recordings apart: `load("separate")(wave, sample_rate) -> voices`.

    Above half the sample rate of `apart` the sources share the recording as they do below it
    (`classical.upper_band`). Channels are taken apart each by itself, and those of one voice put
    together again; what is constant, as silence, gives silence. A recording of less than 0.2 s is
    all speech to an enhancer.

    Args:
        apart: `(mixture, starts, callback) -> sources` of channels of segments, of about unit
            variance, whose first samples are samples `starts` of the recording; `[B, 1, T]` to
            `[B, K, T]`.
        sources: K.
        sample_rate: of `apart`, Hz.
        enhances: the sources are speech and noise; otherwise voices, in any order.
        steps: how often `apart` calls `callback`, which is one of `samplers`.
        segment: seconds of a segment, `OVERLAP_SECONDS` of which the next one shares.
        follows: what `apart` hears follows the running level of each channel (`audio.levels`), as a
            prior that listens hears soft speech best; else it has a steady level between steps, as
            voices need: a level that follows whoever speaks costs 3…8 dB on conversations of the
            validation speakers.
        entry: what a sidecar says of it.
        batch: signals that pass `apart` at once, at most; the channels of a segment always do.
        hearings: `apart` in several ways that are cheaper each, for whoever hears a recording as
            often, in other segments (`conversation`).
    """

    apart: Apart
    sources: int
    sample_rate: int
    enhances: bool = False
    steps: int = 1
    segment: float = SEGMENT_SECONDS
    follows: bool = False
    entry: dict = field(default_factory=dict)
    batch: int = 1
    hearings: tuple[Apart, ...] = ()

    @classmethod
    def from_pretrained(cls, repo: str, task: str, method: str | None = None,
                        revision: str | None = None, **options: Any) -> "Separator":
        """A Separator whose weights are in a repository of the Hugging Face Hub.

        Args:
            repo: `OWNER/NAME`.
            task, method, options: as in `load`.
            revision: a branch, tag or commit; by default the newest commit.

        Raises as `load` and `models.remote.fetch`.
        """
        return load(task, method, remote.reference(repo, revision), **options)

    def __call__(self, wave: np.ndarray, sample_rate: int) -> np.ndarray:
        """Takes a whole recording apart in memory.

        Shape: `[T]` to `[K, T]`, or `[C, T]` to `[K, C, T]`, float32.
        """
        wave = np.asarray(wave)
        reader = audio.ArrayReader(np.atleast_2d(wave), sample_rate)
        sources = np.concatenate(list(self.stream(reader)), axis=1)
        return sources.reshape(self.sources, *wave.shape)

    def stream(self, reader: audio.Recording,
               progress: Callable[[int], None] | None = None,
               spread: Spread = in_turn) -> Iterator[np.ndarray]:
        """Blocks `[K·C, n]` of the sources in turn, each with the recording's rate and channels.

        Of an enhancer: speech, and what the recording holds beside it.
        """
        rate = reader.sample_rate
        segment, overlap = round(self.segment * rate), OVERLAP_SECONDS * rate
        mean, levels = self.measure(reader)

        def separate(parts: Sequence[Segment]) -> list[np.ndarray]:
            taken = self.take_apart(parts, rate, mean, levels, progress)
            if self.enhances:
                return [np.concatenate([sources[0], chunk - sources[0]])
                        for (_, chunk), sources in zip(parts, taken, strict=True)]
            return [sources.reshape(-1, sources.shape[2]) for sources in taken]

        align = Aligner(self.sources, reader.channels, overlap)
        return process(reader.blocks(), self.jointly(separate, reader.channels), segment, overlap,
                       multiple=rate, progress=progress, spread=spread,
                       arrange=None if self.enhances else align.arrange)

    def jointly(self, function: Callable[[Sequence[Segment]], Sequence[Made]],
                channels: int) -> Jointly[Made]:
        """A function of as many segments at once as a batch holds."""
        return Jointly(function, max(1, self.batch // channels))

    def measure(self, reader: audio.Recording) -> tuple[np.ndarray, Levels]:
        """What is constant in each channel, `[C, 1]`, and the levels of a recording."""
        measure = Levels.running if self.follows else Levels.steady
        levels = measure(reader.blocks(), reader.sample_rate)
        return levels.offsets.astype(np.float32), levels

    def take_apart(self, parts: Sequence[Segment], rate: int, mean: np.ndarray, levels: Levels,
                   progress: Callable[[int], None] | None = None) -> list[np.ndarray]:
        """Sources of segments, `[C, n]` each to `[K, C, n]`.

        Args:
            progress: told how far the network has come in a segment that is alone.
        """
        start, samples, done = parts[0][0], parts[0][1].shape[1], count(1)
        callback = progress and (lambda *_: progress(start + samples * next(done) // self.steps))

        def apart(asked: Sequence[tuple[Tensor, int]]) -> Sequence[Tensor]:
            mixtures, starts = zip(*asked, strict=True)
            sizes = [len(mixture) for mixture in mixtures]
            found = self.apart(torch.cat(mixtures), np.repeat(starts, sizes).tolist(),
                               None if parts[1:] else callback)
            return found.split(sizes)

        tasks = [self._take_apart(chunk, start, rate, mean, levels) for start, chunk in parts]
        size = max(1, self.batch // len(parts[0][1]))  # channels go together
        return side_by_side(tasks, lambda asked: in_batches(
            apart, asked, lambda one: one[0].shape[2], size))

    def _take_apart(self, chunk: np.ndarray, start: int, rate: int, mean: np.ndarray,
                    levels: Levels) -> Generator[tuple[Tensor, int], Tensor, np.ndarray]:
        """One segment: asks for the sources of a mixture, `[C, 1, T]`, and its start."""
        sources = np.zeros((self.sources, *chunk.shape), np.float32)
        if self.enhances and chunk.shape[1] < SHORTEST_SECONDS * rate:  # it is the whole recording
            sources[0] = chunk
            return sources
        heard = np.ptp(chunk, axis=1) > 0  # silence stays silence
        if not heard.any():
            return sources
        level = levels(start, chunk.shape[1])[heard]
        scaled = (chunk - mean)[heard] / level
        low = audio.resample(scaled, rate, self.sample_rate)
        if low.size:
            found = yield torch.from_numpy(low)[:, None], start * self.sample_rate // rate
            rows = found.transpose(0, 1).flatten(0, 1).cpu().numpy()
            back = audio.fit(audio.resample(rows, self.sample_rate, rate), chunk.shape[1])
            back = back.reshape(self.sources, -1, chunk.shape[1])
            if rate > self.sample_rate:
                heard_low = audio.fit(audio.resample(low, self.sample_rate, rate), chunk.shape[1])
                back = back + self._upper_band(scaled, heard_low, back, rate)
            sources[:, heard] = level * back
        return sources

    def _upper_band(self, chunk: np.ndarray, low: np.ndarray, sources: np.ndarray,
                    rate: int) -> np.ndarray:
        """What the sources have above the network's band. Shape: `[C, n]` twice, `[K, C, n]`."""
        out = np.empty_like(sources)
        for c, (whole, below) in enumerate(zip(chunk, low, strict=True)):
            known = sources[:, c] if self.enhances else np.concatenate(
                [sources[:, c], [below - sources[:, c].sum(0)]])
            parts = part_upper_band(whole - below, known, rate, self.sample_rate / 2)
            out[:, c] = parts[:self.sources]
        return out


def by_diffsep(model: ScoreModel, sampler: str = PAPER, steps: int = STEPS, seed: int = 0,
               polarities: int = 1) -> Apart:
    """A draw from a DiffSep with noise that belongs to a position and is common to all channels."""
    device = next(model.parameters()).device

    @torch.no_grad()
    def apart(mixture: Tensor, starts: Sequence[int], callback: Callable | None) -> Tensor:
        noise = NoiseStream([seed] * len(mixture), starts, shared=False)
        return diffsep.draw(model, mixture.to(device), sampler, steps, noise, callback, polarities)

    return apart


def by_network(network: nn.Module, polarities: int = 1, speeds: Sequence[float] = (1.0,),
               ordered: bool = False) -> Apart:
    """What a network says, `[B, 1, T]` to `[B, K, T]`; the rest as in `hearing.heard_as`."""
    device = next(network.parameters()).device
    heard = heard_as(network, polarities, speeds, ordered)

    @torch.no_grad()
    def apart(mixture: Tensor, starts: Sequence[int], callback: Callable | None) -> Tensor:
        return heard(mixture.to(device))

    return apart


def by_listener(listener: Listener, polarities: int = 1, speeds: Sequence[float] = (1.0,)
                ) -> Apart:
    """Speech and the rest by a prior that listens, with noise that belongs to a position."""
    device = next(listener.parameters()).device

    @torch.no_grad()
    def apart(mixture: Tensor, starts: Sequence[int], callback: Callable | None) -> Tensor:
        heard = heard_as(partial(listener, start=starts), polarities, speeds, ordered=True)
        return heard(mixture.to(device))

    return apart


def methods(task: str) -> list[str]:
    """The methods that a task has in `WEIGHTS`, the default first."""
    return [method for name, method in WEIGHTS if name == task]


def check_method(task: str, method: str | None, known: list[str]) -> str:
    """The method, by default the first one that is known; raises ValueError for another."""
    method = method or known[0]
    if method not in known:
        raise ValueError(f"{task} knows no method {method!r}, but {', '.join(known)}")
    return method


def load(task: str, method: str | None = None, weights: str | Path | None = None,
         sampler: str | None = None, steps: int | None = None, seed: int = 0,
         device: str = "auto", precision: str = "auto",
         batch: int | Literal["auto"] = "auto") -> Separator:
    """The separator of a task, "separate", "enhance" or "dereverb".

    Args:
        method: one that the task has in `WEIGHTS`, by default the first.
        weights: as in `find_weights`.
        sampler, steps: of DiffSep, as in `diffsep.draw`; by default what the weights' card says
            suits them. With a sampler it is a single draw, in the paper's steps unless told.
        seed: same seed, same result.
        precision: as in `models.precision.resolve`.
        batch: channels of segments that pass the network at once, as in `models.batching.resolve`.

    Raises ValueError for weights made for something else and options that the method lacks.
    """
    method = check_method(task, method, methods(task))
    place, path = hub.pick_device(device), find_weights(task, method, weights)
    if method not in DIRECT:
        made = _sampled(path, place, task, sampler, steps, seed, precision)
    elif sampler or steps:
        unknown = " and ".join(name for name, value in (("--sampler", sampler),
                                                        ("--steps", steps)) if value)
        raise ValueError(f"--method {method} takes no sampler; leave out {unknown}")
    else:
        made = _called(DIRECT[method](path, str(place)), hub.read_card(path), task, seed, precision)
    entry = {"task": task, "method": method, "weights": hub.title(path),
             "weights_sha256": hub.file_hash(path), "device": str(place)}
    longest = torch.zeros(1, 1, round(made.segment * made.sample_rate))
    return replace(made, entry=entry | made.entry, batch=resolve(
        batch, place, lambda: made.apart(longest, [0], None)))


def _called(network: nn.Module, card: dict, task: str, seed: int, precision: str) -> Separator:
    """Of a network that is called as it is."""
    enhances, entry = task != "separate", dict[str, Any]()
    heard, hearings = hearing(card), tuple[Apart, ...]()
    if isinstance(network, Listener):
        network.seed = entry["seed"] = seed
        apart = by_listener(network, **heard)
    else:
        apart = by_network(network, **heard, ordered=enhances)
        first, *others = heard["speeds"]
        hearings = tuple(by_network(network, heard["polarities"], (first, other), enhances)
                         for other in others)
    entry |= {"precision": choose(network, precision)} | heard
    segment = card.get("sampling", {}).get("segment_seconds", SEGMENT_SECONDS)
    return Separator(apart, count_sources(card), card["sample_rate"], enhances, segment=segment,
                     follows=isinstance(network, Listener), entry=entry, hearings=hearings)


def _sampled(path: Path, place: torch.device, task: str, sampler: str | None, steps: int | None,
             seed: int, precision: str) -> Separator:
    """Of a DiffSep, by a sampler."""
    model, card = diffsep.load_model(path, str(place), task), hub.read_card(path)
    entry: dict[str, Any] = {"precision": choose(model, precision)}
    if isinstance(model, RegenerationModel):
        separator = diffsep.find_separator(path, card)
        entry |= {"separator": separator.stem, "separator_sha256": hub.file_hash(separator),
                  "separator_heard": model.heard}
    suited = {"sampler": sampler} if sampler else card.get("sampling", {})
    sampling: dict[str, Any] = {
        "sampler": suited.get("sampler", PAPER), "steps": steps or suited.get("steps", STEPS),
        "seed": seed, "polarities": suited.get("polarities", 1)}
    return Separator(by_diffsep(model, **sampling), model.voices, model.sample_rate,
                     task != "separate", sampling["steps"] * sampling["polarities"],
                     entry=entry | sampling)
