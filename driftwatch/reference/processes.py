"""Training in several processes, one for each GPU, as ``torchrun`` starts them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """This process among all.

    Args:
        rank: of this process.
        world: how many there are.
        device: this process trains on.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process is the one that speaks and writes."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replaces tensors by their mean over all processes."""
        if self.world == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def agree(self, *values: float) -> tuple[float, ...]:
        """The first process's values, for all: decisions by the clock must be the same everywhere."""
        if self.world == 1:
            return values
        told = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(told, src=0)
        return tuple(told.tolist())

    def share(self, tensors: list[Tensor]) -> None:
        """Gives the first process's tensors to all."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)


def leave() -> NoReturn:
    """Ends a process that does not lead, at once and well, when all is done.

    While Python ends in its own way, a thread of torch's may still let go of a tensor, which aborts the process (torch
    2.x with gloo, about one in fifteen); torchrun would take that for a failure, and end the leader too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Joins the other processes, if ``torchrun`` started several.

    Args:
        device: ``cpu`` or ``cuda``; each process takes a GPU of its own.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Processes(0, 1, torch.device(device))
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = torch.device("cuda", local) if device.startswith("cuda") else torch.device("cpu")
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(rank, world, chosen)
    finally:
        dist.destroy_process_group()
