"""Flows built from their architectures: the same shape, or an error that says what is wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from driftwatch.errors import BundleError
from driftwatch.flows.base import Flow
from driftwatch.flows.build import build_flow
from driftwatch.flows.features import FeatureTransform
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow


def image_flow() -> Flow:
    return ImageFlow(1, 5, 7, low=0.0, high=1.0, integer=False, scales=2, steps=1, hidden=4)


def vector_flow(*, missing: bool) -> Flow:
    raw = np.random.default_rng(0).standard_normal((300, 3))
    if missing:
        raw[::5, 1] = np.nan
    features = FeatureTransform.fit(raw, ["numeric"] * 3, missing=missing)
    return VectorFlow(features, layers=2, hidden=4, bins=5, block_dim=2)


FLOWS = {
    "image": image_flow,
    "vectors": lambda: vector_flow(missing=False),
    "table with missing values": lambda: vector_flow(missing=True),
}


@pytest.mark.parametrize("name", FLOWS)
def test_architecture_and_state_rebuild_the_flow(name: str) -> None:
    torch.manual_seed(0)
    flow = FLOWS[name]()
    twin = build_flow(json.loads(json.dumps(flow.architecture())))
    assert type(twin) is type(flow)
    assert twin.architecture() == flow.architecture()
    assert twin.blocks == flow.blocks
    twin.load_state_dict(flow.state_dict())
    raw = torch.rand(4, 1, 5, 7) if name == "image" else torch.randn(4, 3, dtype=torch.float64)
    x = flow.prepare(raw, noise="content")
    assert torch.equal(x, twin.prepare(raw, noise="content"))
    assert torch.equal(flow.log_prob(x), twin.log_prob(x))


def changed(architecture: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**architecture, **values}


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("image", {"kind": "sound"}, "unknown kind 'sound'"),
        ("image", {"depth": 3}, "unknown keys depth"),
        ("image", {"channels": "one"}, "describes no valid flow"),
        ("image", {"scales": 0}, "scales is 0"),
        ("image", {"scales": 9}, "cannot be halved"),
        ("vectors", {"features": None}, "features is None"),
        ("vectors", {"layers": -1}, "layers is -1"),
        ("vectors", {"features": {"columns": 3}}, "architecture.features: missing keys indicators, knots, shared"),
        ("vectors", {"features": {"columns": 3, "indicators": -1, "knots": 9, "shared": True}}, "indicators is -1"),
    ],
)
def test_an_invalid_architecture_is_refused(name: str, values: dict[str, Any], what: str) -> None:
    with pytest.raises(BundleError, match=what):
        build_flow(changed(FLOWS[name]().architecture(), **values))


def test_missing_keys_are_named() -> None:
    with pytest.raises(BundleError, match="missing keys channels, height, width"):
        build_flow({"kind": "image"})
    with pytest.raises(BundleError, match="unknown kind None"):
        build_flow({})
