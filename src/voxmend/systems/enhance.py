"""Enhancers by name or of one's own, refined and bounded: `enhance` and `dereverb`.

    recording ─ enhancer ─ [refiner] ─ x̂ = λx + (1 − λ)ŝ, λ = 10^(−L/20) ─ speech

L bounds in dB how much is taken away at any time and frequency, as DeepFilterNet's own limit does.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .. import audio
from ..audio.errors import check_type
from ..audio.pair import Pair
from . import separator
from .deepfilternet import NAME, DeepFilterNet, load_deepfilternet
from .diffiner import Refiner

Enhancer = separator.Separator | DeepFilterNet
Enhance = Callable[[np.ndarray, int], np.ndarray]  # of a channel [T] at a rate in Hz, to the same

OF_REFINER = {"seed", "device", "precision"}  # options that it shares with what enhances
# How much of a refiner's change suits what an enhancer makes; the others need all of it.
WEIGHTS = {NAME: 0.2}


def load(method: str, **options: Any) -> Enhancer:
    """The enhancer of a name: "deepfilternet", which comes as it is, or one of `separator.load`.

    Raises ValueError as `separator.load` does, ImportError where a package is missing.
    """
    separator.check_method("enhance", method, [*separator.methods("enhance"), NAME])
    if method == NAME:
        return load_deepfilternet(**options)
    return separator.load("enhance", method, **options)


def load_refiner(method: str, **options: Any) -> Refiner:
    """The refiner that suits an enhancer's name, with options of `Refiner`."""
    return Refiner(weight=WEIGHTS.get(method, 1.0), **options)


def limited(blocks: Iterable[np.ndarray], limit: float | None) -> Iterator[np.ndarray]:
    """Speech and the rest, of which at most `limit` dB are taken away: 0 leaves all in the speech.

    Shape: blocks `[2C, n]` to the same.

    Raises ValueError for a limit below 0.
    """
    check_limit(limit)
    kept = 0.0 if limit is None else 10 ** (-limit / 20)

    def mix(block: np.ndarray) -> np.ndarray:
        speech, rest = np.split(block, 2)
        return np.concatenate([speech + np.float32(kept) * rest, np.float32(1 - kept) * rest])

    return map(mix, blocks) if kept else iter(blocks)


def check_limit(limit: Any) -> None:
    """Raises ValueError for a limit that is no number of dB from 0."""
    if limit is not None and not (isinstance(limit, int | float | np.number) and limit >= 0):
        raise ValueError(f"limit {limit!r}: give 0 dB or more")


def by_callable(enhance: Enhance, wave: np.ndarray, sample_rate: int) -> np.ndarray:
    """What a function makes of every channel.

    Shape: `[C, T]` to the same.

    Raises ValueError where it changes the length or makes anything but finite floats.
    """
    speech = np.empty_like(wave)
    for channel, out in zip(wave, speech, strict=True):
        made = np.asarray(enhance(channel.copy(), sample_rate))
        check_type(made)
        made = made.astype(np.float32)
        if made.shape != channel.shape:
            raise ValueError(f"the enhancer made {list(made.shape)} of {list(channel.shape)} "
                             "samples: it must keep the length")
        if not np.isfinite(made).all():
            raise ValueError("the enhancer made NaN or infinity: it must give finite samples")
        out[:] = made
    return speech


def enhance(wave: np.ndarray, sample_rate: int, method: str | Enhance = "voxmend",
            refine: bool = False, limit: float | None = None, **options: Any) -> np.ndarray:
    """Enhances a whole recording in memory.

    Args:
        method: "voxmend", "diffsep", "segan", "deepfilternet", or a function that makes of a
            channel `[T]` and its rate in Hz the enhanced channel.
        refine: whether a `Refiner` follows.
        limit: dB that are taken away at most, see above; None is no limit.
        options: as in `separator.load`, of a method that has a name; `seed`, `device` and
            `precision` are a refiner's, too.

    Shape: `[T]` or `[C, T]` to the same, float32.

    Raises ValueError for a wrong option and for what a function made that is no speech of this
    length, AudioError for a wave that is none.
    """
    check_limit(limit)
    wave = np.asarray(wave)
    reader = audio.ArrayReader(np.atleast_2d(wave), sample_rate)
    noisy = np.atleast_2d(wave).astype(np.float32)
    if callable(method):
        if unknown := options.keys() - OF_REFINER:
            raise ValueError(f"{min(unknown)}: no option of a function that enhances")
        speech = by_callable(method, noisy, sample_rate)
    else:
        theirs = OF_REFINER if refine and method == NAME else ()
        own = {key: value for key, value in options.items() if key not in theirs}
        speech = load(method, **own)(noisy, sample_rate)[0]
    if refine:
        chosen = {key: options[key] for key in OF_REFINER if key in options}
        refiner = load_refiner(method if isinstance(method, str) else "", **chosen)
        pair = Pair(reader, audio.ArrayReader(speech, sample_rate), aligned=True)
        speech = np.concatenate(list(refiner.stream(pair)), axis=1)
    (both,) = limited([np.concatenate([speech, noisy - speech])], limit)
    return both[:len(noisy)].reshape(wave.shape)


def dereverb(wave: np.ndarray, sample_rate: int, **options: Any) -> np.ndarray:
    """The direct path of a whole recording in memory, without the room's echo and noise.

    Args:
        options: as in `separator.load`.

    Shape: `[T]` or `[C, T]` to the same, float32.

    Raises ValueError for a wrong option, AudioError for a wave that is none.
    """
    return separator.load("dereverb", **options)(wave, sample_rate)[0]
