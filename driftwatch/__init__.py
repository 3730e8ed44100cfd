"""driftwatch: a streaming monitor that tells when a deployed model's inputs have drifted.

What is named here is the public Python API (docs/python.md). It is imported when it is first asked for, so that
``driftwatch.client`` stays light for the services that use it.
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
