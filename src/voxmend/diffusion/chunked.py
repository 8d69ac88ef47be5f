"""Parts of a long signal denoised as the whole: exact chunks, and noise by position.

Neighbouring segments of a recording see the same noise where they overlap (`NoiseStream`). Within a
segment the prior runs chunk by chunk, which changes nothing in its result (`ChunkedDenoiser`).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .denoiser import Denoiser, Wrapper
from .philox import normal

HOST = {"cpu"}  # kinds of devices whose noise NumPy draws


class ChunkedDenoiser(Wrapper):
    """A denoiser of finite reach, evaluated in chunks with the same result as in one piece.

    Each chunk is denoised with a halo of the receptive field, rounded up to a multiple of the
    hop, on either side, which is then cut off: D(x)[s:e] = D(x[s−h : e+h])[h : h+e−s].

    Args:
        denoiser: any with a `receptive_field` (samples) and the `hop` of its frames (samples).
        seconds: length of a chunk without its halo.

    Shape: as `Denoiser`. Raises ValueError if the receptive field is unbounded.
    """

    def __init__(self, denoiser: Denoiser, seconds: float = 10.0):
        super().__init__(denoiser)
        reach = denoiser.receptive_field
        if reach is None:
            raise ValueError(f"{type(denoiser).__name__} has no finite receptive field: "
                             "denoise the signal in one piece")
        self.halo = math.ceil(reach / self.hop) * self.hop
        self.chunk = max(1, round(seconds * self.sample_rate / self.hop)) * self.hop

    def forward(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        if x.shape[-1] <= self.chunk + self.halo:
            return self.denoiser(x, sigma)
        pieces = []
        for start in range(0, x.shape[-1], self.chunk):
            first = max(0, start - self.halo)
            window = x[..., first:start + self.chunk + self.halo]
            denoised = self.denoiser(window, sigma)
            pieces.append(denoised[..., start - first:start - first + self.chunk])
        return torch.cat(pieces, dim=-1)


class NoiseStream:
    """Gaussian noise that belongs to a position in a recording, not to a segment of it.

    The k-th call returns draw k at the samples `start … start + T`: whoever asks for the same
    samples of the same draw gets the same noise, whatever its segment or batch.

    Other devices than the CPU draw by themselves, other numbers (`philox`): those of the CPU have
    always been NumPy's, and to draw and copy them would take longer than a network does.

    Args:
        seeds: one number per batch item, or one number for a batch of one.
        start: position of the first sample, of all items or of each.
        shared: give all channels of an item the same noise, which keeps a stereo image.

    Shape: `stream(like)` takes `[B, C, T]` and returns noise of its shape, dtype and device.
    Raises ValueError if B is not the number of seeds.

    >>> x = torch.zeros(1, 1, 100)
    >>> torch.equal(NoiseStream(7)(x)[..., 40:], NoiseStream(7, start=40)(x)[..., :60])
    True
    """

    def __init__(self, seeds: int | Sequence[int], start: int | Sequence[int] = 0,
                 shared: bool = True):
        self.seeds = np.ravel(seeds).tolist()
        self.starts = np.broadcast_to(start, len(self.seeds)).tolist()
        self.shared, self.calls = shared, 0

    def __call__(self, like: Tensor) -> Tensor:
        if like.shape[0] != len(self.seeds):
            raise ValueError(f"{len(self.seeds)} seeds for a batch of {like.shape[0]}")
        items = [*zip(self.seeds, self.starts, strict=True)]
        alike = {item: row for row, item in enumerate(dict.fromkeys(items))}  # are drawn once
        channels, length = 1 if self.shared else like.shape[1], like.shape[-1]
        if like.device.type in HOST:
            noise = torch.from_numpy(np.stack([[
                self._draw(*item, channel, length) for channel in range(channels)]
                for item in alike])).to(like)
        else:
            seeds, starts = (torch.tensor(column, device=like.device) for column in zip(
                *((_word(seed), start) for seed, start in alike), strict=True))
            noise = normal(seeds, starts, length, channels, self.calls).to(like)
        self.calls += 1
        return noise[[alike[item] for item in items]].expand(like.shape)

    def _draw(self, seed: int, start: int, channel: int, length: int,
              block: int = 1 << 14) -> np.ndarray:
        numbers = range(start // block, (start + length - 1) // block + 1)
        keys = (np.random.SeedSequence(seed, spawn_key=(self.calls, channel, number))
                for number in numbers)
        noise = [np.random.Generator(np.random.SFC64(key)).standard_normal(block, np.float32)
                 for key in keys]
        offset = start % block
        return np.concatenate(noise)[offset:offset + length]


def _word(seed: int) -> int:
    """A seed of any size as a signed one of 64 bits."""
    return (seed + (1 << 63)) % (1 << 64) - (1 << 63)
