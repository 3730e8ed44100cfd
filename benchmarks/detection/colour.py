"""Colour images as the reference: 32x32 crops of a photograph that scikit-learn ships."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.detection import pixels
from benchmarks.detection.material import Likelihood, Material, Shift, contaminated
from benchmarks.detection.pixels import Images

SIDE = 32
TRAINED, TESTED, SHIFTED = 30_000, 5_000, 2_000
"""Numbers of crops. Each shift has fewer, because scoring takes four times as long as that of small grey images."""

WARMER = (1.05, 1.0, 0.95)


def pieces(photograph: str, count: int, rng: np.random.Generator) -> Images:
    """Crops ``(count, 32, 32, 3)`` from random positions in a photograph, in random order.

    Training and test crops come from the same distribution: if each had its own half of the photograph, the test data
    would already be a shift.
    """
    from sklearn.datasets import load_sample_image

    picture = load_sample_image(photograph)
    height, width = picture.shape[0] - SIDE + 1, picture.shape[1] - SIDE + 1
    places = rng.choice(height * width, size=count, replace=False)
    return np.stack([picture[y : y + SIDE, x : x + SIDE] for y, x in zip(*divmod(places, width), strict=True)])


def colour(samples: int, seed: int) -> Material:
    """Crops of ``china.jpg``; as shifts, crops of another photograph, and changes of colours, optics and encoding."""
    rng = np.random.default_rng(seed)
    every = pieces("china.jpg", TRAINED + TESTED, rng)
    train, fresh = every[:TRAINED], every[TRAINED:]
    some = fresh[: min(samples, SHIFTED)]
    foreign = pieces("flower.jpg", len(some), rng)
    grey = np.repeat(some.mean(axis=3, keepdims=True), 3, axis=3)
    made = {
        "another photograph": foreign,
        "upside down": some[:, ::-1].copy(),
        "mirrored": some[:, :, ::-1].copy(),
        "red and blue exchanged": some[..., ::-1].copy(),
        "white balance 5 % warmer": pixels.gained(some, WARMER),
        "grey": np.rint(grey).astype(np.uint8),
        "blur 0.7": pixels.blurred(some, 0.7),
        "noise 4": pixels.noisy(some, 4, rng),
        "gain 0.9": pixels.gained(some, 0.9),
        "JPEG 75": pixels.compressed(some, 75),
    }

    def shifts(_: Likelihood) -> Mapping[str, Shift]:
        return {name: Shift(shifted) for name, shifted in made.items()} | contaminated("another photograph", foreign)

    return Material(
        name="colour",
        description=f"32x32 colour crops of one photograph; {TRAINED:,} to train on, {TESTED:,} to draw windows from",
        train=train,
        config={"training": {"minutes": 5}},
        fresh=fresh,
        shifts=shifts,
    )
