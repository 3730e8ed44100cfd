"""The heat map peaks in the patch in which a drift was planted, and the words name that place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from driftwatch.data.schema import ImageSchema, VectorSchema
from driftwatch.flows.image import ImageFlow
from driftwatch.reference.architecture import new_flow
from driftwatch.reference.bundle import Bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.loading import reference_from
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train_config import FlowConfig
from driftwatch.stats.summary import Array, merge
from driftwatch.stream.alert import HeatMap
from driftwatch.stream.heat_map import heat_map, place_words
from tests.synthetic import Images

SIDE, PATCH, CELL = 22, 7, 22 / 5
WINDOW, TRIALS = 50, 40

Change = Callable[[Images, np.random.Generator], Images]


def clouds(count: int, seed: int) -> Images:
    """Smooth grey images ``(N, 1, 22, 22)`` with fine noise; the flow pads them to 24."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.standard_normal((count, 1, SIDE, SIDE)), (0, 0, 2, 2), mode="wrap")
    images = 128 + 45 * smooth / smooth.std() + rng.normal(0, 8, smooth.shape)
    return np.clip(np.rint(images), 0, 255).astype(np.float32)


@pytest.fixture(scope="module")
def sky() -> Reference:
    """A barely trained reference."""
    torch.manual_seed(0)
    flow = ImageFlow(1, SIDE, SIDE, scales=2, steps=2, hidden=16)
    x = torch.from_numpy(clouds(2_000, 0))
    flow.initialise(flow.prepare(x[:512], noise="content"))
    optimiser = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for start in [*range(0, 1_920, 64), *range(0, 1_920, 64)]:
        optimiser.zero_grad()
        (-flow.log_prob(flow.prepare(x[start : start + 64], noise="content")).mean()).backward()
        optimiser.step()
    flow.eval().requires_grad_(requires_grad=False)
    calibration = calibrate(flow, clouds(2_000, 1), clouds(2_000, 0), bank_size=1_000)
    schema = ImageSchema(channels=1, height=SIDE, width=SIDE)
    return reference_from(Bundle(Path("none"), "sky", "0", schema, flow, calibration, {}))


def window_of(reference: Reference, images: Images) -> Array:
    return merge(np.concatenate(list(Scorer(reference).summaries(images))))


def heat_map_of(reference: Reference, images: Images) -> HeatMap:
    found = heat_map(window_of(reference, images), reference)
    assert found is not None
    return found


def place_of(reference: Reference, images: Images) -> str:
    return place_words(heat_map_of(reference, images), window_of(reference, images), reference)


def brighten(patch: Images, _: np.random.Generator) -> Images:
    return np.clip(patch + 40, 0, 255)


def add_noise(patch: Images, rng: np.random.Generator) -> Images:
    return np.clip(np.rint(patch + rng.normal(0, 60, patch.shape)), 0, 255)


def freeze(patch: Images, _: np.random.Generator) -> Images:
    return np.full_like(patch, 128)


def brighten_half(patch: Images, _: np.random.Generator) -> Images:
    return np.concatenate([patch[: WINDOW // 2], np.clip(patch[WINDOW // 2 :] + 80, 0, 255)])


@pytest.mark.parametrize("change", [brighten, add_noise, freeze, brighten_half])
def test_the_map_peaks_in_the_planted_patch(sky: Reference, change: Change) -> None:
    hits = 0
    for trial in range(TRIALS):
        rng = np.random.default_rng(trial)
        images = clouds(WINDOW, 1_000 + trial)
        top, left = (int(i) for i in rng.integers(0, SIDE - PATCH + 1, 2))
        patch = images[..., top : top + PATCH, left : left + PATCH]
        images[..., top : top + PATCH, left : left + PATCH] = change(patch, rng)
        values = np.array(heat_map_of(sky, images).values)
        row, column = np.unravel_index(np.argmax(values), values.shape)
        hits += bool(top - CELL < row * CELL < top + PATCH and left - CELL < column * CELL < left + PATCH)
    assert hits >= 0.95 * TRIALS


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [(0, 0, "upper left"), (4, 0, "lower left"), (2, 2, "centre"), (2, 4, "middle right"), (4, 2, "lower centre")],
)
def test_the_place_is_described_in_words(sky: Reference, row: int, column: int, words: str) -> None:
    """The latents of one cell are given a mean of one."""
    assert isinstance(sky.flow, ImageFlow)
    top, bottom, left, right = sky.flow.boxes().numpy().T
    inside = (top < (row + 1) * CELL) & (bottom > row * CELL) & (left < (column + 1) * CELL) & (right > column * CELL)
    summary = np.zeros(sky.layout.size)
    summary[0] = WINDOW
    summary[sky.layout.sum_z] = WINDOW * inside
    found = heat_map(summary, sky)
    assert found is not None
    assert place_words(found, summary, sky).startswith(f"most at the {words} (rows ")


def test_no_place_is_named_where_nothing_changed(sky: Reference) -> None:
    assert [place_of(sky, clouds(WINDOW, 2_000 + trial)) for trial in range(100)] == [""] * 100


def test_a_widespread_change_is_described_as_such(sky: Reference) -> None:
    shuffled = clouds(WINDOW, 3)[:, :, np.random.default_rng(0).permutation(SIDE)]
    assert place_of(sky, shuffled).startswith("in much of the image, most at ")


def test_the_map_is_zero_on_average_where_nothing_changed(sky: Reference) -> None:
    maps = np.array([heat_map_of(sky, clouds(WINDOW, 3_000 + trial)).values for trial in range(100)])
    error = maps.std(0) / np.sqrt(len(maps))
    assert np.abs(maps.mean(0) / error).max() < 5


def test_a_sample_that_is_not_an_image_has_no_map(sky: Reference) -> None:
    table = replace(sky, flow=new_flow(FlowConfig(layers=1, hidden=4), VectorSchema(dim=3), np.eye(3)))
    assert heat_map(np.ones(sky.layout.size), table) is None
