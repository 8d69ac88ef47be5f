"""Which numbers networks multiply: bf16, where a processor does so faster, or fp32.

A bf16 number is the upper half of an fp32 one, 8 bits of mantissa: products of matrices take half
the time or less, and their error lies 45 dB or more below a network's output. Weights, norms,
transforms and whatever stands around a network stay in fp32.
"""

import math
import os
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

PRECISIONS = ("auto", "fp32", "bf16")
WORTH = 1.5  # how much faster bf16 must be; units for it bring 2 to 8


def speed_up(device: torch.device, seconds: float = 0.4) -> float:
    """Time of a product of matrices in fp32 over that in bf16, 0.5 GFLOP of usual shapes.

    The shortest of those that fit into so many seconds. Both take turns, and on a CPU the time of
    its own single thread counts, so that other work on the machine changes little.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _speed_up(device, seconds)
    finally:
        torch.set_num_threads(threads)


def _speed_up(device: torch.device, seconds: float) -> float:
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    pairs = [[torch.ones(shape, device=device, dtype=kind) for shape in ((512, 384), (384, 1152))]
             for kind in (torch.float32, torch.bfloat16)]
    best, begun, rounds = [math.inf, math.inf], time.perf_counter(), 0
    while rounds < 10 or time.perf_counter() - begun < seconds:
        for number, (x, matrix) in enumerate(pairs):
            start = clock()
            (x @ matrix)[0, 0].item()  # which waits for the device
            if rounds:  # the first prepares
                best[number] = min(best[number], clock() - start)
        rounds += 1
    return best[0] / best[1]


found: dict[str, bool] = {}  # what `pays_bf16` measured, by kind of device
told: dict[str, bool] = {}  # the same of another process, whose samples are to be the same


@cache
def pays_bf16(kind: str) -> bool:
    """Whether a kind of device, "cpu" or "cuda", is worth it: by what it has, and a measurement.

    Takes half a second, once in a process.
    """
    if kind in told:
        return told[kind]
    if kind == "cpu":
        able = torch.backends.mkldnn.is_available() and (
            torch.ops.mkldnn._is_mkldnn_bf16_supported())
    else:
        able = kind == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    found[kind] = able and speed_up(torch.device(kind)) > WORTH
    return found[kind]


def resolve(wanted: str, network: nn.Module, kind: str) -> str:
    """"fp32" or "bf16", in which a network multiplies on a kind of device.

    `auto` takes bf16 where it pays, for networks whose class says `bears_bf16`: those whose
    results were measured to stay within 0.05 dB. `$VOXMEND_PRECISION` may stand for `auto`.

    Raises ValueError for another name.
    """
    if wanted == "auto":
        wanted = os.environ.get("VOXMEND_PRECISION") or "auto"
    if wanted not in PRECISIONS:
        raise ValueError(f"precision {wanted!r}: give {', '.join(PRECISIONS)}")
    if wanted == "auto":
        return "bf16" if getattr(network, "bears_bf16", False) and pays_bf16(kind) else "fp32"
    return wanted


def for_training(kind: str) -> str:
    """What any network is trained in on a kind of device, "fp32" or "bf16", as `resolve` says.

    Gradients have larger errors of their own than those of bf16.
    """
    wanted = os.environ.get("VOXMEND_PRECISION") or "auto"
    if wanted in PRECISIONS[1:]:
        return wanted
    return "bf16" if pays_bf16(kind) else "fp32"


def choose(model: nn.Module, wanted: str) -> str:
    """Has the networks of a model multiply as `resolve` says, and returns what the first does.

    They are what `hub.load_network` gave, which is marked by its `precision`; a model without
    one, somebody's own, stays as it is. What a network takes and gives is fp32 in any case.
    """
    for network in _networks(model):
        kind = next(network.parameters()).device.type
        found = resolve(wanted, network, kind)
        if found != vars(network)["precision"]:
            vars(network).pop("forward", None)  # the class's own is fp32
            if found == "bf16":
                vars(network)["forward"] = _in_bf16(network.forward, kind)
            vars(network)["precision"] = found
    return precision_of(model)


def precision_of(model: nn.Module) -> str:
    """What the first of a model's networks multiplies in, as `choose` has it."""
    return next((str(vars(network)["precision"]) for network in _networks(model)), "fp32")


def _networks(model: nn.Module) -> list[nn.Module]:
    return [part for part in model.modules() if "precision" in vars(part)]


def _in_bf16(plain: Callable[..., Tensor], kind: str) -> Callable[..., Tensor]:
    def forward(*args: Any, **kwargs: Any) -> Tensor:
        with torch.autocast(kind, torch.bfloat16):
            out = plain(*args, **kwargs)
        return out.float()

    return forward
