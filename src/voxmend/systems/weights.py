"""The weights that separators and enhancers are made of: which a task takes, what loads them."""

from pathlib import Path

from ..diffusion.told import Listener, ToldDenoiser
from ..models import hub
from . import conv_tasnet, frame_separator, segan

# The weights that a task's method takes by default, which are called like their recipe.
WEIGHTS = {("separate", "frame-separator"): "frame_separator",
           ("separate", "diffsep"): "diffsep", ("separate", "conv-tasnet"): "conv_tasnet",
           ("enhance", "voxmend"): "enhancer16k", ("enhance", "diffsep"): "diffsep_enhancement",
           ("enhance", "segan"): "segan", ("dereverb", "voxmend"): "enhancer16k"}
RECIPES = {"frame-separator": "separation", "voxmend": "enhancement", "diffsep": "diffsep",
           "conv-tasnet": "diffsep", "segan": "diffiner"}  # folders


def load_listener(path: Path, device: str = "cpu") -> Listener:
    """A prior that listens, as an enhancer; raises `hub.PriorError`, a ValueError."""
    prior = hub.load_prior(str(path), device)
    if not isinstance(prior, ToldDenoiser):
        raise hub.PriorError(f"{path}: a prior that does not listen to recordings; train one with "
                             "recipes/enhancement/enhancer16k.py")
    return Listener(prior)


# What loads the networks that are called as they are, without a sampler.
DIRECT = {"frame-separator": frame_separator.load_separator, "voxmend": load_listener,
          "conv-tasnet": conv_tasnet.load_separator, "segan": segan.load_enhancer}


def count_sources(card: dict) -> int:
    """How many sources weights give, as their card says."""
    return int(card.get("sources", card.get("process", {}).get("sources", 2)))


def find_weights(task: str, method: str, name_or_path: str | Path | None = None) -> Path:
    """The weights of a bundled name, a path or `hf://OWNER/NAME`, by default a method's own.

    Raises `hub.PriorError`, which says how to get some, or as `models.remote.fetch`.
    """
    default = WEIGHTS[task, method]
    try:
        return hub.find_prior(str(name_or_path or default))
    except hub.PriorError:
        release = "" if method in DIRECT else (
            f" or fetch a checkpoint for `voxmend import {default.replace('_', '-')}`")
        ours = f"leave --weights out for {default}, or " if name_or_path else ""
        raise hub.PriorError(
            f"{name_or_path or default}: no such weights; {ours}train some by "
            f"recipes/{RECIPES[method]}/{default}.py{release}, and give the .safetensors "
            "as --weights") from None
