"""Damage at random, for whole batches on a device: what networks learn to undo.

Every function takes signals `[B, T]` and a `Draws`, and gives every item damage of its own.
Composed in the order in which it happens to a recording: the room, noise, the line, the converter,
the transmission.
"""

import math

import torch
from torch import Tensor

from .pool import Draws


def power(x: Tensor) -> Tensor:
    """Mean square. Shape: `[..., T]` to `[..., 1]`."""
    return x.square().mean(-1, keepdim=True)


def filtered(x: Tensor, response: Tensor) -> Tensor:
    """Signals under frequency responses. Shape: `[B, T]`, `[B, T // 2 + 1]` to `[B, T]`."""
    return torch.fft.irfft(torch.fft.rfft(x) * response, x.shape[-1])


def _hertz(x: Tensor, sample_rate: int) -> Tensor:
    return torch.fft.rfftfreq(x.shape[-1], 1 / sample_rate, device=x.device)


def butterworth(ratio: Tensor, order: Tensor) -> Tensor:
    """Responses of analogue low-passes of orders 1…10 at frequencies over the cut-off.

    H(jΩ) = ∏_k 1/(jΩ − p_k), p_k = exp(jπ(2k + n − 1)/2n) (Butterworth 1930).

    Shape: `[B, F]`, `[B, 1]` to `[B, F]` complex.
    """
    place = 1j * ratio
    response = torch.ones_like(place)
    for k in range(1, 11):
        angle = math.pi * (2 * k + order - 1) / (2 * order)
        pole = torch.polar(torch.ones_like(angle), angle)
        response = torch.where(k <= order, response / (place - pole), response)
    return response


def lost_band(x: Tensor, cutoff: Tensor, draws: Draws, sample_rate: int = 16000) -> Tensor:
    """A low-pass at each cut-off, Hz: linear-phase with an edge of 20…800 Hz, or a Butterworth."""
    hertz = _hertz(x, sample_rate)
    width = draws.log_uniform(20, 800).minimum(1.8 * cutoff).minimum(
        2 * (sample_rate / 2 - cutoff).clamp(min=20))
    ramp = ((hertz - cutoff) / width + 0.5).clamp(0, 1)
    steep = (0.5 + 0.5 * torch.cos(math.pi * ramp)).to(torch.complex64)
    gentle = butterworth(hertz / cutoff, draws.integers(2, 10).float())
    return filtered(x, torch.where(draws.chance(0.3), gentle, steep))


def coloured(x: Tensor, draws: Draws, sample_rate: int = 16000) -> Tensor:
    """A microphone's spectrum: bent by ±6 dB at 8 places from 60 Hz to 8 kHz, linear between."""
    hertz = _hertz(x, sample_rate)
    places = draws.uniform(-6, 6, 8)
    octave = (hertz.clamp(min=60) / 60).log2() / math.log2(8000 / 60) * 7
    low = octave.floor().long().clamp(0, 6)
    level = torch.lerp(places[:, low], places[:, low + 1], (octave - low).expand(len(x), -1))
    return filtered(x, 10 ** (level / 20) + 0j)


def shelved(x: Tensor, draws: Draws, low_db: float, high_db: float,
            sample_rate: int = 16000) -> Tensor:
    """Raised by low_db…high_db below a corner of 60…400 Hz, as by a microphone that is near.

    |H(f)|² = (g + (f/f_c)⁴)/(1 + (f/f_c)⁴), g the gain in power: a shelf of order 2.
    """
    ratio = (_hertz(x, sample_rate) / draws.log_uniform(60, 400)).pow(4)
    gain = 10 ** (draws.uniform(low_db, high_db) / 10)
    return filtered(x, ((gain + ratio) / (1 + ratio)).sqrt() + 0j)


def noise(like: Tensor, draws: Draws, sample_rate: int = 16000) -> Tensor:
    """Stationary noise of unit power: white, 1/f^a of a in −0.5…2.5, or hum with harmonics."""
    hertz = _hertz(like, sample_rate).clamp(min=20)
    tilt = torch.where(draws.chance(0.4), 0.0, draws.uniform(-0.5, 2.5))
    white = draws.normal(like.shape[-1])
    hiss = filtered(white, (hertz / 1000) ** (-tilt / 2) + 0j)
    time = torch.arange(like.shape[-1], device=like.device) / sample_rate
    mains = torch.where(draws.chance(0.5), draws.uniform(49.8, 50.2), draws.uniform(59.8, 60.2))
    hum = sum(10 ** (draws.uniform(-30, 0) / 20)
              * torch.sin(2 * math.pi * (k * mains * time + draws.uniform())) for k in range(1, 11))
    mixed = torch.where(draws.chance(0.15), hum, hiss)
    return mixed / power(mixed).clamp(min=1e-12).sqrt()


def reverberant(x: Tensor, draws: Draws, sample_rate: int = 16000,
                t60: tuple[float, float] = (0.15, 1.0)) -> Tensor:
    """Speech in rooms: the direct path, 1 in strength and without delay, and a decaying tail.

    Noise that decays by 60 dB in T60 seconds, faster at high frequencies, after early reflections;
    the direct-to-reverberant ratio is −3…12 dB. (Polack 1988)
    """
    length = sample_rate
    time = torch.arange(length, device=x.device) / sample_rate
    decay = 6.9 / draws.log_uniform(*t60)
    wide, dull = draws.normal(length), draws.normal(length)
    soft = torch.nn.functional.avg_pool1d(dull[:, None], 9, 1, 4, count_include_pad=False)[:, 0]
    tail = wide * torch.exp(-decay * 1.5 * time) + 3 * soft * torch.exp(-decay * time)
    first = draws.uniform(0.001, 0.012)
    rise = torch.sigmoid((time - first) / 0.001)
    sparse = (draws.uniform(0, 1, length) < 0.01 + 0.99 * (time / 0.05).clamp(max=1))
    tail = tail * rise * sparse * (time > 0.0005)
    ratio = 10 ** (-draws.uniform(-3, 12) / 20)
    tail = tail * ratio / tail.square().sum(-1, keepdim=True).clamp(min=1e-9).sqrt()
    tail[:, 0] = 1
    size = x.shape[-1] + length
    wet = torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(tail, size), size)
    return wet[:, :x.shape[-1]]


def clip_level(x: Tensor, sdr_db: Tensor) -> Tensor:
    """Levels L that leave a ratio 20 log₁₀(‖x‖/‖x − clip(x, L)‖), by bisection. Shape: `[B, 1]`."""
    allowed = x.square().sum(-1, keepdim=True) * 10 ** (-sdr_db / 10)
    size = x.abs()
    low, high = torch.zeros_like(allowed), size.amax(-1, keepdim=True)
    for _ in range(14):
        middle = (low + high) / 2
        beyond = (size - middle).clamp(min=0).square().sum(-1, keepdim=True) > allowed
        low, high = torch.where(beyond, middle, low), torch.where(beyond, high, middle)
    return high.clamp(min=1e-5)


def clipped(x: Tensor, draws: Draws, low_db: float = 1, high_db: float = 20) -> Tensor:
    """Hard clipping to a signal-to-distortion ratio, one item in eight on one side."""
    level = clip_level(x, draws.uniform(low_db, high_db))
    return torch.where(draws.chance(1 / 8), x.minimum(level), x.clamp(-level, level))
