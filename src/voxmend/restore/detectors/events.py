"""Events: what is briefly far louder than the speech around it, and tells nothing of it."""

import numpy as np

from ...audio.levels import FRAME_SECONDS, Frames, events
from .base import Detector, View


class Events(Detector):
    """Marks `View.events`: bangs and coughs."""

    def __init__(self, sample_rate: int):
        self.frame = max(1, round(FRAME_SECONDS * sample_rate))

    def update(self, view: View) -> None:
        powers = Frames.of([view.wave[None]], self.frame).powers[0]
        view.events[:] = np.repeat(events(powers), self.frame)[:len(view.wave)]
