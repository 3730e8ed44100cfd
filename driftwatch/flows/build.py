"""Rebuilds an untrained flow from the architecture that a bundle's manifest holds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from driftwatch.errors import BundleError, TrainingError
from driftwatch.flows.base import Flow
from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow

FlowPart = TypeVar("FlowPart")

REMEDY = "train the reference again with this version"


def build_flow(architecture: Mapping[str, Any]) -> Flow:
    """An untrained twin of the flow whose `Flow.architecture` this is; its state dict can be loaded into it.

    Raises:
        BundleError: unknown kind, missing or unknown keys, or values that make no flow.
    """
    values = dict(architecture)
    kind = values.pop("kind", None)
    if kind == "image":
        return _build(ImageFlow, values, "architecture")
    if kind == "vector":
        structure = values.get("features")
        if not isinstance(structure, Mapping):
            raise BundleError(f"features is {structure!r}", where="architecture", remedy=REMEDY)
        values["features"] = _build(FeatureTransform.from_structure, dict(structure), "architecture.features")
        return _build(VectorFlow, values, "architecture")
    raise BundleError(f"unknown kind {kind!r}", where="architecture", remedy="known kinds are image and vector")


def _build(make: Callable[..., FlowPart], values: Mapping[str, Any], where: str) -> FlowPart:
    known = inspect.signature(make).parameters
    unknown = sorted(set(values) - set(known))
    missing = sorted(name for name, p in known.items() if p.default is p.empty and name not in values)
    if unknown or missing:
        what = f"unknown keys {', '.join(unknown)}" if unknown else f"missing keys {', '.join(missing)}"
        raise BundleError(what, where=where, remedy=REMEDY)
    for name, value in values.items():
        least = 0 if name == "indicators" else 1
        if isinstance(value, int) and not isinstance(value, bool) and value < least and name not in {"low", "high"}:
            raise BundleError(f"{name} is {value}", where=where, remedy=REMEDY)
    try:
        return make(**values)
    except (TypeError, ValueError, LookupError, TrainingError) as error:
        raise BundleError(f"makes no flow: {error}", where=where, remedy=REMEDY) from error
