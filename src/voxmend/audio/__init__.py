"""Recordings: files in and out, segments of long ones, and pairs that belong together."""

from .arrays import ArrayReader, fit, resample
from .errors import MOST_CHANNELS, AudioError
from .files import load, save
from .formats import SUFFIXES, writable
from .mixdown import mixdown
from .paths import atomic_path, check_free
from .reading import Reader, Recording
from .writing import Writer

__all__ = ["MOST_CHANNELS", "SUFFIXES", "ArrayReader", "AudioError", "Reader", "Recording",
           "Writer", "atomic_path", "check_free", "fit", "load", "mixdown", "resample", "save",
           "writable"]
