"""Gaps: runs of zeros whose edges are cut off rather than faded."""

from dataclasses import replace

import numpy as np

from ..damage import Damage
from .base import Detector, View, runs

SILENCE = 1e-5  # |x| below half a step of 16-bit PCM


class Gaps(Detector):
    """Finds `Damage.gaps` and marks `View.silent`."""

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate
        self.gaps: list[tuple[float, float, bool]] = []

    def update(self, view: View) -> None:
        peak, rate = np.abs(view.wave), self.sample_rate
        rms = np.sqrt(np.mean(peak**2))
        step = np.min(peak, initial=1.0, where=peak > 0)
        audible = max(0.05 * rms, 4 * min(step, 0.01))
        for first, last in runs(peak <= max(SILENCE, 1e-3 * rms), rate // 200):
            exact = np.mean(peak[first:last] <= SILENCE) > 0.8
            if not exact and last - first < rate // 100:
                continue
            left, right = peak[:first][::-1], peak[last:]
            cut = [edge_is_cut(side, audible, rate) for side in (left, right)]
            sure = all(cut) or (exact and cut[0])
            if exact or sure:
                view.silent[first:last] = True
            hard = exact and any(edge_is_cut(side, 4 * step, rate) for side in (left, right))
            inside = len(left) and len(right) and last - first <= rate
            begin = first + view.offset
            if inside and (sure or hard) and view.start <= begin < view.end:
                self.gaps.append((begin / rate, (last + view.offset) / rate, bool(sure)))

    def find(self, found: Damage) -> Damage:
        """The gaps in order; less certain ones count only beside a certain one."""
        certain = any(sure for _, _, sure in self.gaps)
        gaps = tuple((a, b) for a, b, _ in sorted(self.gaps)) if certain else ()
        return replace(found, gaps=gaps)


def edge_is_cut(side: np.ndarray, audible: float, sample_rate: int) -> bool:
    """Whether a signal begins abruptly after a silence, rather than fading in.

    Within 8 ms it must become audible, and from there its first 2 ms must be within 10 dB of its
    first 20 ms. The 8 ms allow for the ringing of a low-pass that came after the cut.

    Args:
        side: magnitudes that follow the silence (or, reversed, precede it), the nearest first.
        audible: magnitude that counts as signal.
        sample_rate: Hz.

    Shape: `[T]`.
    """
    active = np.flatnonzero(side[:sample_rate // 125] >= audible)
    if len(active) == 0:
        return False
    side = side[active[0]:]
    near = np.mean(side[:sample_rate // 500] ** 2)
    return bool(near > 0.1 * np.mean(side[:sample_rate // 50] ** 2))
