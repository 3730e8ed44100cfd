"""The choice of the device that a flow runs on."""

from __future__ import annotations

import torch

from driftwatch.errors import UsageError


def choose_device(name: str) -> str:
    """The device meant by ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: this machine has no such device.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cuda" and (not index or index.isdigit()):
        count = torch.cuda.device_count()
        if int(index or 0) >= count:
            found = f"{count} GPUs" if count else "no GPU"
            raise UsageError(f"{name!r} is requested, but PyTorch finds {found}", remedy="set device to auto or cpu")
        return name
    if name != "cpu":
        raise UsageError(f"{name!r} is not a device", where="device", remedy="one of auto, cpu, cuda, cuda:N")
    return name
