"""Sound inside a page: lossless, all tracks at one rate and one scale, each with its gain."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soundfile

from ..audio import AudioError, fit, resample
from ..audio.loudness import loudness

LOWEST_RATE, HIGHEST_RATE = 8000, 48000  # Hz, that every browser decodes
LOUDEST = -18.0  # LUFS that no track is played above (AES TD1008, speech)
PEAK = 0.99  # of the highest sample of all


@dataclass(frozen=True)
class Track:
    """A recording that a page shows and plays.

    Attributes:
        name: of it, as a person reads it.
        wave: samples.
        sample_rate: Hz.

    Shape: wave `[C, T]`, float.

    Raises: AudioError for another shape, for no samples, and for NaN or infinity.
    """

    name: str
    wave: np.ndarray
    sample_rate: int

    def __post_init__(self) -> None:
        if np.ndim(self.wave) != 2 or not np.size(self.wave):
            raise AudioError(f"{self.name}: of shape {np.shape(self.wave)}: give it as [channels, "
                             "samples]")
        if not np.isfinite(self.wave).all():
            raise AudioError(f"{self.name}: holds NaN or infinity: export it again")

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.wave.shape[1] / self.sample_rate


@dataclass(frozen=True)
class Sounds:
    """Tracks as a page holds them.

    Attributes:
        files: FLAC of 16 bits, of each.
        rate: Hz of all.
        scale: factor from the recordings' units to the files'.
        gains: at which each file is as loud as the others and no peak passes 1.
    """

    files: tuple[bytes, ...]
    rate: int
    scale: float
    gains: tuple[float, ...]

    @property
    def plain(self) -> float:
        """The gain at which files are as loud as recorded, or less if peaks would pass 1."""
        return min(1.0, 1 / self.scale)

    @property
    def urls(self) -> list[str]:
        """The files as `data:` URLs."""
        return ["data:audio/flac;base64," + base64.b64encode(file).decode() for file in self.files]


def heard(wave: np.ndarray) -> np.ndarray:
    """The channels that a page holds: at most two, which every loudspeaker has. `[C, T]`."""
    return np.asarray(wave[:2], np.float32)


def embed(tracks: Sequence[Track]) -> Sounds:
    """Tracks as files at one rate, of one length, scaled as one so that 16 bits are enough."""
    rate = min(max(LOWEST_RATE, *(track.sample_rate for track in tracks)), HIGHEST_RATE)
    waves = [resample(heard(track.wave), track.sample_rate, rate) for track in tracks]
    length = max(wave.shape[1] for wave in waves)
    scale = PEAK / max(*(float(np.abs(wave).max()) for wave in waves), 1e-9)
    waves = [fit(scale * wave, length) for wave in waves]
    return Sounds(tuple(flac(wave, rate) for wave in waves), rate, scale,
                  equal_gains(waves, rate))


def equal_gains(waves: Sequence[np.ndarray], sample_rate: int) -> tuple[float, ...]:
    """The factors that make signals equally loud: −18 LUFS, or less where a peak would pass 1.

    Silence keeps its level.

    Shape: waves `[C, T]`, C = 1 or 2.
    """
    levels = [loudness(wave, sample_rate) for wave in waves]
    peaks = [float(np.abs(wave).max()) for wave in waves]
    room = [level - 20 * math.log10(peak) for level, peak in zip(levels, peaks, strict=True)
            if level > -math.inf]
    target = min([LOUDEST, *room])
    return tuple(10 ** ((target - level) / 20) if level > -math.inf else 1.0 for level in levels)


def flac(wave: np.ndarray, sample_rate: int) -> bytes:
    """A FLAC file of 16 bits a sample. Shape: `[C, T]`, −1…1."""
    file = io.BytesIO()
    soundfile.write(file, wave.T, sample_rate, subtype="PCM_16", format="FLAC",
                    compression_level=0.8)
    return file.getvalue()
