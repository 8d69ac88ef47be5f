"""Recordings: files in and out, segments of long ones, and pairs that belong together."""

from .files import (
    MOST_CHANNELS,
    ArrayReader,
    AudioError,
    Reader,
    Recording,
    Writer,
    atomic_path,
    check_free,
    fit,
    load,
    resample,
    save,
)
from .mixdown import mixdown

__all__ = ["MOST_CHANNELS", "ArrayReader", "AudioError", "Reader", "Recording", "Writer",
           "atomic_path", "check_free", "fit", "load", "mixdown", "resample", "save"]
