"""Clicks and pops: milliseconds that stand out of all around them."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from ...classical.declick import certain_clicks
from ..damage import Damage, decibel
from .base import Detector, View

LEAST = 0.5  # of the recording's RMS, the prediction error of a click
FEWEST, PER_MINUTE = 3, 4  # clicks of a recording that has some
LOWEST, COLUMNS = -120, 160  # dB of the first column of the histogram, and how many, 1 dB each


class Clicks(Detector):
    """Finds `Damage.clicks`, their number; fewer than 3, or 4 a minute, are none."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.errors, self.samples = np.zeros(COLUMNS, np.int64), 0

    def update(self, view: View) -> None:
        self.samples += len(view.own)
        places, errors = certain_clicks(view.wave - view.centre, self.sample_rate)
        own = (places >= view.inner.start) & (places < view.inner.stop)
        self.errors += np.bincount(columns(errors[own]), minlength=COLUMNS)

    def find(self, found: Damage) -> Damage:
        number = int(self.errors[columns(LEAST * found.rms):].sum())
        minutes = self.samples / self.sample_rate / 60
        if number < max(FEWEST, PER_MINUTE * minutes):
            return found
        return replace(found, clicks=number)


def columns(error: ArrayLike) -> np.ndarray:
    """Those of the histogram in which prediction errors count."""
    return np.asarray((decibel(error) - LOWEST).clip(0, COLUMNS - 1), int)


def click_places(wave: np.ndarray, sample_rate: int, rms: float) -> np.ndarray:
    """The samples at which clicks begin that the detector counts. Shape: `[T]` to `[N]`.

    Args:
        rms: of the whole channel.
    """
    places, errors = certain_clicks(wave, sample_rate)
    return places[columns(errors) >= columns(LEAST * rms)]


def is_click(wave: np.ndarray) -> bool:
    """Whether a few samples hold the power of some milliseconds: the median of it is 20 dB less.

    Shape: `[T]`.
    """
    power = np.square(wave)
    return bool(np.median(power) <= 0.01 * power.mean())
