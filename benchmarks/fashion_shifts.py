"""Writes shifts of Fashion-MNIST's test images, and MNIST digits, as data sets for ``driftwatch evaluate``.

python -m benchmarks.fashion_shifts out/shifts
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from driftwatch.data.readers import open_dataset
from tests.datasets import fashion_mnist, mnist_digits

SANDALS = 5


def contrast(images: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Each image's deviation from its mean, scaled."""
    mean = images.mean(axis=(1, 2), keepdims=True)
    return mean + factor * (images - mean)


def main(folder: Path) -> None:
    """Writes one npy file a shift."""
    clothes = fashion_mnist()
    dataset = open_dataset(clothes / "t10k-images-idx3-ubyte.gz")
    images = next(dataset.chunks(dataset.infer_schema(), rows=dataset.rows))[:, 0].astype(np.float64)
    packed = (clothes / "t10k-labels-idx1-ubyte.gz").read_bytes()
    labels = np.frombuffer(gzip.decompress(packed)[8:], dtype=np.uint8)
    digits = np.load(mnist_digits()).astype(np.float64)
    shifts = {
        "mnist": digits,
        "mnist-contrast-0.97": contrast(digits, 0.97),
        "mnist-contrast-0.6": contrast(digits, 0.6),
        "rotated": np.rot90(images, axes=(1, 2)),
        "flipped": images[:, ::-1],
        "blurred": gaussian_filter(images, (0, 0.7, 0.7)),
        "gain-0.9": 0.9 * images,
        "sandals": images[labels == SANDALS],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in shifts.items():
        np.save(folder / f"{name}.npy", np.clip(np.rint(values), 0, 255).astype(np.uint8))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/shifts"))
