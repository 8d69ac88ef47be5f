"""Recordings held on a device, from which whole batches of random crops are cut at once."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from .. import audio
from .corpus import Corpus
from .decoding import FULL_SCALE, to_int16


class Draws:
    """Random numbers of a batch on a device, one for each item: the same seed, the same numbers."""

    def __init__(self, batch: int, device: torch.device | str, *seed: int):
        self.batch = batch
        self.generator = torch.Generator(device)
        self.generator.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))

    def uniform(self, low: float = 0.0, high: float = 1.0, *shape: int) -> Tensor:
        """Shape: `[B, *shape]`, `[B, 1]` by default."""
        return low + (high - low) * torch.rand(self.batch, *(shape or (1,)), device=self.device,
                                               generator=self.generator)

    def log_uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """Uniform in their logarithm."""
        return self.uniform(math.log(low), math.log(high), *shape).exp()

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """From low to high, both included."""
        return self.uniform(low, high + 1, *shape).long().clamp(max=high)

    def chance(self, share: float, *shape: int) -> Tensor:
        """True in this share of the items."""
        return self.uniform(0, 1, *shape) < share

    def sign(self) -> Tensor:
        """1 or −1 with equal chance. Shape: `[B, 1]`."""
        return 2.0 * self.chance(0.5) - 1

    def stratified(self) -> Tensor:
        """Uniform in 0…1, one in each of B equal parts, in random order. Shape: `[B, 1]`."""
        part = torch.randperm(self.batch, generator=self.generator, device=self.device)
        return (part[:, None] + self.uniform()) / self.batch

    def normal(self, *shape: int) -> Tensor:
        """Shape: `[B, *shape]`."""
        return torch.randn(self.batch, *shape, device=self.device, generator=self.generator)

    @property
    def device(self) -> torch.device:
        return self.generator.device


class Pool:
    """A corpus on a device, every recording at several speeds.

    A network that trains on a GPU hears a hundred times as much as a CPU decodes and cuts; of a
    pool a batch is one gather. On a CPU it is no slower than `Corpus.crops`.

    Args:
        corpus: of speech or noise.
        device: that holds the samples, 115 MB an hour and speed; twice that while it is made.
        speeds: of which every crop has one; the pitch moves along.
        balance: as in `Corpus.vary`.

    Attributes:
        rms: of every file and speed.
        owner: number of the speaker of each.
        sex: of every speaker, 0 (F), 1 (M) or −1 where it is not known (`Corpus.sexes`).
    """

    def __init__(self, corpus: Corpus, device: torch.device | str,
                 speeds: Sequence[float] = (1.0,), balance: float = 1.0):
        rate = corpus.sample_rate

        def at(speed: float, file: int) -> Tensor:
            wave = audio.resample(corpus[file][None], round(float(speed) * rate), rate)[0]
            return torch.from_numpy(to_int16(wave))

        with ThreadPoolExecutor() as threads:
            waves = list(threads.map(at, np.repeat(speeds, len(corpus)),
                                     [*range(len(corpus))] * len(speeds)))
        self.samples = torch.cat(waves).to(device)
        ends = np.cumsum([len(wave) for wave in waves])
        starts = np.concatenate([[0], ends[:-1]])
        names, owner = np.unique(corpus.speakers, return_inverse=True)
        seconds = (corpus.ends - corpus.starts).astype(float)
        shares = np.tile(seconds * np.bincount(owner, seconds)[owner] ** (balance - 1), len(speeds))

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        self.starts, self.ends = put(starts), put(ends)
        self.owner = put(np.tile(owner, len(speeds)))
        sexes = corpus.sexes
        self.sex = put(np.array([{"F": 0, "M": 1}.get(sexes.get(name, ""), -1) for name in names]))
        self.rms = put(np.tile(corpus.rms, len(speeds)).astype(np.float32))
        self.shares = put((shares.cumsum() / shares.sum()).astype(np.float32))

    @property
    def device(self) -> torch.device:
        return self.samples.device

    def pick(self, draws: Draws) -> Tensor:
        """Files at random, as `balance` has it. Shape: `[B]`."""
        return torch.searchsorted(self.shares, draws.uniform()[:, 0]).clamp(max=len(self.rms) - 1)

    def cut(self, files: Tensor, length: int, draws: Draws) -> Tensor:
        """Random crops of files, with zeros beyond a file's end.

        Shape: `[B]` to `[B, length]`, float32 in −1…1.
        """
        start, end = self.starts[files], self.ends[files]
        room = (end - start - length + 1).clamp(min=1)
        start = start + (draws.uniform()[:, 0] * room).long().minimum(room - 1)
        place = start[:, None] + torch.arange(length, device=start.device)
        inside = place < end[:, None]
        return self.samples[place.clamp(max=len(self.samples) - 1)].float() / FULL_SCALE * inside

    def crops(self, length: int, rms: float, gain_db: float, draws: Draws) -> Tensor:
        """Random crops of random files, each of which is brought to RMS `rms`.

        A further random gain of standard deviation `gain_db` and a random polarity are applied.

        Shape: `[B, length]`, float32.
        """
        files = self.pick(draws)
        crops = self.cut(files, length, draws)
        gain = rms / self.rms[files, None] * 10 ** (gain_db * draws.normal(1) / 20)
        return crops * (gain * draws.sign())
