"""Processes that train one network together, each on its share of every batch.

`torchrun --nproc-per-node N -m voxmend train ...` starts them, and PyTorch calls them ranks. All of
them draw the whole batch of a step from (seed, step) and each takes its rows, so together they
see what one process sees; losses are means over examples, so the weighted mean of the shares'
gradients is the batch's, and batch norms take their statistics from all shares.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")
Piece = tuple[float, tuple[Tensor, ...]]  # some examples of a batch, and what their loss counts
# Groups that are left. If the last to hold one were a reducer, it would wait for the group's
# threads with Python's lock in hand, for which they may wait.
_LEFT: list[dist.ProcessGroup | None] = []
PATIENCE = timedelta(hours=1)  # for the first rank, which validates and decodes for all


@dataclass(frozen=True)
class Ranks:
    """Who this process is among those that train together; by default alone."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def told(self, value: T) -> T:
        """The first rank's value."""
        values = [value]
        if self.count > 1:
            dist.broadcast_object_list(values, device=torch.device("cpu"))
        return values[0]

    def total(self, values: Tensor) -> Tensor:
        """The sum over the ranks. Shape: any to the same."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def share(self, batch: tuple[Tensor, ...], pieces: int = 1) -> list[Piece]:
        """This rank's examples of a batch, in so many pieces.

        Of P pieces in all, piece p has the rows p, p + P, …, so that rows that are stratified are
        so in every piece; and the pieces are the same for N ranks of M as for M ranks of N.

        A piece's loss counts what its rows are of the batch's, times the number of ranks, over
        which gradients are averaged.
        """
        size, total = len(batch[0]), self.count * pieces
        rows = [slice(p, None, total) for p in range(self.rank, total, self.count)]
        return [(len(range(size)[some]) / size * self.count, tuple(t[some] for t in batch))
                for some in rows]

    def together(self, objective: nn.Module) -> nn.Module:
        """A module whose gradients are those of all ranks, by `DistributedDataParallel`."""
        return DistributedDataParallel(objective, broadcast_buffers=False) if self.count > 1 else (
            objective)


def alone(objective: nn.Module) -> AbstractContextManager[None]:
    """Where gradients are summed up before ranks tell them each other."""
    return objective.no_sync() if isinstance(objective, DistributedDataParallel) else nullcontext()


class SharedBatchNorm(_BatchNorm):
    """Batch norm by the mean and variance over all ranks.

    It is what `nn.SyncBatchNorm` is on GPUs, for CPUs as well, and ranks may have more or fewer
    examples. (Ioffe & Szegedy 2015, "Batch normalization")

    Shape: `[B, C, ...]` to the same.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  # torch's name
        pass

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        if not self.training or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        x = input.float()
        dims, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
        sums = all_reduce(torch.cat([x.sum(dims), x.new_tensor([x.numel() / x.shape[1]])]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = x - mean.view(shape)
        variance = all_reduce(centred.square().sum(dims)) / count
        with torch.no_grad():
            seen = cast("Tensor", self.num_batches_tracked).add_(1)
            rate = 1 / seen.item() if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean, rate)
            self.running_var.lerp_(variance * count / (count - 1), rate)
        out = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)


def share_norms(model: nn.Module) -> None:
    """Has the batch norms of a model take their statistics from all ranks."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.__class__ = SharedBatchNorm


@contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, torch.device]]:
    """The ranks that torchrun has started, and this one's device; alone without torchrun.

    They talk by gloo on CPUs and NCCL on GPUs, of which each rank has its own. A group that the
    program has opened already is taken as it is.

    Raises ValueError for more ranks than GPUs.
    """
    place = torch.device(device)
    ours = dist.is_torchelastic_launched() and not dist.is_initialized()
    if ours:
        local = int(os.environ["LOCAL_RANK"])
        if place.type == "cuda":
            if local >= torch.cuda.device_count():
                raise ValueError(f"torchrun: rank {local} of this machine has no GPU of its own; "
                                 f"give --nproc-per-node {torch.cuda.device_count()} or less")
            place = torch.device("cuda", local)
            torch.cuda.set_device(place)
        dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo",
                                timeout=PATIENCE)
    try:
        yield (Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Ranks(),
               place)
    finally:
        if ours:
            _LEFT.append(dist.group.WORLD)
            dist.destroy_process_group()
