"""Networks: one architecture, one file, whose class is decorated with `@register`."""

import os
import sys
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from torch import nn

Presets = dict[str, dict[str, Any]]  # arguments of a network by what its size is called
_registered: dict[str, type[nn.Module]] = {}


class NetworkError(ValueError):
    """A network that cannot be found by the name that a card or a recipe gives it."""


def register(network: type[nn.Module]) -> type[nn.Module]:
    """Makes a class known by its name; raises NetworkError if another one has it."""
    known = _registered.setdefault(network.__name__, network)
    if known.__module__ != network.__module__:
        raise NetworkError(f"{known.__module__} and {network.__module__} both have a network "
                           f"{network.__name__}; rename one")
    _registered[network.__name__] = network  # anew, where a module is reloaded
    return network


def networks() -> dict[str, type[nn.Module]]:
    """The registered networks by the names that cards and recipes use.

    They are those of this folder, of what else is imported, and of the modules that
    `$VOXMEND_NETWORKS` names, separated by commas. `PRESETS` has a class's sizes.
    """
    ours = [f"{__name__}.{module.name}" for module in iter_modules(__path__)]
    theirs = os.environ.get("VOXMEND_NETWORKS", "").split(",")
    for module in ours + [name.strip() for name in theirs if name.strip()]:
        import_module(module)
    return dict(sorted(_registered.items()))


def find_network(name: str, imports: bool = False) -> type[nn.Module]:
    """The network of a registered name, or of `package.module:Class`, somebody else's.

    A card may come from anywhere and must not choose what code runs: the module that it names has
    to be imported already, by the program or since `$VOXMEND_NETWORKS` names it.

    Args:
        imports: import the module, for a recipe, which is the user's own code.

    Raises NetworkError.
    """
    known = networks()
    if name in known:
        return known[name]
    module, _, attribute = name.partition(":")
    if not attribute:
        raise NetworkError(f"unknown network {name!r}; known: {', '.join(known)}")
    if imports:
        try:
            import_module(module)
        except ImportError as error:
            raise NetworkError(f"{name}: {error}") from None
    if module not in sys.modules:
        raise NetworkError(f"{name}: not imported on a card's word; if you trust it, import "
                           f"{module} or set VOXMEND_NETWORKS={module}")
    found = getattr(sys.modules[module], attribute, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise NetworkError(f"{name}: {module} has no such network")
    return found
