"""Small generated data and a small reference, for tests that need some but do not care which."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from driftwatch.config import WindowsConfig
from driftwatch.data.schema import ImageSchema
from driftwatch.flows.image import ImageFlow
from driftwatch.reference.bundle import Bundle, load_bundle, write_bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.loading import reference_from
from driftwatch.reference.recalibration import add_null
from driftwatch.reference.stored_null import STEP, null_arrays

SIDE = 8
SCHEMA = ImageSchema(channels=1, height=SIDE, width=SIDE)

Images = NDArray[np.float32]


def waves(count: int, seed: int = 0) -> Images:
    """Smooth grey images ``(N, 1, 8, 8)``: plane waves of random direction, phase and amplitude, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    angle, phase = rng.uniform(0, np.pi, count), rng.uniform(0, 2 * np.pi, count)
    amplitude = rng.uniform(30, 90, count)
    argument = 2 * np.pi * (np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y)
    images = 128 + amplitude[:, None, None] * np.sin(argument + phase[:, None, None])
    images += rng.normal(0, 6, images.shape)
    return np.clip(np.rint(images), 0, 255).astype(np.float32)[:, None]


def shuffled_rows(images: Images, seed: int = 0) -> Images:
    """The same images with their rows permuted: a drift that no single pixel shows."""
    rng = np.random.default_rng(seed)
    return images[:, :, rng.permutation(SIDE)]


def small_bundle(folder: Path, name: str = "waves", seed: int = 0, windows: Sequence[int] = ()) -> Path:
    """A bundle with a barely trained flow; its calibration is complete.

    The null of `windows`, in steps of `STEP`, is stored in it, so daemons that test them start some seconds sooner.
    """
    torch.manual_seed(seed)
    flow = ImageFlow(1, SIDE, SIDE, scales=2, steps=2, hidden=8)
    x = torch.from_numpy(waves(2_000, seed))
    flow.initialise(flow.prepare(x[:512], noise="content"))
    optimiser = torch.optim.Adam(flow.parameters(), lr=3e-3)
    for start in range(0, 1_920, 64):
        optimiser.zero_grad()
        (-flow.log_prob(flow.prepare(x[start : start + 64], noise="content")).mean()).backward()
        optimiser.step()
    flow.eval()
    path = folder / name
    arrays = calibrate(flow, waves(2_000, seed + 1), waves(2_000, seed), bank_size=1_000)
    if windows:
        arrays |= null_arrays(reference_from(Bundle(path, name, "", SCHEMA, flow, arrays, {})).simulate(windows, STEP))
    write_bundle(path, name=name, schema=SCHEMA, flow=flow, calibration=arrays, facts={})
    return path


def with_null(bundle: Path, folder: Path, *sizes: int | str) -> Path:
    """The same bundle, in another folder, for daemons that are started many times with windows of these sizes."""
    path = folder / bundle.name
    add_null(load_bundle(bundle), WindowsConfig(sizes=[*sizes], step=STEP), path)
    return path
