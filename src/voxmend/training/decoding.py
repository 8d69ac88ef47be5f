"""Recordings as they are decoded: mono int16 at one rate, every file read once for all its parts.

`audio.Reader.span` reads most compressed files from the beginning, wherever a part is, which for
all parts of a long one takes a time that grows with the square of its length.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .. import audio
from .manifest import Recording

FULL_SCALE = 2**15  # of int16, as files have it


class Samples(NamedTuple):
    """A decoded recording in int16, and its RMS in −1…1."""

    wave: np.ndarray
    rms: np.float32


def to_int16(wave: np.ndarray) -> np.ndarray:
    """Samples in −1…1 as int16, rounded; those of a 16-bit file are its own."""
    return np.rint(wave * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_int16(samples: np.ndarray) -> np.ndarray:
    """What `to_int16` stands for, float32 in −1…1."""
    return samples.astype(np.float32) / FULL_SCALE


class Forwards:
    """A file that is read once, for parts of it in the order of their beginnings."""

    def __init__(self, reader: audio.Reader):
        self._blocks, self._done = reader.blocks(), 0
        self._held = deque[tuple[int, np.ndarray]]()  # where blocks begin, and the blocks
        self._fault: audio.AudioError | None = None

    def span(self, start: int, stop: int) -> np.ndarray:
        """As `audio.Reader.span`."""
        while self._held and self._held[0][0] + self._held[0][1].shape[1] <= start:
            self._held.popleft()
        while self._done < stop:
            block = self._next()
            if self._done + block.shape[1] > start:
                self._held.append((self._done, block))
            self._done += block.shape[1]
        return np.concatenate([block[:, max(0, start - begin):max(0, stop - begin)]
                               for begin, block in self._held], axis=1)

    def _next(self) -> np.ndarray:
        if self._fault:
            raise self._fault
        try:
            return next(self._blocks)
        except audio.AudioError as fault:
            self._fault = fault  # since a generator that has raised is at its end
            raise


def _span(recording: Recording, seconds: float, reader: audio.Reader) -> tuple[int, int]:
    """The samples of a part of a file; raises AudioError where it has none of them."""
    rate, end = reader.sample_rate, recording.start + seconds
    start, stop = round(recording.start * rate), round(end * rate)
    if stop > reader.frames + rate // 100 or start >= min(stop, reader.frames):
        raise audio.AudioError(f"{recording.path}: has {reader.frames / rate:.2f} s, and a manifest"
                               f" asks for {recording.start:g} to {end:g} s")
    return start, min(stop, reader.frames)


def _mono(recording: Recording, wave: np.ndarray, sample_rate: int) -> Samples:
    """The channel that is meant, or the mean; raises AudioError for none, and for no sample."""
    if recording.channel is not None and recording.channel >= len(wave):
        raise audio.AudioError(f"{recording.path}: has {len(wave)} channels, and a manifest asks "
                               f"for channel {recording.channel}")
    if not wave.shape[1]:
        raise audio.AudioError(f"{recording.path}: too short for a sample at {sample_rate} Hz: "
                               "take it out")
    mono = wave.mean(0) if recording.channel is None else wave[recording.channel]
    return Samples(to_int16(mono), np.sqrt(np.mean(mono**2) + 1e-12))


def decode(recordings: Sequence[Recording], sample_rate: int
           ) -> Iterator[Samples | audio.AudioError]:
    """What recordings of one file are, or what is wrong with each.

    Args:
        recordings: parts of the file, in the order of their beginnings, or the whole.
        sample_rate: Hz.
    """
    reader: audio.Reader | None = None
    file: audio.Reader | Forwards
    for some in recordings:
        try:
            if some.seconds is None:
                wave = audio.load(some.path, sample_rate)
            else:
                if reader is None:
                    reader = audio.Reader(some.path)
                    file = Forwards(reader) if len(recordings) > 1 else reader
                part = file.span(*_span(some, some.seconds, reader))
                wave = audio.resample(part, reader.sample_rate, sample_rate)
            yield _mono(some, wave, sample_rate)
        except audio.AudioError as fault:
            yield fault
