"""Tasks and the Restorer: from a damaged recording to a mended one.

    recording ─ analyse ─ Damage ─┐
                                  ├─ Task.operator ─ guidance ─ sampler ─ posterior draws
    segments ─ 16 kHz, RMS 0.1 ───┘

Long recordings pass in segments of constant memory.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from torch import Tensor

from .. import audio
from ..audio.batches import Jointly, Segment, side_by_side
from ..audio.errors import check_whole
from ..audio.levels import FRAME_SECONDS, Frames
from ..audio.segments import Aligner, Spread, in_turn, process
from ..classical.griffin_lim import MEL_RATE, mel_griffin_lim
from ..diffusion.chunked import ChunkedDenoiser
from ..diffusion.denoiser import Checked, Denoiser
from ..models import hub, remote
from ..models.batching import resolve
from ..models.precision import choose, precision_of
from ..operators import Each, Mel, Operator
from .analysis import analyse
from .damage import Damage, listed
from .drawing import Drawing, Request
from .mender import Mender
from .scales import NOISY_STEP_DB, SHORTEST_SECONDS, Scale, scales, white_in_each
from .tasks import TASKS, Task

SEGMENT_SECONDS, OVERLAP_SECONDS = 20, 1
FEWEST_FRAMES = 2  # of a mel-spectrogram, whose signal is reflected at its ends

Told = Damage | Sequence[Damage] | None


class Restorer:
    """Mends recordings: `Restorer("declip")(wave, sample_rate) -> wave`.

    Args:
        task: a name from `TASKS` or a Task of one's own; `dataclasses.replace` swaps one part.
        prior: a bundled name, a path, `hf://OWNER/NAME[@REVISION]`, or any Denoiser, which is put
            on the device and, as dropout is for training, into evaluation mode; by default the
            task's.
        steps: the task's number of steps, replaced.
        seed: same seed, same result.
        draws: posterior draws; the result is their mean.
        speakers: of a mixture; the task's `sources`, replaced.
        precision: of a prior that is loaded here, as in `models.precision.resolve`.
        batch: signals (segments, channels, draws) that pass the prior at once, as in
            `models.batching.resolve`.

    Raises ValueError for an unknown task, and for options that it does not take.
    """

    def __init__(self, task: str | Task = "mend", prior: str | Path | Denoiser | None = None,
                 steps: int | None = None, seed: int = 0, draws: int = 1, device: str = "auto",
                 speakers: int | None = None, precision: str = "auto",
                 batch: int | Literal["auto"] = "auto"):
        if isinstance(task, str):
            if task not in TASKS:
                raise ValueError(f"unknown task {task!r}; known: {', '.join(TASKS)}")
            task = TASKS[task]
        if not isinstance(task, Task):
            raise ValueError(f"task={task!r}: give a name of TASKS, or a Task")
        check_whole(1, steps=steps, draws=draws, speakers=speakers)
        check_whole(0, seed=seed)
        prior = task.prior if prior is None else prior
        if not isinstance(prior, str | Path | Denoiser):
            raise ValueError(f"prior={prior!r}: give a name, a path or a Denoiser")
        if speakers is not None and task.sources is None:
            raise ValueError(f"task {task.name!r} separates no speakers: leave out speakers")
        task = replace(task, sources=speakers) if speakers is not None else task
        self.task = replace(task, steps=steps) if steps is not None else task
        self.device = hub.pick_device(device)
        self.weights = None if isinstance(prior, Denoiser) else hub.find_prior(prior, hub.PRIORS)
        self.hash = self.weights and hub.file_hash(self.weights)
        if not isinstance(prior, Denoiser):
            prior = hub.load_prior(str(self.weights), str(self.device))
            choose(prior, precision)
        else:
            prior = Checked(prior)
        prior = prior.to(self.device).eval()
        self.prior = prior if prior.receptive_field is None else ChunkedDenoiser(prior)
        if steps is not None and self.task.course(self.prior)["steps"] != steps:
            raise ValueError(f"task {task.name!r} has levels of its own: leave out steps")
        self.seed, self.draws, self.sample_rate = seed, draws, prior.sample_rate
        self.drawing = Drawing(self.task, self.prior, seed, draws,
                               resolve(batch, self.device, self._longest))

    def _longest(self) -> None:
        """Passes the longest segment through the prior, with what guidance may ask of it."""
        x = torch.zeros(1, self.task.sources or 1, SEGMENT_SECONDS * self.sample_rate,
                        device=self.device, requires_grad=True)
        torch.autograd.grad(self.prior(x, self.prior.sigma_max).sum(), x)

    @classmethod
    def from_pretrained(cls, repo: str, task: str | Task = "mend", revision: str | None = None,
                        **options: Any) -> Self:
        """A Restorer whose prior is in a repository of the Hugging Face Hub.

        Args:
            repo: `OWNER/NAME`.
            revision: a branch, tag or commit; by default the newest commit.
            options: as above.

        Raises as `models.remote.fetch`; `hub.PriorError` for weights that are no prior.
        """
        return cls(task, remote.reference(repo, revision), **options)

    def __call__(self, wave: np.ndarray, sample_rate: int,
                 damage: Told = None) -> np.ndarray:
        """Mends a whole recording in memory; estimates the damage if it is not told.

        Args:
            damage: of all channels, or of each.

        Shape: `[T]` or `[C, T]` float to the same, or to `[K, T]` or `[K, C, T]` by a task with K
        `sources`; T is longer where the task raises the rate.
        """
        wave = np.asarray(wave)
        reader = audio.ArrayReader(wave[None] if wave.ndim == 1 else wave, sample_rate)
        mended = np.concatenate(list(self.stream(reader, damage)), axis=1)[:self.outputs(reader)]
        if self.task.sources is not None:
            mended = mended.reshape(self.task.sources, reader.channels, -1)
            return mended[:, 0] if wave.ndim == 1 else mended
        return mended[0] if wave.ndim == 1 else mended

    def outputs(self, reader: audio.Recording) -> int:
        """Channels of the mean; with several draws as many more, the uncertainty, follow them."""
        return reader.channels * (self.task.sources or 1)

    def output_rate(self, reader: audio.Recording) -> int:
        """Hz: the recording's own rate, but at least the prior's if the task raises it."""
        lowest = self.sample_rate if self.task.raises_rate else 0
        return max(reader.sample_rate, lowest)

    def _each(self, damage: Told, reader: audio.Recording) -> tuple[Damage, ...]:
        """The relevant damage of every channel, told or found."""
        if damage is None:
            damage = analyse(reader.blocks(), reader.sample_rate)
        if isinstance(damage, Damage):
            damage = [damage] * reader.channels
        if not all(isinstance(one, Damage) for one in listed("damage", damage)):
            raise ValueError(f"damage={damage!r}: give a Damage, or one of each channel")
        if len(damage) != reader.channels:
            raise ValueError(f"damage of {len(damage)} channels, but there are {reader.channels}")
        mine, seconds = tuple(map(self.relevant, damage)), reader.frames / reader.sample_rate
        for start, _ in (gap for one in mine for gap in one.gaps):
            if start >= seconds:
                raise ValueError(f"a gap at {start:g} s lies beyond the end at {seconds:.2f} s")
        return mine

    def _stretches(self, reader: audio.Recording,
                   damages: Sequence[Damage]) -> list[tuple[Damage, tuple[Scale, ...]]]:
        """The stretches of every channel, and its damage with what they show.

        A task with sources has their order in one stretch alone. Noise that is not steady in the
        channel may be so in each stretch, at a level of its own: then it is white.
        """
        frame = max(1, round(FRAME_SECONDS * reader.sample_rate))
        shortest = SHORTEST_SECONDS if self.task.sources is None else math.inf
        found = []
        for channel, (powers, damage) in enumerate(zip(
                Frames.of(reader.blocks(), frame).powers, damages, strict=True)):
            cut = partial(scales, powers, frame / reader.sample_rate, frame, damage.noise or 0.0,
                          self.prior.sigma_data, shortest)
            own = damage.coloured and white_in_each(cut(NOISY_STEP_DB), reader, channel,
                                                    self.prior.sigma_data)
            found.append((replace(damage, coloured=None), own) if own else (damage, cut()))
        return found

    def relevant(self, damage: Damage) -> Damage:
        """The damage that this task mends, without the rest."""
        blank = Damage(rms=damage.rms, clipped=damage.clipped)
        return replace(blank, **{name: getattr(damage, name) for name in self.task.finds})

    @property
    def entry(self) -> dict:
        """What a sidecar says of the way in which an output was made."""
        task, untold = self.task.for_prior(self.prior), self.task.untold
        plain = {} if task == untold else {"without_evidence": untold.course(self.prior)}
        return {"task": task.name, **task.course(self.prior), **plain, "seed": self.seed,
                "draws": self.draws, "prior": self.weights and hub.title(self.weights),
                "weights_sha256": self.hash, "device": str(self.device),
                "precision": precision_of(self.prior)}

    def stream(self, reader: audio.Recording, damage: Told = None,
               progress: Callable[[int], None] | None = None,
               spread: Spread = in_turn) -> Iterator[np.ndarray]:
        """Mended blocks `[outputs, n]`, and with several draws `[2·outputs, n]`: mean, then std.

        Estimates the damage if it is not told.

        Args:
            progress: told about how many samples are done, after every call of the prior.
        """
        rate, out_rate = reader.sample_rate, self.output_rate(reader)
        stretches = self._stretches(reader, self._each(damage, reader))
        mender = Mender(self.drawing, self.device, rate, out_rate)
        sources, channels = self.task.sources, reader.channels

        def mend(parts: Sequence[Segment]) -> list[np.ndarray]:
            tasks = [mender(chunk[c:c + 1], start, *stretches[c])
                     for start, chunk in parts for c in range(channels)]
            with self._telling(progress, parts, channels):
                mended = side_by_side(tasks, self.drawing)
            return [joined(mended[first:first + channels])
                    for first in range(0, len(mended), channels)]

        def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
            both = np.stack(parts, 2)
            draws = list(both.reshape(len(both), -1, both.shape[-1]))
            if sources:  # each draw may have its sources in another order
                same = Aligner(sources, channels, draws[0].shape[1])
                draws = [draw[same(draw)] for draw in draws]
            back = [np.mean(draws, 0), np.std(draws, 0, ddof=min(1, len(draws) - 1))]
            return np.concatenate(back) if self.draws > 1 else back[0]

        align = Aligner(sources or 1, channels, OVERLAP_SECONDS * out_rate)
        count = max(1, self.drawing.batch // (channels * self.draws))
        return process(reader.blocks(), Jointly(mend, count), SEGMENT_SECONDS * rate,
                       OVERLAP_SECONDS * rate, Fraction(out_rate, rate), multiple=rate,
                       progress=progress, spread=spread,
                       arrange=align.arrange if sources else None)

    @contextmanager
    def _telling(self, progress: Callable[[int], None] | None, parts: Sequence[Segment],
                 channels: int) -> Iterator[None]:
        """Tells how far segments have come, of as many calls of the prior as they take at most."""
        if progress is None:
            yield
            return
        begin, (start, last) = parts[0][0], parts[-1]
        samples, signals = start + last.shape[1] - begin, len(parts) * channels * self.draws
        task = self.task.for_prior(self.prior)
        each = max(task.course(self.prior)["steps"], 1) + len(task.speeds) - 1
        most = math.ceil(signals / self.drawing.batch) * each
        calls = count(1)
        hook = self.prior.innermost.register_forward_hook(
            lambda *_: progress(begin + samples * min(next(calls), most) // most))
        try:
            yield
        finally:
            hook.remove()

    def from_mel(self, mel: np.ndarray) -> np.ndarray:
        """Speech of a linear-magnitude mel-spectrogram.

        Shape: `[80, frames]` to `[1, T]`, and with several draws `[2, T]`: mean, then std.

        Raises: ValueError for another array, a task that mends recordings, and a prior of another
        rate than the mel-spectrogram's 16 kHz.
        """
        mel = self._checked_mel(mel)
        hop, per_second = Mel().hop, self.sample_rate // Mel().hop
        parts = np.array_split(mel, -(-mel.shape[1] // (SEGMENT_SECONDS * per_second)), axis=1)
        rms = math.sqrt(sum(np.square(mel_griffin_lim(part, iterations=3)).sum()
                            for part in parts) / (hop * mel.shape[1]))
        if rms < 1e-7:
            return np.zeros((min(self.draws, 2), hop * mel.shape[1]), np.float32)
        scale = self.prior.sigma_data / rms

        def vocode(parts: Sequence[Segment]) -> list[np.ndarray]:
            asked = [Request(torch.from_numpy(scale * chunk)[None, None].to(self.device), Mel(),
                             start * hop) for start, chunk in parts]
            made = [drawn[:, 0].cpu().numpy() / scale for drawn in self.drawing(asked)]
            return [np.stack([draws.mean(0), draws.std(0, ddof=1)]) if self.draws > 1 else draws
                    for draws in made]

        count = max(1, self.drawing.batch // self.draws)
        return np.concatenate(list(process(
            [mel], Jointly(vocode, count), SEGMENT_SECONDS * per_second,
            OVERLAP_SECONDS * per_second, hop)), axis=1)

    def _checked_mel(self, mel: np.ndarray) -> np.ndarray:
        """What `from_mel` takes, in float32."""
        if not self.task.simulates or self.sample_rate != MEL_RATE:
            raise ValueError(f"task {self.task.name!r} by a prior of {self.sample_rate} Hz vocodes "
                             f"nothing: give 'vocode', and a prior of {MEL_RATE} Hz")
        mel = np.asarray(mel, np.float32)
        if mel.ndim != 2 or mel.shape[0] != Mel.mels or mel.shape[1] < FEWEST_FRAMES:
            raise ValueError(f"mel of shape {list(mel.shape)}: give [{Mel.mels}, frames], of "
                             f"{FEWEST_FRAMES} frames or more")
        if not (np.isfinite(mel).all() and mel.min() >= 0):
            raise ValueError("mel: has values below 0, NaN or infinity: give magnitudes, not their "
                             "logarithms")
        return mel

    def generate(self, seconds: float, number: int = 0) -> np.ndarray:
        """Speech from the prior alone, draw `number`.

        Shape: `[1, T]`. Raises ValueError for a length that is not above 0.
        """
        if not 0 < seconds < math.inf:
            raise ValueError(f"seconds={seconds!r}: give more than 0")
        blank = torch.zeros(1, 1, round(seconds * self.sample_rate), device=self.device)
        return self.draw(blank, None, number)[0].cpu().numpy()

    def draw(self, y: Tensor, operator: Operator | None, number: int = 0) -> Tensor:
        """Draw `number` of the posterior given a scaled observation.

        Args:
            operator: of all items, or `Each` of each; None where nothing is observed, and y is
                where the prior alone starts.

        Shape: y `[B, …]` to `[B, K, T]`, float32 by a prior that was loaded here; all items share
        their noise.
        """
        y = y.to(self.device, torch.float32 if self.weights else y.dtype)
        each = operator.operators if isinstance(operator, Each) else [operator] * len(y)
        requests = [Request(*pair) for pair in zip(y.split(1), each, strict=True)]
        return torch.cat(self.drawing.numbered(requests, [number]))


def restore(wave: np.ndarray, sample_rate: int, task: str | Task = "mend",
            **options: Any) -> np.ndarray:
    """Mends a recording in memory; `options` are those of `Restorer`.

    Shape: `[T]` or `[C, T]`, as `Restorer.__call__`.
    """
    return Restorer(task, **options)(wave, sample_rate)
