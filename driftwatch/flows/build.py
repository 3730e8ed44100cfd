"""Rebuilds an untrained flow from the architecture that a bundle's manifest holds."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from torch import Tensor

from driftwatch.errors import BundleError, TrainingError
from driftwatch.flows.base import Flow
from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow

FlowPart = TypeVar("FlowPart")

REMEDY = "train the reference again with this version"
REPEATED = ("scales", "steps", "layers")
"""Of an architecture how often something is there that has weights of its own."""

LEAST = (
    *((name,) for name in REPEATED),
    ("hidden", "hidden"),
    ("channels", "channels"),
    ("channels", "hidden"),
    ("columns", "bins", "hidden"),
    ("columns", "knots"),
    ("indicators",),
)
"""Sizes of an architecture whose product is no more than the weights of any flow of it."""


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


def require_weights(architecture: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
    """Sees to it, before a flow is built, that there are weights for what is largest in it.

    Raises:
        BundleError: there are not: it would fill the memory, or take for ever.
    """
    features = architecture.get("features")
    stated = {**architecture, **(features if isinstance(features, Mapping) else {})}
    sizes = {name: value for name, value in stated.items() if isinstance(value, int)}
    if sizes.get("columns", 2) + sizes.get("indicators", 0) < 2:
        sizes["hidden"] = 1  # of which there is nothing: one number depends on no other
    there = sum(each.numel() for each in weights.values())
    for names in LEAST:
        asked = math.prod(sizes.get(name, 1) for name in names)
        most = len(weights) if names[0] in REPEATED else there
        if asked > most:
            what = f"{' x '.join(dict.fromkeys(names))} is {asked}, more than there are weights"
            raise BundleError(what, where="architecture", remedy=REMEDY)


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
