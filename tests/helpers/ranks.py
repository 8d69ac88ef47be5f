"""Ranks of a training in forked processes, which start at once."""

import os
import traceback
from multiprocessing import get_context

import torch
from torch import distributed as dist


def on_ranks(count, work, folder):
    """What `work(rank)` returns on each of so many ranks that talk by gloo."""
    store = folder / f"store-{len(list(folder.iterdir()))}"

    def run(rank):
        status = 1
        try:
            dist.init_process_group("gloo", store=dist.FileStore(str(store), count), rank=rank,
                                    world_size=count)
            torch.save(work(rank), f"{store}.{rank}")
            dist.destroy_process_group()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # what pytest has opened is its own to close

    processes = [get_context("fork").Process(target=run, args=(rank,)) for rank in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * count
    return [torch.load(f"{store}.{rank}", weights_only=False) for rank in range(count)]
