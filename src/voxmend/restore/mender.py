"""Segments of a channel, brought to the prior's rate and level, and its draws brought back.

At another rate than the prior's the operator's first guess is made at the recording's; above the
prior's band that guess, else the recording, is kept, of white noise filtered: what the prior
changed is resampled and added to it.
"""

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial

import numpy as np
import torch
from torch import Tensor

from .. import audio
from ..classical.noise_floor import floor_denoise
from ..diffusion.chunked import NoiseStream
from ..diffusion.guidance import NoisyObservation
from ..dsp.degrade import lowpass
from ..dsp.runs import runs
from ..operators import Operator
from .damage import BRIDGEABLE, Damage
from .drawing import Drawing, Request
from .interference import without_interference
from .offset import offset_of
from .scales import Scale, by_stretch
from .tasks import Scene, Task, found_damage

MUTED_SECONDS = 0.02  # of zeros in a row, which no microphone gives
PASSED = 0.95  # share of a band that resampling leaves as it is

Asking = Generator[Request, Tensor, np.ndarray]  # draws, as of `side_by_side`


def apply(function: Callable, wave: np.ndarray) -> np.ndarray:
    """A function of signals `[C, 1, T]` to a recording `[C, T]`."""
    return function(torch.from_numpy(wave)[:, None])[:, 0].numpy()


def muted(wave: np.ndarray, sample_rate: int, start: int, damage: Damage) -> list[list[int]]:
    """Where nothing was recorded, without the gaps that are mended: first sample, and the next.

    Args:
        start: of the segment, in samples of the recording.

    Shape: `[n]`.
    """
    gaps = [(a * sample_rate - start, b * sample_rate - start) for a, b in damage.gaps
            if b - a <= BRIDGEABLE]
    found: list[list[int]] = runs(wave == 0, round(MUTED_SECONDS * sample_rate)).tolist()
    return [run for run in found if not any(a < run[1] and run[0] < b for a, b in gaps)]


