"""Which device a flow runs on."""

from __future__ import annotations

import torch

from driftwatch.errors import UsageError


def choose_device(name: str) -> str:
    """Return the device meant by ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: there is no such device on this machine.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cuda" and (not index or index.isdigit()):
        count = torch.cuda.device_count()
        if int(index or 0) >= count:
            found = f"{count} GPUs" if count else "no GPU"
            raise UsageError(f"{name!r} is asked for, but PyTorch finds {found}", remedy="set device to auto or cpu")
        return name
    if name != "cpu":
        raise UsageError(f"{name!r} is no device", where="device", remedy="one of auto, cpu, cuda, cuda:N")
    return name
