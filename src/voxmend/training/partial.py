"""Training of some of a network's weights while the others stay as they are, to the bit."""

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

PART = re.compile(r"(?P<name>[^\[]+)(?:\[(?P<columns>:,)?(?P<first>\d+):(?P<last>\d+)\])?")


def train_only(network: nn.Module, only: Sequence[str]) -> None:
    """Leaves gradients to named weights alone.

    Args:
        only: what names begin with, as "blocks.9." or "blocks.*.scale", where * is any text. With
            rows of matrices or columns of them after it, as "blocks.*.expand.weight[0:72]" and
            "blocks.*.contract.weight[:,0:72]", which are the first 72 units of every block, the
            others of these matrices have a gradient of 0.

    Raises ValueError for one that names no weights, or nothing of them.
    """
    network.requires_grad_(False)
    weights = dict(network.named_parameters())
    for told in only:
        part = PART.fullmatch(told)
        found = [p for name, p in weights.items()
                 if part and fnmatchcase(name, part["name"] + "*")]
        if not part or not found:
            raise ValueError(f"only: no weights begin with {told}")
        for weight in found:
            weight.requires_grad_(True)
            if part["first"]:
                inside = slice(int(part["first"]), int(part["last"]))
                _keep_gradient(weight, (slice(None), inside) if part["columns"] else (inside,),
                               told)


def _keep_gradient(weight: Tensor, inside: tuple[slice, ...], told: str) -> None:
    """Lets only a part of a matrix have a gradient."""
    mask = torch.zeros(weight.shape)
    if len(inside) > weight.ndim or not mask[inside].numel():
        raise ValueError(f"only: {told}: nothing of weights of shape {list(weight.shape)}")
    mask[inside] = 1
    weight.register_hook(lambda gradient: gradient * mask.to(gradient))
