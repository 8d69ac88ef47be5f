"""Reverberation: how slowly sound dies away."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector, View
from .short_time import HOP, bands, frame_powers

EDGES = (300.0, 600.0, 1200.0, 2400.0, 4800.0)  # Hz
FALL_DB, HEAD_DB = 10.0, 3.0  # a decay's depth, and what of its begin is left out
LOUD_DB, FLOOR_DB = 25.0, 5.0  # below the loudest, where decays begin; above the softest, their end
LONGEST, COLUMNS = 3.0, 300  # s of the histogram
SHORTEST, FEWEST = 0.3, 6  # s of a reverberation, decays that tell it
LONGER, IN_NOISE = 0.37, 0.5  # share of the decays that are longer; where noise ends them


class Reverberation(Detector):
    """Finds `Damage.reverberation`, the T60 that 37 % of all decays by 10 dB exceed, from 0.3 s on.

    Speech itself falls faster wherever there is no room, but for at most 29 % of its decays in 90
    recordings; in a room many begin within a sound and are steeper than it. Beside noise, which
    cuts decays short, half must be.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.times = np.zeros(COLUMNS, np.int64)

    def update(self, view: View) -> None:
        levels = bands(frame_powers(view.wave[view.inner.start:], self.sample_rate), EDGES)
        frames = len(view.own) / (HOP * self.sample_rate)
        for band in levels.T:
            for first, time in decays(band):
                if first < frames:
                    self.times[min(int(time / LONGEST * COLUMNS), COLUMNS - 1)] += 1

    def find(self, found: Damage) -> Damage:
        total = self.times.cumsum()
        if total[-1] < FEWEST:
            return found
        longer = IN_NOISE if found.noise or found.coloured else LONGER
        column = np.searchsorted(total, (1 - longer) * total[-1])
        time = float((column + 0.5) * LONGEST / COLUMNS)
        return replace(found, reverberation=time) if time >= SHORTEST else found


def decays(level: np.ndarray) -> list[tuple[int, float]]:
    """First frame and T60, in seconds, of every fall of a band's level by 10 dB.

    T60 = −60 dB/slope of the line through what is 3 dB below its begin; falls that begin 25 dB
    under the 95th percentile are not heard, and what is not 5 dB above the 10th is the floor.

    Shape: `[frames]`, dB.
    """
    if len(level) < 2:
        return []
    ends = np.flatnonzero(np.append(np.diff(level) >= 0.5, True))
    floor, loud = np.percentile(level, [10, 95])
    found = []
    for first, last in zip(np.append(0, ends[:-1] + 1), ends, strict=True):
        fall = level[first:last + 1]
        if fall[0] < loud - LOUD_DB or fall[0] - fall[-1] < FALL_DB:
            continue
        heard = fall[:np.argmax(np.append(fall, -np.inf) < floor + FLOOR_DB)]
        if len(heard) < 4:  # gone at once
            found.append((int(first), 0.0))
        elif heard[0] - heard[-1] > FALL_DB:
            below = np.flatnonzero(heard <= heard[0] - HEAD_DB)
            slope = np.polyfit(below * HOP, heard[below], 1)[0] if len(below) > 1 else -np.inf
            found.append((int(first), -60 / slope if slope < 0 else LONGEST))
    return found
