"""noisereduce (Sainburg 2019): a gate in every band, with its default, the non-stationary one."""

from importlib import import_module

from . import Enhance, Rival


def load() -> Enhance:
    """The gate."""
    reduce_noise = import_module("noisereduce").reduce_noise
    return lambda wave: reduce_noise(y=wave, sr=RIVAL.sample_rate)


RIVAL = Rival("noisereduce", "noisereduce", "MIT", 16000, load)
