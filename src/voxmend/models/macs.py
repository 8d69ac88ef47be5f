"""What a network costs: multiply-accumulates per second of audio."""

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from . import hub

KEEP_SHAPE = {F.batch_norm, F.gelu, F.group_norm, F.layer_norm, F.prelu, F.relu}


class _ShapesOnly(TorchFunctionMode):
    """Skips what needs no counting.

    That is torch.istft, which looks at values and so fails on the meta device, and what is slow
    there: some functions, and drawing weights.
    """

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (),
                           kwargs: dict[str, Any] | None = None) -> Any:
        if function is torch.istft:
            spectrum = args[0]
            return spectrum.real.new_empty(*spectrum.shape[:-2], (kwargs or {})["length"])
        if function in KEEP_SHAPE:
            return args[0]
        if getattr(function, "__module__", None) == "torch.nn.init":
            return None
        return function(*args, **(kwargs or {}))


def macs_per_second(network: nn.Module, sample_rate: int = 16000, seconds: float = 10.0) -> float:
    """Multiply-accumulates of one call per second of audio.

    Nothing is computed, shapes alone pass through. Convolutions and matrix products are counted;
    Fourier transforms, norms, activations and `conv_tasnet.Depthwise`, a sum of shifts, are not.

    Args:
        network: on the meta device, `(x [1, C, T], noise [1])`, or of x alone; C is its `inputs`,
            or else 1. One that takes spectra tells their `shape`.
        seconds: of the signal; a short one costs more per second where the network pads it.
    """
    return macs_per_call(network, round(seconds * sample_rate)) / seconds


def macs_per_call(network: nn.Module, length: int) -> float:
    """Multiply-accumulates of one call on a signal of so many samples."""
    takes = len(signature(network.forward).parameters)
    told: Callable[[int], tuple[int, ...]] | None = getattr(network, "shape", None)
    shape = told(length) if told else (getattr(network, "inputs", 1), length)
    x = torch.empty(1, *shape, device="meta")
    with torch.no_grad(), _ShapesOnly(), FlopCounterMode(display=False) as counter:
        network(*(x, torch.empty(1, device="meta"))[:takes])
    return counter.get_total_flops() / 2


def cost(network: str, config: dict, sample_rate: int = 16000) -> str:
    """Parameters and multiply-accumulates of a network by name, in words."""
    with torch.device("meta"), _ShapesOnly():
        built = hub.build_network(network, config).eval()
    millions = sum(p.numel() for p in built.parameters()) / 1e6
    size: int | None = getattr(built, "embedding_size", None)
    if size is not None:
        mega = macs_per_call(built, size) / 1e6
        return f"{millions:.2f} M parameters, {mega:.3g} MMAC per embedding and call"
    giga = macs_per_second(built, sample_rate) / 1e9
    return f"{millions:.2f} M parameters, {giga:.3g} GMAC per second of audio and call"
