"""Recognisers of English speech, whose words judge what became of a recording."""

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._common import extra, mono_16k, paired

VARIABLE = "VOXMEND_RECOGNISER"
DEFAULT = "pocketsphinx"
FULL_SCALE = 32767
SHORTEST = 1600  # samples at 16 kHz, 0.1 s, in which words can be heard


@dataclass(frozen=True)
class Recogniser:
    """What hears words: `hear(wave)` takes a float signal `[T]` at 16 kHz."""

    name: str
    hear: Callable[[np.ndarray], str]


def words(text: str) -> list[str]:
    """Words as errors are counted in: lower case, without punctuation; figures stay figures.

    >>> words("Don't stop — it's 5 o'clock!")
    ["don't", 'stop', "it's", '5', "o'clock"]
    """
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)*", text.lower().replace("\u2019", "'"))


def _by_pocketsphinx() -> Callable[[np.ndarray], str]:
    decoder = extra("pocketsphinx", "judges").Decoder(samprate=16000, loglevel="FATAL")

    def hear(wave: np.ndarray) -> str:
        samples = np.round(np.clip(wave, -1, 1) * FULL_SCALE).astype("<i2")
        decoder.start_utt()
        decoder.process_raw(samples.tobytes(), full_utt=True)
        decoder.end_utt()
        return decoder.hyp().hypstr if decoder.hyp() else ""

    return hear


def _by_whisper(model: str) -> Callable[[np.ndarray], str]:
    network: Any = extra("faster_whisper", "judges").WhisperModel(
        model, device="cpu", compute_type="int8", cpu_threads=1)

    def hear(wave: np.ndarray) -> str:
        pieces, _ = network.transcribe(wave.astype(np.float32), language="en", beam_size=1,
                                       temperature=0.0, condition_on_previous_text=False)
        return " ".join(piece.text for piece in pieces)

    return hear


_heard: dict[tuple[str, bytes], list[str]] = {}  # by name and SHA-256 of the samples


@lru_cache
def load(name: str) -> Recogniser:
    """A recogniser by name: "pocketsphinx", whose package ships its model, or a Whisper.

    A Whisper is a folder as faster-whisper has them, or a name, such as base.en, that it fetches by
    itself; it hears far better.

    Raises ImportError where the package is missing.
    """
    if name == DEFAULT:
        return Recogniser(name, _by_pocketsphinx())
    return Recogniser(f"Whisper {Path(name).name}", _by_whisper(name))


def chosen() -> Recogniser:
    """That of `$VOXMEND_RECOGNISER`, by default pocketsphinx; raises ImportError as `load`."""
    return load(os.environ.get(VARIABLE) or DEFAULT)


def hear(wave: ArrayLike, sample_rate: int) -> list[str]:
    """The words of a signal; what was heard once is remembered.

    Shape: `[T]`. Raises ValueError for a signal that is not finite, not 1-D or shorter than 0.1 s,
    ImportError without a recogniser.
    """
    samples = mono_16k(wave, sample_rate, SHORTEST).astype(np.float32)
    name = os.environ.get(VARIABLE) or DEFAULT
    known = name, hashlib.sha256(samples.tobytes()).digest()
    if known not in _heard:
        _heard[known] = words(load(name).hear(samples))
    return _heard[known]


def hear_both(estimate: ArrayLike, reference: ArrayLike,
              sample_rate: int) -> tuple[list[str], list[str]]:
    """The words of two signals; raises as `hear`, and ValueError if their lengths differ."""
    found, wanted = (hear(wave, sample_rate) for wave in paired(estimate, reference))
    return found, wanted
