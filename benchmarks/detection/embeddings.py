"""Features of a small network as the reference: eight classes of clothes, with two unseen classes as a shift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.detection import fashion
from benchmarks.detection.material import Likelihood, Material, Shift, contaminated
from benchmarks.detection.pixels import Images

KNOWN = tuple(range(8))
FEATURES = 32
NETWORK_IMAGES = 20_000
EPOCHS = 3


def embeddings(samples: int, seed: int) -> Material:
    """Network and flow learn from different images: features of images that the network was trained on are atypical."""
    images, kinds = _of_known("train")
    network = _trained(images[:NETWORK_IMAGES], kinds[:NETWORK_IMAGES], seed)
    train = _features(network, images[NETWORK_IMAGES:])
    tests, known = _of_known("t10k")
    fresh = _features(network, tests)
    every, of = fashion.images("t10k"), fashion.labels("t10k")
    new = _features(network, every[~np.isin(of, KNOWN)])
    rng = np.random.default_rng(seed)
    some = fresh[:samples]
    basis, _ = np.linalg.qr(rng.standard_normal((FEATURES, FEATURES)))
    favoured = rng.random(len(known)) < np.where(known < 4, 1.0, 0.4)
    slight = _turn(FEATURES, np.deg2rad(15))
    made = {
        "new topic": new,
        "mixture: half the topics at 40 %": fresh[favoured],
        "rotated at random": some @ basis.astype(np.float32),
        "rotated by 15°": some @ slight,
    }

    def shifts(_: Likelihood) -> Mapping[str, Shift]:
        return {name: Shift(shifted) for name, shifted in made.items()} | contaminated("new topic", new)

    return Material(
        name="embeddings",
        description=f"{FEATURES} features of a small network for eight kinds of clothes; {len(train):,} to train on, "
        f"{len(fresh):,} to draw windows from",
        train=train,
        config={"flow": {"layers": 4, "hidden": 96}, "training": {"minutes": 3, "batch_size": 256}},
        fresh=fresh,
        shifts=shifts,
    )


def _of_known(part: str) -> tuple[Images, NDArray[np.uint8]]:
    images, kinds = fashion.images(part), fashion.labels(part)
    known = np.isin(kinds, KNOWN)
    return images[known], kinds[known]


def _trained(images: Images, kinds: NDArray[np.uint8], seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 5, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(512, FEATURES), nn.Tanh(), nn.Linear(FEATURES, len(KNOWN)),
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    x, y = _scaled(images), torch.from_numpy(kinds.astype(np.int64))
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(128):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
            optimiser.step()
    return network.eval()


@torch.inference_mode()
def _features(network: nn.Sequential, images: Images) -> NDArray[np.float32]:
    """The inputs of the last activation: outputs of a tanh are bounded, and densities at a bound are hard to learn."""
    return np.concatenate([network[:-2](part).numpy() for part in _scaled(images).split(1_000)])


def _scaled(images: Images) -> torch.Tensor:
    return torch.from_numpy(images[:, None].astype(np.float32) / 255)


def _turn(dim: int, angle: float) -> NDArray[np.float32]:
    """A matrix that rotates each pair of neighbouring dimensions by an angle."""
    block = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.kron(np.eye(dim // 2), block).astype(np.float32)
