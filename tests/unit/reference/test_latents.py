"""Batches of samples, and the work saved where a sample's latent does not depend on the others in its batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, current_thread
from typing import TypeVar

import numpy as np
import pytest
import torch

from driftwatch.data.schema import Coerced
from driftwatch.kernels.chosen import with_kernels
from driftwatch.reference.latents import batch_latents, batch_rows, each_batch, fixed_batches, latents_of
from tests.shaken_flows import shaken, vector_flow

T = TypeVar("T")


def images(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 1, 12, 12)).astype(np.uint8)


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("count", "rows", "multiple", "expected"),
    [
        (150, 64, None, [(64, 64), (64, 64), (64, 22)]),
        (128, 64, None, [(64, 64), (64, 64)]),
        (1_100, 512, 64, [(512, 512), (512, 512), (64, 64), (64, 12)]),
        (200, 512, 64, [(192, 192), (64, 8)]),
        (3, 512, 64, [(64, 3)]),
        (0, 64, None, []),
    ],
)
def test_samples_are_padded_to_batches_of_fixed_size(
    count: int, rows: int, multiple: int | None, expected: list[tuple[int, int]]
) -> None:
    samples = np.arange(1.0, count + 1)[:, None]
    batches = list(fixed_batches(samples, rows, multiple))
    assert [(len(batch), real) for batch, real in batches] == expected
    kept = [batch[:real] for batch, real in batches]
    assert (np.concatenate([*kept, samples[:0]]) == samples).all()
    assert not any(batch[real:].any() for batch, real in batches)


def test_vectors_have_larger_batches_with_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = vector_flow(3)
    assert batch_rows(flow) == (64, 64)
    monkeypatch.setattr(flow, "batch_invariant", True)
    assert batch_rows(flow) == (1_024, 64)
    monkeypatch.setattr(long := vector_flow(65), "batch_invariant", True)
    assert batch_rows(long) == (512, 64)
    monkeypatch.setattr(image := shaken(1, 12, 12), "batch_invariant", True)
    assert batch_rows(image) == (64, 64)


@pytest.mark.usefixtures("threads")
def test_batches_are_processed_concurrently_and_returned_in_order() -> None:
    flow = shaken(1, 12, 12)
    flow.batch_invariant = True
    started, finished, second = [], [], Event()

    def batches() -> Iterator[tuple[Coerced, int]]:
        for batch, count in fixed_batches(np.arange(20.0)[:, None], 2):
            started.append(float(batch[0, 0]))
            yield batch, count

    def function(batch: Coerced, count: int) -> float:
        if batch[0, 0] == 2:
            second.set()
        assert second.wait(10), "the first waits for the second"
        return float(batch[0, 0]) + count

    for value, count in each_batch(flow, function, batches()):
        finished.append(value - count)
        assert len(started) <= len(finished) + 4, "no more batches are made than threads can process"
    assert finished == [2.0 * k for k in range(10)]


def in_a_new_thread(function: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


@pytest.mark.usefixtures("threads")
def test_a_thread_that_processes_a_batch_uses_one_thread_of_pytorch() -> None:
    flow = shaken(1, 12, 12)
    flow.batch_invariant = True
    found = each_batch(flow, lambda *_: torch.get_num_threads(), fixed_batches(np.arange(20.0)[:, None], 2))
    assert [threads for threads, _ in found] == [1] * 10
    assert torch.get_num_threads() == 3
    assert in_a_new_thread(torch.get_num_threads) == 3


@pytest.mark.usefixtures("threads")
def test_a_single_batch_needs_no_other_thread() -> None:
    flow = shaken(1, 12, 12)
    flow.batch_invariant = True
    found = each_batch(flow, lambda *_: current_thread(), fixed_batches(np.arange(20.0)[:, None], 20))
    assert [thread for thread, _ in found] == [current_thread()]


@pytest.mark.usefixtures("threads")
def test_an_error_in_a_batch_is_raised() -> None:
    flow = shaken(1, 12, 12)
    flow.batch_invariant = True

    def broken(batch: Coerced, _: int) -> float:
        raise ValueError(f"batch of {batch[0, 0]:g}")

    with pytest.raises(ValueError, match="batch of 0"):
        list(each_batch(flow, broken, fixed_batches(np.arange(20.0)[:, None], 2)))


@pytest.mark.parametrize("kernels", [False, True], ids=["layers", "kernels"])
def test_padding_rows_change_nothing(kernels: bool) -> None:
    flow = shaken(1, 12, 12)
    flow = with_kernels(flow) if kernels else flow
    batch = images(64)
    whole, part = batch_latents(flow, batch), batch_latents(flow, batch, 3)
    assert part.nll[:3].tolist() == whole.nll[:3].tolist()
    for one, other in zip(whole.blocks, part.blocks, strict=True):
        assert one.shape == other.shape
        assert (one[:3] == other[:3]).all()


def test_kernels_skip_padding_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = with_kernels(shaken(1, 12, 12))
    if not flow.batch_invariant:
        pytest.skip("this CPU lacks the vector instructions that the kernels use")
    rows_computed = []
    kernel = flow.kernels[0]
    monkeypatch.setattr(flow, "kernels", flow.kernels | {0: lambda x, d: rows_computed.append(len(x)) or kernel(x, d)})
    latents_of(flow, images(70))
    assert sorted(rows_computed) == [6, 64]


@pytest.mark.usefixtures("threads")
def test_threads_change_no_latent() -> None:
    flow, samples = with_kernels(shaken(1, 12, 12)), images(300)
    shared = latents_of(flow, samples)
    for start in range(0, 300, 64):
        alone = latents_of(flow, samples[start : start + 64])
        assert (alone.nll == shared.nll[start : start + 64]).all()
