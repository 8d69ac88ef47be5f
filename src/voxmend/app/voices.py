"""A map of voices: those that the bundled model was trained on, and new ones, drawn and steered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ..speakers import embeddings
from ..speakers import voices as speakers
from .commands import Line
from .runs import Command, obey

MAP = Path(__file__).with_name("voices.json")
AXES = ("1", "2")  # of the model, that of x and that of y
SPAN = 3.0  # standard deviations on either side
SIZE = 400  # of the picture, in its own units

Place = tuple[float, float]


@dataclass(frozen=True)
class Drawn:
    """Voices made by a run.

    Attributes:
        places: of each voice, along `AXES`, in standard deviations.
        outputs: the files made, the last ones first.
    """

    places: tuple[Place, ...]
    outputs: tuple[str, ...]

    @property
    def middle(self) -> Place:
        """The mean of all."""
        x, y = zip(*self.places, strict=True)
        return sum(x) / len(x), sum(y) / len(y)


def draw(main: Command, lines: Sequence[Line]) -> Drawn:
    """Runs lines of the command, the last of which writes voices, in the working folder."""
    obey(main, lines)
    files = [line[line.index(option) + 1] for line in reversed(lines) for option in ("-o", "--npy")]
    found, space = embeddings.load(Path(files[0])), speakers.load().space
    x, y = (space.positions(found.vectors, axis).tolist() for axis in AXES)
    return Drawn(tuple(zip(x, y, strict=True)), tuple(files))


def amounts(start: Place, target: Place) -> dict[str, float]:
    """How far to steer along each axis from one place to another."""
    return {axis: round(b - a, 2) for axis, a, b in zip(AXES, start, target, strict=True)
            if abs(b - a) >= 0.005}


def trained() -> list[tuple[float, float, str]]:
    """Places and sexes of the voices that the bundled model was trained on."""
    return [tuple(voice) for voice in json.loads(MAP.read_text(encoding="utf-8"))["voices"]]


def picture(new: Sequence[Place] = (), target: Place | None = None) -> str:
    """The map as SVG: trained voices grey, new ones blue.

    Args:
        target: where a visitor wants the new ones to be.
    """
    marks = [_circle(x, y, "woman" if sex == "F" else "man") for x, y, sex in trained()]
    marks += [_circle(x, y, "new") for x, y in new]
    if target:
        x, y = map(_pixels, target, (1, -1))
        marks.append(f'<path class="target" d="M{x - 9:.1f} {y:.1f}h18M{x:.1f} {y - 9:.1f}v18"/>')
    said = (f"Map of voices along the first two principal axes: {len(trained())} that the model was"
            f" trained on, {len(new)} new ones")
    half = SIZE / 2
    return (f'<svg class="voices" viewBox="0 0 {SIZE} {SIZE}" role="img" '
            f'aria-label="{escape(said)}"><path class="axis" d="M0 {half}H{SIZE}M{half} 0V{SIZE}"/>'
            f'{"".join(marks)}<text x="{SIZE - 4}" y="{half - 6}" text-anchor="end">axis 1</text>'
            f'<text x="{half + 6}" y="14">axis 2</text></svg>')


def place(x: float, y: float) -> Place:
    """The place of a point of the picture, given as shares of its width and height."""
    return (2 * min(max(x, 0.0), 1.0) - 1) * SPAN, (1 - 2 * min(max(y, 0.0), 1.0)) * SPAN


def _pixels(value: float, sign: int = 1) -> float:
    return SIZE / 2 * (1 + sign * min(max(value / SPAN, -1.0), 1.0))


def _circle(x: float, y: float, kind: str) -> str:
    radius = 4.5 if kind == "new" else 3
    return f'<circle class="{kind}" cx="{_pixels(x):.1f}" cy="{_pixels(y, -1):.1f}" r="{radius}"/>'
