"""Signals at other speeds, and the mean of what was made of them.

Whoever speaks slower, and as much lower, says the same, but a network errs differently, so that the
mean over several speeds errs less, as that of an ensemble does (test-time augmentation).
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from .. import audio
from ..dsp.stft import STFT


def resampled(waves: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """`audio.resample` of tensors. Shape: `[..., T]` to `[..., ⌊T·to/from + ½⌋]`."""
    if from_rate == to_rate:
        return waves
    rows = audio.resample(waves.detach().reshape(-1, waves.shape[-1]).float().cpu().numpy(),
                          from_rate, to_rate)
    return torch.from_numpy(rows).to(waves.device).reshape(*waves.shape[:-1], -1)


def at_speed(waves: Tensor, speed: float) -> Tensor:
    """Signals played so many times as fast, to 1/1000. Shape: `[..., T]` to `[..., T/speed]`."""
    return resampled(waves, round(1000 * speed), 1000)


def brought_back(waves: Tensor, speed: float, length: int) -> Tensor:
    """The inverse of `at_speed`, `length` samples of it. Shape: `[..., T]` to `[..., length]`."""
    back = resampled(waves, 1000, round(1000 * speed))[..., :length]
    return pad(back, (0, length - back.shape[-1]))


def marks_at_speed(marks: Tensor, speed: float) -> Tensor:
    """Marks of samples played so fast: of both neighbours of a sample the one that is not 0.

    Shape: `[..., T]` to `[..., T/speed]`, as long as `at_speed` makes signals.
    """
    length = marks.shape[-1]
    fast = round(1000 * speed)
    place = torch.arange((2000 * length + fast) // (2 * fast), device=marks.device) * fast / 1000
    before, after = (marks[..., part.long().clamp(max=length - 1)]
                     for part in (place.floor(), place.ceil()))
    return torch.where(before != 0, before, after)


def energy_mean(signals: Tensor) -> Tensor:
    """The mean of estimates of one signal, as loud in every bin as they are: √(E|X|²)·∠E X.

    Of what estimates guess differently, as a lost band, a plain mean has less energy than speech.

    Shape: `[N, ..., T]` to `[..., T]`.
    """
    stft = STFT(512, 128)
    spectra = stft.forward(signals)
    mean = spectra.mean(0)
    loud = spectra.abs().square().mean(0).sqrt()
    gain = (loud / mean.abs().clamp(min=1e-6)).clamp(max=4)  # of a mean of 0 no phase is known
    return stft.inverse(gain * mean, signals.shape[-1])
