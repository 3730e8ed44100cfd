"""Training in several processes, one per GPU, started by ``torchrun``."""

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
    """This process among all training processes.

    Args:
        rank: of this process.
        world: number of processes.
        device: of this process.
    """

    rank: int
    world: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this process is the one that reports and writes."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over all processes."""
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
        """The first process's values, for all: decisions that depend on the clock must be the same everywhere."""
        if self.world == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return tuple(shared.tolist())

    def share(self, tensors: list[Tensor]) -> None:
        """Copy the first process's tensors to all processes."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)


def leave() -> NoReturn:
    """End a process that does not lead, successfully and at once, when all work is done.

    During Python's regular shutdown, a torch thread may still release a tensor, which aborts the process (torch 2.x
    with gloo, about one in fifteen); torchrun would count that as a failure and end the leader, too.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def join_processes(device: str) -> Iterator[Processes]:
    """Join the other processes, if ``torchrun`` started several.

    Args:
        device: ``cpu`` or ``cuda``; each process uses its own GPU.
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
