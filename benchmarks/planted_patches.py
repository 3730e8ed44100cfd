"""How often an alert's heat map peaks in or next to the image patch in which a drift was planted.

python -m benchmarks.planted_patches bundles/fashion /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from driftwatch.data.readers import open_dataset
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.null import WindowNull
from driftwatch.stats.summary import Array, merge
from driftwatch.stream.heat_map import heat_map, place_words

WINDOW = 50
PATCH = 7
TRIALS = 200
ALARM = 1e-5
"""Roughly the p-value at which an alarm starts with a budget of one false alarm in a million samples."""

Images = NDArray[np.float32]
Place = tuple[slice, slice]
Change = Callable[[Images, Generator], Images]


def _within(place: Place, changed: Callable[[Images, Generator], NDArray[Any]]) -> Change:
    """A change of a patch that depends only on the patch."""

    def change(images: Images, rng: Generator) -> Images:
        images[..., place[0], place[1]] = np.clip(np.rint(changed(images[..., place[0], place[1]], rng)), 0, 255)
        return images

    return change


def _blur(place: Place) -> Change:
    def change(images: Images, _: Generator) -> Images:
        images[..., place[0], place[1]] = np.rint(gaussian_filter(images, (0, 0, 1.5, 1.5)))[..., place[0], place[1]]
        return images

    return change


CHANGES: dict[str, Callable[[Place], Change]] = {
    "brightened by 40": lambda place: _within(place, lambda patch, _: patch + 40),
    "half as bright": lambda place: _within(place, lambda patch, _: patch / 2),
    "blurred, sigma 1.5": _blur,
    "grain, sigma 25": lambda place: _within(place, lambda patch, rng: patch + rng.normal(0, 25, patch.shape)),
    "noise instead": lambda place: _within(place, lambda patch, rng: rng.integers(0, 256, patch.shape)),
    "another image's": lambda place: _within(place, lambda patch, rng: patch[rng.permutation(len(patch))]),
}


def trial(
    reference: Reference, null: WindowNull, images: Images, kind: str, share: float, rng: Generator
) -> tuple[bool, bool, bool]:
    """Whether one window alarms, whether its map peaks in or next to the patch, and whether words state its place."""
    window = images[rng.choice(len(images), WINDOW, replace=False)].copy()
    top, left = (int(i) for i in rng.integers(0, np.array(images.shape[2:]) - PATCH + 1))
    count = round(share * WINDOW)
    change = CHANGES[kind]((slice(top, top + PATCH), slice(left, left + PATCH)))
    window[:count] = change(window[:count].copy(), rng)
    summary: Array = merge(np.concatenate(list(Scorer(reference).summaries(window))))
    found = heat_map(summary, reference)
    if found is None:
        raise SystemExit(f"{reference.name} is not a reference of images")
    values = np.array(found.values)
    row, column = np.unravel_index(np.argmax(values), values.shape)
    rows, columns = (np.arange(n + 1) * side // n for n, side in zip(values.shape, images.shape[2:], strict=True))
    near = bool(
        rows[row] <= top + PATCH
        and rows[row + 1] >= top
        and columns[column] <= left + PATCH
        and columns[column + 1] >= left
    )
    alarms = bool(null.test(summary[None]).p_values["combined"][0] < ALARM)
    return alarms, near, bool(place_words(found, summary, reference))


def main() -> None:
    """Print a row per change, made to all images of a window and to half of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    reference = load_reference(options.bundle)
    dataset = open_dataset(options.data)
    images = next(dataset.chunks(reference.schema, rows=dataset.rows)).astype(np.float32)
    null = reference.window_null(WINDOW)
    table = Table("change", "of the images", "windows that alarm", "peak in or next to it", "put into words", box=None)
    right = []
    for kind in CHANGES:
        for share in (1.0, 0.5):
            rng = np.random.default_rng(7)
            done = np.array([trial(reference, null, images, kind, share, rng) for _ in range(TRIALS)])
            alarms, near, worded = done[done[:, 0]].T if done[:, 0].any() else np.zeros((3, 0), dtype=bool)
            right += near[worded].tolist()
            rate = (f"{100 * near.mean():.1f} %", f"{100 * worded.mean():.0f} %") if len(alarms) else ("", "")
            table.add_row(kind, f"{share:.0%}", f"{len(alarms)} of {TRIALS}", *rate)
    Console().print(table, f"correct where put into words: {sum(right)} of {len(right)}")


if __name__ == "__main__":
    main()
