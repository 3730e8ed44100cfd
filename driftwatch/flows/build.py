"""Rebuild an untrained flow from the architecture in a bundle's manifest."""

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
REPEATS = ("scales", "steps", "layers")
"""Keys of an architecture that count modules with weights of their own."""

WEIGHT_FACTORS = (
    *((name,) for name in REPEATS),
    ("hidden", "hidden"),
    ("channels", "channels"),
    ("channels", "hidden"),
    ("columns", "bins", "hidden"),
    ("columns", "knots"),
    ("indicators",),
)
"""Keys whose product is a lower bound of the number of weights."""


def build_flow(architecture: Mapping[str, Any]) -> Flow:
    """Build an untrained copy of the flow that `architecture` describes, ready to load its state dict.

    Raises:
        BundleError: unknown kind, missing or unknown keys, or values that no flow can have.
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
    """Check, before building a flow, that the weights suffice for its largest parts.

    Raises:
        BundleError: they do not, so building the flow might fill the memory or never end.
    """
    features = architecture.get("features")
    stated = {**architecture, **(features if isinstance(features, Mapping) else {})}
    sizes = {name: value for name, value in stated.items() if isinstance(value, int)}
    if sizes.get("columns", 2) + sizes.get("indicators", 0) < 2:
        sizes["hidden"] = 1  # a single feature has nothing to be conditioned on, so there are no hidden layers
    available = sum(each.numel() for each in weights.values())
    for names in WEIGHT_FACTORS:
        required = math.prod(sizes.get(name, 1) for name in names)
        if required > (len(weights) if names[0] in REPEATS else available):
            what = f"{' x '.join(dict.fromkeys(names))} is {required}, more than there are weights"
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
        raise BundleError(f"describes no valid flow: {error}", where=where, remedy=REMEDY) from error
