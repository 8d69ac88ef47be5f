"""Lobes: what a signal does between two zero crossings, and how full those at the top are.

The lobes of speech are as round at the top of its range as below, however loud it is and whatever a
limiter, which turns whole lobes down, has done. Only a clipper, hard or soft, fills those that
reach its level: also after a codec, a resampler or noise, which leave no two samples alike.
"""

from dataclasses import dataclass

import numpy as np

NARROWEST, WIDEST = 0.0002, 0.0015  # s at half the height; a fast limiter bends wider ones
TOP, BELOW = (0.9, 1.1), (0.55, 0.8)  # heights that are compared, beside the level
USUAL_CREST_DB, PER_DB = 10.5, 0.003  # full lobes say less, the less compressed the speech is
TOWER_DB, PER_TOWER_DB = 3.0, 0.02  # nor may anything pass a clipper's level by more
FEWEST = 4


@dataclass(frozen=True)
class Lobes:
    """Lobes of a signal.

    Attributes:
        heights: of the highest sample of each.
        widths: in samples that reach half of it.
        fullness: mean of those, in units of the height; 0.83 of a sine's, 1 of a square's.

    Shape: `[lobes]` each.
    """

    heights: np.ndarray
    widths: np.ndarray
    fullness: np.ndarray

    @classmethod
    def of(cls, wave: np.ndarray) -> "Lobes":
        """The lobes of a signal. Shape: `[n]`, n ≥ 1."""
        magnitude = np.abs(wave)
        starts = np.concatenate([[0], np.flatnonzero(np.diff(np.signbit(wave))) + 1])
        heights = np.maximum.reduceat(magnitude, starts)
        lengths = np.diff(np.append(starts, len(wave)))
        upper = magnitude >= 0.5 * np.repeat(heights, lengths)
        widths = np.add.reduceat(upper.astype(int), starts)
        sums = np.add.reduceat(np.where(upper, magnitude, 0), starts, dtype=np.float64)
        return cls(heights, widths, sums / np.maximum(widths * heights, 1e-12))


def top_fullness(wave: np.ndarray, lobes: Lobes, sample_rate: int) -> tuple[float, float]:
    """The level that 0.5 % of the lobes exceed, and how much fuller they are there than below it.

    Lobes weigh by their widths. The difference is that of the mean fullness at 0.9…1.1 and at
    0.55…0.8 of the level, less 0.003 for every dB by which the level that 0.1 % exceed lies more
    than 10.5 dB over the RMS: of speech whose peaks tower nothing can have been cut off much. And
    less 0.02 for every dB by which the highest lobe, clicks apart, passes the level by more than
    3 dB, which is twice what a codec or a low-pass makes of what was cut off.

    Shape: wave `[n]`, and its lobes. (0, −∞) where there are too few.
    """
    kept = ((lobes.widths >= NARROWEST * sample_rate) & (lobes.widths <= WIDEST * sample_rate))
    heights, widths, fullness = lobes.heights[kept], lobes.widths[kept], lobes.fullness[kept]
    if len(heights) < FEWEST:
        return 0.0, -np.inf
    order = np.argsort(heights)
    share = widths[order].cumsum() / widths.sum()
    level, highest = heights[order][np.searchsorted(share, [0.995, 0.999])]
    if not level > 1e-5:
        return 0.0, -np.inf
    means = []
    for low, high in (TOP, BELOW):
        inside = (heights > low * level) & (heights <= high * level)
        if np.count_nonzero(inside) < FEWEST:
            return 0.0, -np.inf
        means.append(np.average(fullness[inside], weights=widths[inside]))
    crest = 10 * np.log10(highest**2 / np.mean(np.square(wave, dtype=np.float64)))
    lasting = lobes.heights[lobes.widths >= NARROWEST * sample_rate]
    tower = max(0.0, 20 * np.log10(lasting.max() / level) - TOWER_DB)
    return float(level), float(means[0] - means[1] - PER_DB * (crest - USUAL_CREST_DB)
                               - PER_TOWER_DB * tower)
