"""Hum of the mains: harmonics of 50 or 60 Hz that keep their phase."""

from dataclasses import replace

import numpy as np

from ...classical.hum import MAINS, find_phasors
from ..damage import Damage
from .base import Detector, View

CERTAIN = 6.0  # standard errors of a harmonic that counts
HIGHEST = 1000.0  # Hz of a harmonic looked for
NEGLIGIBLE_DB = 29  # below the recording
SHORTEST = 0.5  # s of a view in which phases tell something


class Hum(Detector):
    """Finds `Damage.hum`, unless it lies 29 dB below the recording."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.energies, self.samples = np.zeros(len(MAINS)), 0

    def update(self, view: View) -> None:
        own = view.own
        if len(own) < SHORTEST * self.sample_rate or not own.any():
            return
        self.samples += len(own)
        for index, mains in enumerate(MAINS):
            phasors = find_phasors(own, self.sample_rate, mains, HIGHEST)
            sure = phasors.certainty >= CERTAIN
            self.energies[index] += len(own) * phasors.powers[sure].sum()

    def find(self, found: Damage) -> Damage:
        best = int(np.argmax(self.energies))
        power = self.energies[best] / max(self.samples, 1)
        if not power or power < found.rms**2 * 10 ** (-NEGLIGIBLE_DB / 10):
            return found
        return replace(found, hum=MAINS[best])
