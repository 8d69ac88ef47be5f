"""Mends damaged speech with one diffusion prior. Public names are loaded when first used."""

from importlib import import_module
from importlib.metadata import version

__version__ = version("voxmend")

_HOMES = {"restore": "restorer", "Restorer": "restorer", "Task": "restorer", "TASKS": "restorer",
          "Damage": "damage", "analyse": "damage", "load_prior": "hub", "Denoiser": "denoiser"}
_MODULES = ("embeddings", "guidance", "operators", "refine", "samplers", "schedules", "separator",
            "speakers", "undiff")
__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str):
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'voxmend' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
