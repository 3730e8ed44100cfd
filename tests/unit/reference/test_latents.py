"""Batches, and what is spared where a sample's latent does not depend on them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from driftwatch.data.schema import Coerced
from driftwatch.kernels.chosen import with_kernels
from driftwatch.reference.latents import batch_latents, each_batch, fixed_batches, latents_of
from tests.image_flows import shaken


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 12, 12)).astype(np.uint8)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)


@pytest.mark.usefixtures("threads")
def test_batches_come_in_order_and_are_worked_on_at_once() -> None:
    flow = shaken(1, 12, 12)
    flow.batch_invariant = True
    begun, taken = [], []

    def batches() -> Iterator[tuple[Coerced, int]]:
        for batch in fixed_batches(np.arange(20.0)[:, None], 2):
            begun.append(float(batch[0, 0]))
            yield batch

    def slow(batch: Coerced, count: int) -> float:
        time.sleep(0.02 if batch[0, 0] == 0 else 0.0)
        return float(batch[0, 0]) + count

    for value, count in each_batch(flow, slow, batches()):
        taken.append(value - count)
        assert len(begun) <= len(taken) + 4, "no more of them are made than there are threads for"
    assert taken == [2.0 * k for k in range(10)]


@pytest.mark.usefixtures("threads")
def test_what_goes_wrong_in_a_batch_is_told() -> None:
    flow = shaken(1, 12, 12)
    flow.batch_invariant = True

    def broken(batch: Coerced, _: int) -> float:
        raise ValueError(f"batch of {batch[0, 0]:g}")

    with pytest.raises(ValueError, match="batch of 0"):
        list(each_batch(flow, broken, fixed_batches(np.arange(20.0)[:, None], 2)))


@pytest.mark.parametrize("kernels", [False, True], ids=["layers", "kernels"])
def test_rows_that_are_not_real_change_nothing(kernels: bool) -> None:
    flow = shaken(1, 12, 12)
    flow = with_kernels(flow) if kernels else flow
    batch = images(64)
    whole, part = batch_latents(flow, batch), batch_latents(flow, batch, 3)
    assert part.nll[:3].tolist() == whole.nll[:3].tolist()
    for one, other in zip(whole.blocks, part.blocks, strict=True):
        assert one.shape == other.shape
        assert (one[:3] == other[:3]).all()


def test_kernels_pass_over_rows_that_are_not_real(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = with_kernels(shaken(1, 12, 12))
    if not flow.batch_invariant:
        pytest.skip("this CPU multiplies no vectors that they are written for")
    passed = []
    kernel = flow.kernels[0]
    monkeypatch.setattr(flow, "kernels", flow.kernels | {0: lambda x, d: passed.append(len(x)) or kernel(x, d)})
    latents_of(flow, images(70))
    assert passed == [64, 6]


@pytest.mark.usefixtures("threads")
def test_threads_change_no_latent() -> None:
    flow, samples = with_kernels(shaken(1, 12, 12)), images(300)
    shared = latents_of(flow, samples)
    for start in range(0, 300, 64):
        alone = latents_of(flow, samples[start : start + 64])
        assert (alone.nll == shared.nll[start : start + 64]).all()
