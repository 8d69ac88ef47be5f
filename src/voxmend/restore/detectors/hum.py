"""Hum of the mains: harmonics of 50 or 60 Hz that keep their phase."""

from dataclasses import replace

import numpy as np

from ...classical.hum import MAINS, find_phasors, synthesise
from ..damage import Damage
from .base import Detector, View

CERTAIN = 6.0  # standard errors of a harmonic that counts
HIGHEST = 1000.0  # Hz of a harmonic looked for
NEGLIGIBLE_DB, INAUDIBLE_DB = 17, 41  # below the recording, as it is and A-weighted
SHORTEST = 0.5  # s of a view in which phases tell something


class Hum(Detector):
    """Finds `Damage.hum` that is heard, and marks `View.hum`.

    It lies less than 17 dB, or A-weighted less than 41 dB, below the recording: many a sound
    recording has a hum at 50 or 60 Hz alone, where nobody hears it.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.energies, self.samples = np.zeros((len(MAINS), 2)), 0

    def update(self, view: View) -> None:
        own = view.own
        if len(own) < SHORTEST * self.sample_rate or not own.any():
            return
        self.samples += len(own)
        most = 0.0
        for index, mains in enumerate(MAINS):
            phasors = find_phasors(own, self.sample_rate, mains, HIGHEST)
            powers = np.where(phasors.certainty >= CERTAIN, phasors.powers, 0)
            heard = powers * a_weights(phasors.mains * np.arange(1, len(powers) + 1))
            self.energies[index] += len(own) * np.array([powers.sum(), heard.sum()])
            if (power := powers.sum()) > most:
                most, view.hum = power, synthesise(phasors, len(own), self.sample_rate, CERTAIN)

    def find(self, found: Damage) -> Damage:
        best = int(np.argmax(self.energies[:, 0]))
        powers = self.energies[best] / max(self.samples, 1)
        least = found.rms**2 * 10 ** (-np.array([NEGLIGIBLE_DB, INAUDIBLE_DB]) / 10)
        return replace(found, hum=MAINS[best]) if (powers > least).any() else found


def a_weights(hertz: np.ndarray) -> np.ndarray:
    """Factors on powers that say how loud they are to the ear; 1 at 1 kHz (IEC 61672).

    >>> (10 * np.log10(a_weights(np.array([50.0, 100.0, 1000.0])))).round() + 0
    array([-30., -19.,   0.])
    """
    f = hertz**2
    response = 12194**2 * f**2 / ((f + 20.6**2) * (f + 12194**2)
                                  * np.sqrt((f + 107.7**2) * (f + 737.9**2)))
    return (1.2589 * response) ** 2
