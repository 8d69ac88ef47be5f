"""Mends damaged speech with one diffusion prior. Public names are loaded when first used."""

from importlib import import_module
from importlib.metadata import version

__version__ = version("voxmend")

_HOMES = {"restore": "restorer", "Restorer": "restorer", "Task": "restorer", "TASKS": "restorer",
          "Damage": "damage", "analyse": "damage", "load_prior": "hub", "Denoiser": "denoiser"}
__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'voxmend' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
