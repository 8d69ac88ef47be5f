"""One recording, or what became of it, as a page: marks, pictures and a player on one time axis."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import ascii_uppercase
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..audio import fit
from ..restore.damage import Damage, channel_name
from .marks import lines, spans, words, worst
from .sound import Sounds, Track, embed, heard

LONGEST = 60.0  # seconds of a recording that a page holds
SHORTEST = 1.0  # seconds; less is never cut
LARGEST = 10_000_000  # bytes of sound in a page
SCRIPTS = ("common.js", "player.js", "pictures.js", "viewer.js")
BAND_SECONDS = 0.005  # of a frame of the uncertainty, to whole samples

Found = Sequence[Damage] | Mapping[str, Damage]


@dataclass(frozen=True)
class Excerpt:
    """Of what recording tracks are a piece.

    Attributes:
        start: where in it they begin, in seconds.
        total: how long it is, in seconds.
    """

    start: float
    total: float


@cache
def templates() -> Environment:
    """The room's templates, in which whatever comes from outside is escaped."""
    made = Environment(loader=PackageLoader("voxmend.report", ""), autoescape=True,
                       undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["clock"] = lambda seconds: f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
    return made


def asset(name: str) -> Markup:
    """A file of the room that stands in pages as it is."""
    return Markup(resources.files(__package__).joinpath(name).read_text(encoding="utf-8"))


def fingerprint(text: str) -> str:
    """What a Content-Security-Policy calls a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page(title: str, tracks: Sequence[Track], found: Found, facts: Mapping[str, str] | None = None,
         uncertainty: np.ndarray | None = None, excerpt: Excerpt | None = None) -> str:
    """A whole HTML document, which needs nothing beside itself.

    One track is shown with what was found in it; two are before and after, with their difference;
    of more each has a player. A page holds a minute at most, that with most gaps and clipping, or
    less of what is too large; it says so.

    Args:
        title: of the page; escaped, as all texts are.
        tracks: the recording, and what was made of it.
        found: the damage of each channel of the recording, or of channels by their names.
        facts: names and values that the page lists.
        uncertainty: standard deviation of the last track, at its rate.
        excerpt: the recording that the tracks are cut from; by default they are whole.

    Shape: uncertainty `[C, T]`.

    Raises: ValueError for no tracks.
    """
    if not tracks:
        raise ValueError("a page needs a track at least")
    names = found if isinstance(found, Mapping) else {
        channel_name(channel, len(found)): damage for channel, damage in enumerate(found)}
    pieces, sounds, start = _fitting(tracks, [*names.values()] if excerpt is None else [])
    seconds = max(piece.seconds for piece in pieces)
    excerpt = excerpt or Excerpt(0.0, max(track.seconds for track in tracks))
    if uncertainty is not None:
        last = Track("uncertainty", uncertainty, tracks[-1].sample_rate)
        uncertainty = cut(last, start, seconds).wave
    begin = excerpt.start + start
    script = Markup("\n").join(map(asset, SCRIPTS))
    return templates().get_template("page.html").render(
        title=title, facts=facts or {}, found={name: words(x) for name, x in names.items()},
        tracks=[*zip(ascii_uppercase, pieces, sounds.urls, strict=False)],
        channels=max(len(piece.wave) for piece in pieces), begin=begin, seconds=seconds,
        total=excerpt.total, script=script, style=asset("viewer.css"), hash=fingerprint(script),
        data=_data(pieces, sounds, names, begin, uncertainty))


def _fitting(tracks: Sequence[Track],
             damages: Sequence[Damage]) -> tuple[list[Track], Sounds, float]:
    """Tracks, or the stretch of them that a page can hold, as sound, and where that begins."""
    total = max(track.seconds for track in tracks)
    seconds = min(total, LONGEST)
    while True:
        start = worst(damages, total, seconds)
        pieces = [cut(track, start, seconds) for track in tracks]
        sounds = embed(pieces)
        size = sum(map(len, sounds.files))
        if size <= LARGEST or seconds <= SHORTEST:
            return pieces, sounds, start
        seconds *= 0.95 * LARGEST / size


def cut(track: Track, start: float, seconds: float) -> Track:
    """So many seconds of a track, or what there is of them, a sample at least."""
    first = round(start * track.sample_rate)
    wave = track.wave[:, first:first + round(seconds * track.sample_rate)]
    return Track(track.name, fit(wave, max(wave.shape[1], 1)), track.sample_rate)


def _data(tracks: Sequence[Track], sounds: Sounds, found: Mapping[str, Damage], begin: float,
          uncertainty: np.ndarray | None) -> dict[str, Any]:
    """What the script needs to know beside the sound."""
    first = tracks[0]
    wave = heard(first.wave)
    channels = [{"name": name, **lines(damage, begin),
                 "spans": spans(damage, samples, first.sample_rate, begin)}
                for (name, damage), samples in zip(found.items(), wave, strict=False)]
    band = None if uncertainty is None else _band(uncertainty, tracks[-1].sample_rate)
    return {"rate": sounds.rate, "scale": sounds.scale, "gains": sounds.gains,
            "plain": sounds.plain, "begin": begin, "names": [track.name for track in tracks],
            "channels": channels or [{"name": "1", **lines(Damage()), "spans": []}], "band": band}


def _band(uncertainty: np.ndarray, rate: int) -> dict[str, Any]:
    """Its root mean square over frames, of each channel, and how many seconds a frame has.

    Shape: `[C, T]`.
    """
    size = max(1, round(BAND_SECONDS * rate))
    edges = np.arange(0, uncertainty.shape[1], size)
    power = np.add.reduceat(np.square(heard(uncertainty), dtype=np.float64), edges, axis=1)
    sizes = np.diff(np.append(edges, uncertainty.shape[1]))
    return {"seconds": size / rate, "values": [
        [float(f"{value:.3g}") for value in row] for row in np.sqrt(power / sizes)]}
