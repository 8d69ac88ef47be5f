"""Mends damaged speech with one diffusion prior. Public names are loaded when first used."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cluster as cluster
    from . import operators as operators
    from . import restore as restore
    from .diffusion import guidance as guidance
    from .diffusion import samplers as samplers
    from .diffusion import schedules as schedules
    from .diffusion.denoiser import Denoiser as Denoiser
    from .models.hub import load_prior as load_prior
    from .models.publish import push_to_hub as push_to_hub
    from .restore.analysis import analyse as analyse
    from .restore.damage import Damage as Damage
    from .restore.restorer import Restorer as Restorer
    from .restore.tasks import TASKS as TASKS
    from .restore.tasks import Task as Task
    from .systems import undiff as undiff
    from .systems.conversation import separate as separate
    from .systems.enhance import dereverb as dereverb
    from .systems.enhance import enhance as enhance

__version__ = version("voxmend")

_HOMES = {"Restorer": "restore.restorer", "Task": "restore.tasks", "TASKS": "restore.tasks",
          "Damage": "restore.damage", "analyse": "restore.analysis",
          "Denoiser": "diffusion.denoiser", "load_prior": "models.hub",
          "push_to_hub": "models.publish", "enhance": "systems.enhance",
          "dereverb": "systems.enhance", "separate": "systems.conversation"}
_MODULES = {"cluster": "cluster", "guidance": "diffusion.guidance", "operators": "operators",
            "restore": "restore", "samplers": "diffusion.samplers",
            "schedules": "diffusion.schedules", "undiff": "systems.undiff"}
__all__ = [*_HOMES, *_MODULES, "__version__"]  # noqa: PLE0604, whose keys are names


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{_MODULES[name]}", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module 'voxmend' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
