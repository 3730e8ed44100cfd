"""Fashion-MNIST as the reference; digits, one class of clothes, and camera effects as shifts."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.detection import pixels
from benchmarks.detection.material import Likelihood, Material, Shift, contaminated
from benchmarks.detection.pixels import Images
from driftwatch.data.readers import open_dataset
from tests.datasets import fashion_mnist, mnist_digits

SANDALS = 5
CONTRASTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.99)
PROBED = 500
"""Digits used to find the contrast of equal likelihood."""

HALVINGS = 12


def images(part: str) -> Images:
    """The images of ``train`` or ``t10k``, ``(N, 28, 28)``."""
    dataset = open_dataset(fashion_mnist() / f"{part}-images-idx3-ubyte.gz")
    return next(dataset.chunks(dataset.infer_schema(), rows=dataset.rows))[:, 0].astype(np.uint8)


def labels(part: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """The classes of `images`, 0 to 9."""
    packed = Path(fashion_mnist() / f"{part}-labels-idx1-ubyte.gz").read_bytes()
    return np.frombuffer(gzip.decompress(packed)[8:], dtype=np.uint8)


def digits() -> Images:
    """MNIST, ``(10000, 28, 28)``."""
    return np.asarray(np.load(mnist_digits()))


def equal_contrast(foreign: Images, target: float, likelihood: Likelihood) -> float:
    """The contrast at which the mean NLL of foreign images is closest to a target; more contrast lowers the NLL."""
    low, high = min(CONTRASTS), 1.0
    tried: dict[float, float] = {}
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        tried[middle] = likelihood(pixels.contrast(foreign, middle))
        low, high = (middle, high) if tried[middle] > target else (low, middle)
    return round(float(min(tried, key=lambda factor: abs(tried[factor] - target))), 4)


def manipulated(samples: int, rng: np.random.Generator) -> dict[str, Images]:
    """The shifts that do not depend on the flow: digits, one class of clothes, and test images with camera effects."""
    fresh, kinds = images("t10k"), labels("t10k")
    some = fresh[:samples]
    return {
        "digits": digits()[:samples],
        "rotated by 90°": pixels.rotated(some, 90),
        "rotated by 15°": pixels.rotated(some, 15),
        "flipped upside down": some[:, ::-1].copy(),
        "blur 0.7": pixels.blurred(some, 0.7),
        "noise 4": pixels.noisy(some, 4, rng),
        "gain 0.9": pixels.gained(some, 0.9),
        "brightness +20": pixels.brightened(some, 20),
        "JPEG 75": pixels.compressed(some, 75),
        "sandals only": fresh[kinds == SANDALS],
        "inverted": 255 - some,
        "constant": pixels.constant(some[:1_000], rng),
    }


def fashion(samples: int, seed: int) -> Material:
    """Windows are drawn from at most `samples` of the test images and of each shift."""
    fresh, foreign = images("t10k"), digits()[:samples]
    others = manipulated(samples, np.random.default_rng(seed))

    def shifts(likelihood: Likelihood) -> Mapping[str, Shift]:
        equal = equal_contrast(foreign[:PROBED], likelihood(fresh), likelihood)
        made = {
            **{f"digits, contrast {factor:g}": pixels.contrast(foreign, factor) for factor in CONTRASTS},
            f"digits, contrast {equal:g} (equal likelihood)": pixels.contrast(foreign, equal),
            **others,
        }
        return {name: Shift(shifted) for name, shifted in made.items()} | contaminated("digits", foreign)

    return Material(
        name="fashion",
        description="Fashion-MNIST, 28x28 grey images; 60,000 to train on, 10,000 to draw windows from",
        train=images("train"),
        config={"training": {"minutes": 15}},
        fresh=fresh,
        shifts=shifts,
    )
