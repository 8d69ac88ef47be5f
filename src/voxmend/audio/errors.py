"""What is wrong with a recording, in one line: which file, what, and what to do about it."""

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from soundfile import SoundFileError

LOWEST_RATE, HIGHEST_RATE = 4000, 384_000  # Hz; below there is no second formant
MOST_CHANNELS = 16
HIGHEST = 1e15  # of a sample; squares of much higher ones overflow
AGAIN = ("fetch or export it again, or read what is there with --salvage of a verb that restores "
         "or reports")


class AudioError(ValueError):
    """A file that cannot be read or written; says which, why, and what to do in one line."""


class UnreadableError(AudioError):
    """No decoder takes the file."""


def is_number(value: Any) -> bool:
    """Whether it is one real number, of whatever library."""
    try:
        return not isinstance(value, str | bytes) and np.ndim(value) == 0 and float(value) <= np.inf
    except (TypeError, ValueError, OverflowError):
        return False


def check_whole(least: int, **numbers: Any) -> None:
    """Raises ValueError for a number that is not whole, or lower; None is one that is not given."""
    for name, number in numbers.items():
        if number is not None and not (isinstance(number, int | np.integer) and number >= least):
            raise ValueError(f"{name}={number!r}: give a whole number from {least} on")


def check_layout(name: str | Path, sample_rate: Any, channels: int) -> None:
    """Raises AudioError for a sample rate (Hz) or a number of channels that is not handled."""
    if not (is_number(sample_rate) and math.isfinite(sample_rate)
            and sample_rate == int(sample_rate)):
        raise AudioError(f"{name}: {sample_rate!r} Hz: give a whole number")
    if sample_rate < LOWEST_RATE:
        raise AudioError(f"{name}: {sample_rate} Hz is no speech rate: resample it to 8000 Hz "
                         "or more")
    if sample_rate > HIGHEST_RATE:
        raise AudioError(f"{name}: {sample_rate} Hz is above {HIGHEST_RATE} Hz: resample it to "
                         "48000 Hz")
    if not 1 <= channels <= MOST_CHANNELS:
        raise AudioError(f"{name}: {channels} channels, at most {MOST_CHANNELS} are handled: "
                         "split it into several files")


def check_type(wave: np.ndarray) -> None:
    """Raises AudioError for an array of anything but floats."""
    if not np.issubdtype(wave.dtype, np.floating):
        raise AudioError(f"array of {wave.dtype}: convert it to float in −1…1")


def check_finite(name: str | Path, block: np.ndarray, start: int, sample_rate: int) -> None:
    """Raises AudioError for NaN, infinity, or what no recording reaches, with its time.

    Shape: `[C, n]`, whose first sample is the recording's sample `start`.
    """
    sound = (np.abs(block) <= HIGHEST).all(0)
    if not sound.all():
        at = int(sound.argmin())
        finite = np.isfinite(block[:, at]).all()
        what = f"samples above {HIGHEST:g}" if finite else "NaN or infinity"
        raise AudioError(f"{name}: {what} at {(start + at) / sample_rate:.2f}"
                         " s: export the audio again, or cut that part out")


def reason(error: Exception) -> str:
    """What a library or the system says of a failure."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    return str(text).strip().rstrip(".")


def unreadable(path: Path, why: str) -> UnreadableError:
    """For a file that no decoder takes."""
    return UnreadableError(f"{path}: damaged, or not audio this program reads ({why}): fetch it "
                           "again, or export it as wav or flac")


def broken_off(path: Path, there: str) -> AudioError:
    """For a file that ends before it should, and how much is there."""
    return AudioError(f"{path}: breaks off after {there}: {AGAIN}")


def check_alike(path: Path, sample_rate: int, channels: int, first: tuple[int, int]) -> None:
    """Raises AudioError for a part of a file that is not of the first part's rate and channels."""
    if (sample_rate, channels) != first:
        raise AudioError(f"{path}: holds several recordings, of {first[0]} and {sample_rate} Hz, "
                         f"{first[1]} and {channels} channels: split it")


def damaged(path: Path, seconds: float, error: Exception) -> AudioError:
    """For a file that a decoder gives up on, and about when."""
    return AudioError(f"{path}: damaged at about {seconds:.2f} s ({reason(error)}): {AGAIN}")


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Raises decoder failures as AudioError (TypeError: soundfile's for a headerless .raw)."""
    try:
        yield
    except AudioError:
        raise
    except (SoundFileError, OSError, TypeError, ValueError, av.error.FFmpegError) as error:
        raise unreadable(path, reason(error)) from error


@contextmanager
def encoding(path: Path) -> Iterator[None]:
    """Raises encoder and file system failures as AudioError."""
    try:
        yield
    except (SoundFileError, OSError, struct.error, av.error.FFmpegError) as error:
        raise AudioError(f"{path}: cannot be written ({reason(error)}): check that its folder "
                         "exists, is writable and has space left") from error
