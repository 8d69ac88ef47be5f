"""Files as a page: a recording and what was made of it, each read as far as a page holds it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import audio
from ..models import remote
from ..restore.damage import Damage
from . import pages
from .marks import worst
from .sound import Track

# What a sidecar tells that a listener may want to know.
FACTS = {"verb": "Verb", "method": "Method", "prior": "Prior", "weights": "Weights",
         "sampler": "Sampler", "steps": "Steps", "draws": "Draws", "seed": "Seed",
         "voices_heard": "Voices heard", "precision": "Precision", "seconds": "Seconds of work",
         "version": "voxmend"}


def page_of_files(title: str, files: Sequence[tuple[str, audio.Reader]], found: Sequence[Damage],
                  facts: Mapping[str, str] | None = None,
                  uncertainty: audio.Reader | None = None) -> str:
    """A page of a recording and what was made of it, of a minute at most.

    Args:
        title, facts: as of `pages.page`.
        files: their names on the page; the first is the recording.
        found: the damage of each of its channels.
        uncertainty: of the last file, where several draws were made.
    """
    total = max(reader.frames / reader.sample_rate for _, reader in files)
    start = worst(found, total, pages.LONGEST)
    tracks = [Track(name, stretch(reader, start), reader.sample_rate) for name, reader in files]
    band = stretch(uncertainty, start) if uncertainty else None
    return pages.page(title, tracks, found, facts, band, pages.Excerpt(start, total))


def stretch(reader: audio.Reader, start: float) -> np.ndarray:
    """As much of a recording as a page holds, from `start` seconds on. Shape: `[C, T]`, T ≥ 1."""
    first = round(start * reader.sample_rate)
    last, kept, done = first + round(pages.LONGEST * reader.sample_rate), [], 0
    for block in reader.blocks():
        kept.append(block[:, max(first - done, 0):max(last - done, 0)])
        done += block.shape[1]
        if done >= last:
            break
    wave = np.concatenate(kept, axis=1)
    return audio.fit(wave, max(wave.shape[1], 1))  # a shorter one may have ended before


def facts(told: Mapping[str, Any]) -> dict[str, str]:
    """What the sidecar of an output tells a listener, but for paths, which are nobody's business.

    >>> facts({"verb": "mend", "prior": "hf://owner/name@0a1b", "options": {"weights": "/home/a"}})
    {'Verb': 'mend', 'Prior': 'hf://owner/name@0a1b'}
    """
    known = {**told.get("options", {}), **told}
    return {title: str(known[key]) for key, title in FACTS.items()
            if isinstance(known.get(key), str | int | float)
            and ("/" not in str(known[key]) or str(known[key]).startswith(remote.SCHEME))}
