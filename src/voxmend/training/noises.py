"""Noise at random, for whole batches: recordings of it, and what varies them.

A few hours of recordings may come to be known by heart, so that a network takes off what it has
heard and leaves what it has not. `varied` makes of them, and of speech, more than is heard twice.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from . import damages
from .pool import Draws, Pool

SPEEDS = (0.8, 1.0, 1.25)
SILENT = 1e-8  # power of a piece that is none


def at_unit_power(x: Tensor) -> Tensor:
    """Shape: `[B, T]` to the same."""
    return x / damages.power(x).clamp(min=1e-9).sqrt()


def recorded(pool: Pool, draws: Draws, length: int, sample_rate: int = 16000) -> Tensor:
    """Recorded noise of unit power, in a third of the items two pieces at once.

    Shape: `[B, length]`.
    """
    pieces = []
    for _ in range(2):
        piece = pool.cut(pool.pick(draws), length, draws)
        pieces.append(torch.where(damages.power(piece) > SILENT, at_unit_power(piece),
                                  damages.noise(piece, draws, sample_rate)))
    return at_unit_power(pieces[0] + draws.chance(0.33) * draws.uniform(0.2, 1) * pieces[1])


def texture(x: Tensor, draws: Draws) -> Tensor:
    """Stationary noise of the power spectra of signals: their phases are random.

    (Galerne, Gousseau, Morel 2011, "Random phase textures")

    Shape: `[B, T]` to the same.
    """
    spectrum = torch.fft.rfft(x)
    phase = draws.uniform(0, 2 * math.pi, spectrum.shape[-1])
    return torch.fft.irfft(torch.polar(spectrum.abs(), phase), x.shape[-1])


def babble(pool: Pool, draws: Draws, length: int, sample_rate: int = 16000) -> Tensor:
    """Three to six voices at once in a room, of unit power: too many to be a speaker.

    Shape: `[B, length]`.
    """
    count = draws.integers(3, 6)
    voices = torch.stack([
        (k < count) * draws.uniform(0.4, 1)
        * at_unit_power(pool.cut(pool.pick(draws), length, draws)) for k in range(6)])
    return at_unit_power(damages.reverberant(voices.sum(0), draws, sample_rate))


def swelling(x: Tensor, draws: Draws, sample_rate: int = 16000) -> Tensor:
    """Louder and softer by up to ±12 dB, linear in dB between places 0.7 s apart.

    Shape: `[B, T]` to the same.
    """
    count = max(2, round(x.shape[-1] / sample_rate / 0.7) + 1)
    places = draws.uniform(0, 12) * draws.uniform(-1, 1, count)
    level = torch.nn.functional.interpolate(places[:, None], x.shape[-1], mode="linear",
                                            align_corners=True)[:, 0]
    return x * 10 ** (level / 20)


def rumble(like: Tensor, draws: Draws, sample_rate: int = 16000) -> Tensor:
    """Noise of unit power from 2 Hz to 12…60 Hz, which swells: traffic, wind, handling.

    Shape: `[B, T]` to the same.
    """
    hertz = torch.fft.rfftfreq(like.shape[-1], 1 / sample_rate, device=like.device)
    response = (hertz > 2) * torch.exp(-(hertz / draws.log_uniform(12, 60)).square())
    low = damages.filtered(draws.normal(like.shape[-1]), response + 0j)
    return at_unit_power(swelling(low, draws, sample_rate))


def tones(like: Tensor, draws: Draws, sample_rate: int = 16000) -> Tensor:
    """Tones of unit power: hums, beeps, alarms, sirens.

    One to six partials of 60…4000 Hz, which fall by up to 12 dB from one to the next. In half of
    the items the pitch moves by up to 40 %, 0.2 to 4 times a second; half are switched on and off,
    with edges of 5 ms, every 0.15…2 s.

    Shape: `[B, T]` to the same.
    """
    time = torch.arange(like.shape[-1], device=like.device) / sample_rate
    pitch, partials = draws.log_uniform(60, 4000), draws.integers(1, 6)
    depth = draws.chance(0.5) * draws.uniform(0, 0.4)
    moved = depth * torch.sin(2 * math.pi * (draws.log_uniform(0.2, 4) * time + draws.uniform()))
    cycles = (pitch * (1 + moved) / sample_rate).cumsum(-1)
    fall = draws.uniform(0, 12)
    sound = sum(((k <= partials) & (k * 1.4 * pitch < sample_rate / 2))
                * 10 ** (-fall * (k - 1) / 20)
                * torch.sin(2 * math.pi * (k * cycles + draws.uniform())) for k in range(1, 7))
    period, share = draws.log_uniform(0.15, 2), draws.uniform(0.1, 0.7)
    place = (time + draws.uniform() * period) % period  # seconds since it was switched on
    gate = (torch.minimum(place, share * period - place) / 0.005).clamp(0, 1)
    return at_unit_power(torch.where(draws.chance(0.5), gate * sound, sound))


def varied(pools: Mapping[str, Pool], draws: Draws, length: int,
           sample_rate: int = 16000) -> Tensor:
    """Noise of unit power: recorded (five in eight), its texture or babble, and variants of these.

    Of a half the time runs backwards, a half swells, and six in ten have been through a microphone
    of another spectrum, some through two.

    Args:
        pools: `speech`, of which babble is made, and `noise`.

    Shape: `[B, length]`.
    """
    x = recorded(pools["noise"], draws, length, sample_rate)
    kind = draws.uniform()
    x = torch.where(kind < 0.2, texture(x, draws), x)
    x = torch.where(kind > 0.83, babble(pools["speech"], draws, length, sample_rate), x)
    x = torch.where(draws.chance(0.5), x.flip(-1), x)
    for share in (0.6, 0.3):
        x = torch.where(draws.chance(share), damages.coloured(x, draws, sample_rate), x)
    x = torch.where(draws.chance(0.5), swelling(x, draws, sample_rate), x)
    return at_unit_power(x)
