"""Noise that is not white, or sets in or ends within the recording: floors of its stretches."""

from dataclasses import replace

import numpy as np

from ...classical.noise_floor import floor_power
from ..damage import Damage
from .base import Detector, View

NEGLIGIBLE_DB = 15.5  # below the recording; rooms rumble so, and it is hardly heard
SHORTEST = 1.0  # s of a view of which a floor tells something
SHORT, SHORT_DB = 2.0, 11.0  # s of a channel that may lack a pause: below it a floor is speech


class ColouredNoise(Detector):
    """Finds `Damage.coloured` where the floor holds more than the white `found.noise`, instead."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.power, self.samples = 0.0, 0

    def update(self, view: View) -> None:
        if len(view.own) < SHORTEST * self.sample_rate:
            return
        self.samples += len(view.own)
        self.power += len(view.own) * floor_power(view.own - view.hum, self.sample_rate)

    def find(self, found: Damage) -> Damage:
        power = self.power / max(self.samples, 1)
        white = (found.noise or 0.0) ** 2
        if power - 1.5 * white < max(found.rms**2 * 10 ** (-NEGLIGIBLE_DB / 10), 1e-12):
            return found
        if (self.samples < SHORT * self.sample_rate
                and power < found.rms**2 * 10 ** (-SHORT_DB / 10)):
            return found
        return replace(found, coloured=float(np.sqrt(power)), noise=None)
