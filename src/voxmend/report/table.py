"""Recordings of a folder in a table, the worst first."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import fsencode
from urllib.parse import quote

from ..restore.damage import Damage
from .pages import asset, templates

CLICK = 0.02  # seconds that a click spoils to the ear, about its window of time
EARLY = 0.05  # seconds within which an echo still belongs to the sound
BAND = 8000.0  # Hz up to which speech is judged


@dataclass(frozen=True)
class Row:
    """A recording in a table.

    Attributes:
        name: of it.
        link: to its page, relative to the table's: a path, which is quoted.
        seconds: how long it is.
        severity: of what was found.
        found: what was found, in words.
        left: what was found in what was made of it; None if nothing was made.
    """

    name: str
    link: str
    seconds: float
    severity: float
    found: Sequence[str]
    left: Sequence[str] | None = None


def severity(damages: Sequence[Damage], seconds: float) -> float:
    """How bad the worst channel is: the sum of what each kind of damage takes of it, 0…1 each.

    Gaps: their share of the time. Clipping of a share p of the samples: √p, the amplitude of the
    distortion beside that of a signal whose amplitudes follow a Laplace distribution. Lost
    bandwidth: its share of the mels up to 8 kHz. Noise: its amplitude beside that of all. Clicks:
    the share of the time that they spoil. Reverberation: 1 − D50 = exp(−0.05 · 13.8/T60), the share
    of its energy that comes later than 50 ms (ISO 3382-1). Hum, whose level is not known, counts
    nothing; silence counts as a gap from end to end.

    Args:
        seconds: how long the recording is.
    """
    return max((sum(min(share, 1.0) for share in _shares(damage, seconds)) for damage in damages),
               default=0.0)


def _shares(damage: Damage, seconds: float) -> Iterator[float]:
    """What each kind of damage takes of a channel, as `severity` has it."""
    yield sum(end - start for start, end in (*damage.gaps, *damage.ends)) / seconds
    yield 0.0 if damage.rms else 1.0
    yield math.sqrt(damage.clipped)
    top = mel(min(damage.cutoff or BAND, damage.dull or BAND, BAND))
    yield 1 - (top - mel(damage.low_cutoff or 0.0)) / mel(BAND)
    yield math.hypot(damage.noise or 0.0, damage.coloured or 0.0) / max(damage.rms, 1e-9)
    yield damage.clicks * CLICK / seconds
    yield math.exp(-EARLY * math.log(1e6) / damage.reverberation) if damage.reverberation else 0.0


def mel(hertz: float) -> float:
    """2595 log₁₀(1 + f/700) (O'Shaughnessy 1987)."""
    return 2595 * math.log10(1 + hertz / 700)


def table(title: str, rows: Sequence[Row], missing: Sequence[str] = ()) -> str:
    """A whole HTML document with a table of recordings, the worst first, each with its link.

    Args:
        missing: what recordings are called of which nothing could be made.
    """
    ordered = sorted(rows, key=lambda row: (-row.severity, -len(row.found), row.name))
    return templates().get_template("table.html").render(
        title=title, style=asset("viewer.css"), rows=ordered, missing=missing,
        quote=lambda link: quote(fsencode(link)),
        most=max((row.severity for row in rows), default=0.0) or 1.0,
        restored=any(row.left is not None for row in rows))