@dataclass(frozen=True)
class Mender:
    """Mends segments of a channel, as the task of a drawing tells.

    Args:
        drawing: which answers the requests.
        device: of the prior.
        rate, out_rate: of the recording and of what is made of it, Hz.
    """

    drawing: Drawing
    device: torch.device
    rate: int
    out_rate: int

    @property
    def task(self) -> Task:
        """What is mended, and how."""
        return self.drawing.task

    @property
    def sample_rate(self) -> int:
        """Of the prior, Hz."""
        return self.drawing.prior.sample_rate

    def __call__(self, chunk: np.ndarray, start: int, damage: Damage,
                 stretches: Sequence[Scale]) -> Asking:
        """The draws of one channel's segment, without what interferes.

        That goes before anything else, but after clipping is mended: else clipped samples would
        leave their level.

        Args:
            start: of the segment, in samples of the recording.

        Shape: chunk `[1, m]` to `[draws, K, n]`.
        """
        wave = chunk if damage.clipping else without_interference(chunk, self.rate, damage)
        draws = yield from by_stretch(
            wave, start, stretches, partial(self._mend, damage), self.rate,
            Fraction(self.out_rate, self.rate),
            self.rate // math.gcd(self.rate, self.sample_rate))
        if damage.clipping:
            draws = np.stack([without_interference(draw, self.out_rate, damage) for draw in draws])
        if (self.rate == self.out_rate and self.task.operator is found_damage
                and {"noise", "coloured"} & {*self.task.finds}):
            for first, last in muted(chunk[0], self.rate, start, damage):
                draws[..., first:last] = 0
        return draws

    def _mend(self, damage: Damage, chunk: np.ndarray, start: int, stretch: Scale) -> Asking:
        """The draws of what is of one stretch, at the output's rate; silence stays as it is."""
        task, rate, out_rate, prior_rate = self.task, self.rate, self.out_rate, self.sample_rate
        damage, scale = replace(damage, noise=stretch.noise or None), stretch.factor
        if not scale:
            same = chunk if task.sources is None else np.zeros(
                (task.sources, chunk.shape[1]), np.float32)
            return np.stack([audio.resample(same, rate, out_rate)] * self.drawing.draws)
        native = self._native(damage, start, chunk.shape[1])
        guessed = native is not None and rate != prior_rate
        guess = apply(native.start, chunk) if native is not None and guessed else chunk
        low = audio.resample(guess, rate, prior_rate)
        if low.shape[1] < 1024:  # shorter than any frame
            low = np.pad(low, ((0, 0), (0, 1024 - low.shape[1])))
        begin = start * prior_rate // rate
        offset = offset_of(low[0], prior_rate) if task.native_rate else 0.0
        scene = Scene(damage, scale, begin, low.shape[1], prior_rate, rate, out_rate,
                      task.sources or 1, offset)
        operator = self._operator(scene)
        offset = offset if scene.centred else 0.0  # else levels are the recording's
        if operator is None and task.operator is not None:
            same = self._return(self._checked(torch.from_numpy(low[None]))[0], guess, low)
            return np.stack([same] * self.drawing.draws)
        heard = self._whitened((low - offset) * scale, operator, begin)
        drawn = yield self._request(heard, operator, begin, guessed)
        kept = low if task.keeps_band else None
        if kept is not None and damage.noise and rate > prior_rate:
            guess = floor_denoise(guess[0], rate)[None].astype(np.float32)
            kept = audio.fit(audio.resample(guess, rate, prior_rate), low.shape[1])
        draws = [self._return(draw / scale + offset, guess, kept) for draw in self._checked(drawn)]
        exact = rate == out_rate and not (damage.cutoff or damage.low_cutoff)
        if native is not None and native.projects and not native.noise_std and exact:
            told = torch.from_numpy(chunk)[:, None]
            draws = [apply(lambda x: native.project(x, told), draw) for draw in draws]
        return np.stack(draws)

    def _operator(self, scene: Scene) -> Operator | None:
        """The task's; raises ValueError for what is none."""
        found = None if self.task.operator is None else self.task.operator(scene)
        if not isinstance(found, Operator | None):
            raise ValueError(f"task {self.task.name!r}: its operator is {found!r}: give an "
                             "Operator")
        return found

    def _native(self, damage: Damage, start: int, length: int) -> Operator | None:
        """What was done to a recording at its own rate and scale, if the task has it so.

        It tells what stays to the bit and, at another rate than the prior's, the first guess.
        """
        if not self.task.native_rate:
            return None
        return self._operator(Scene(damage, 1.0, start, length, self.rate, self.rate, self.rate))

    def _return(self, mended: np.ndarray, chunk: np.ndarray,
                low: np.ndarray | None) -> np.ndarray:
        """From the prior's rate to the output's.

        With `low`, what was mended, the recording's band above the prior's is kept.
        """
        length = audio.resample(chunk, self.rate, self.out_rate).shape[1]
        if low is None or self.rate != self.out_rate:
            return audio.fit(audio.resample(mended, self.sample_rate, self.out_rate), length)
        change = audio.resample(mended - low, self.sample_rate, self.out_rate)
        return chunk + audio.fit(change, length)

    def _whitened(self, low: np.ndarray, operator: Operator | None, start: int) -> np.ndarray:
        """A scaled segment; where white noise is all its damage, with noise above its band, too.

        Noise of a lower rate ends with its band, where a prior that is told of white noise would
        take its absence for speech that it hears. Shape: `[1, n]` to the same.
        """
        if (operator is None or self.rate >= self.sample_rate
                or not NoisyObservation().serves(operator)):
            return low
        stream = NoiseStream([self.drawing.seed + (self.drawing.draws << 32)], [start])  # no draw's
        noise = stream(torch.zeros(1, *low.shape))[0].numpy()
        above = noise - lowpass(noise, PASSED * self.rate / 2, self.sample_rate)
        return low + np.float32(float(operator.noise_std)) * above

    def _request(self, low: np.ndarray, operator: Operator | None, start: int,
                 guessed: bool) -> Request:
        """What is asked of one scaled segment of a channel, `[1, n]`.

        Args:
            guessed: the segment is a first guess already.
        """
        y = torch.from_numpy(np.ascontiguousarray(low))[:, None].float().to(self.device)
        first = y if guessed else None
        if operator is not None and (guessed or self.task.simulates):
            y = operator(y)
        return Request(y, operator, start, first)

    def _checked(self, draws: Tensor) -> np.ndarray:
        """Draws `[draws, K, n]`, if K is what the task declares."""
        if draws.shape[1] != (self.task.sources or 1):
            raise ValueError(f"task {self.task.name!r}: its operator's signals have "
                             f"{draws.shape[1]} channels, but sources={self.task.sources}")
        if not draws.isfinite().all():
            raise ValueError(f"task {self.task.name!r}: the prior gives NaN or infinity; its "
                             "weights are damaged, or its guidance diverges")
        return draws.cpu().numpy()
