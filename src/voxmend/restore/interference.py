"""Sounds beside the speech that need no prior to go: clicks, hum, noise of any colour."""

import numpy as np

from ..classical.declick import declick
from ..classical.hum import dehum
from ..classical.noise_floor import floor_denoise
from .damage import Damage


def without_interference(wave: np.ndarray, sample_rate: int, damage: Damage) -> np.ndarray:
    """A channel less its clicks, then less hum, then less noise that is not white.

    In this order, since clicks would bend what is told of hum, and hum what is told of noise.

    Shape: `[1, n]` to the same, float32; the same array if it has none.
    """
    if not damage.interferes:
        return wave
    channel = wave[0]
    if damage.clicks:
        channel = declick(channel, sample_rate)
    if damage.hum:
        channel = dehum(channel, sample_rate, damage.hum)
    if damage.coloured:
        channel = floor_denoise(channel, sample_rate)
    return channel[None].astype(np.float32)
