"""driftwatch: a streaming monitor that reports when the inputs of a deployed model have drifted.

The names below are the public Python API (docs/python.md). Each is imported on first use, which keeps
``driftwatch.client`` light for the services that embed it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from driftwatch.errors import DriftwatchError

if TYPE_CHECKING:
    from driftwatch.api.monitor import Monitor
    from driftwatch.api.reference import Reference, WindowTest, load
    from driftwatch.api.training import train
    from driftwatch.reference.scoring import Scores
    from driftwatch.stream.alert import Alert

__version__ = "0.1.0"
__all__ = ["Alert", "DriftwatchError", "Monitor", "Reference", "Scores", "WindowTest", "__version__", "load", "train"]

_MODULES = {
    "Alert": "driftwatch.stream.alert",
    "Monitor": "driftwatch.api.monitor",
    "Reference": "driftwatch.api.reference",
    "Scores": "driftwatch.reference.scoring",
    "WindowTest": "driftwatch.api.reference",
    "load": "driftwatch.api.reference",
    "train": "driftwatch.api.training",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
