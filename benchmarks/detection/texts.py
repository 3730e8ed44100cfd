"""Real texts as numbers: descriptions of Debian's packages by topic, with unseen topics and other mixtures as shifts.

The numbers are principal components of word counts (latent semantic analysis), since no model of sentences comes with a
Python package. They vary less and less from first to last, as those of shortened embeddings do.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.material import Likelihood, Material, Shift, contaminated
from driftwatch.errors import DataError

NUMBERS = 384
TRAINED, LEAST_FOUND = 30_000, 45_000
NEW = "games"
"""A section that the reference has not seen."""

FAVOURED = {"python": 2.0, "rust": 4.0}
"""Sections that become more frequent, and how many times."""

SHORTEST = 12
"""Characters of a description; shorter ones say too little."""

LEAST_LENGTH = 1e-3

MIXED = (50, 500)
"""Sizes of windows of other mixtures, which smaller windows hardly show."""

Vectors = NDArray[np.float32]


def texts(samples: int, seed: int) -> Material:
    """Descriptions of all of Debian's packages that the machine knows of, but for one section.

    Raises:
        DataError: this is no Debian, or its lists of packages are not there.
    """
    described = descriptions()
    sections = np.array(list(described.values()))
    vectors = embedded(list(described))
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.flatnonzero(vectors.any(axis=1)))
    vectors, sections = vectors[order], sections[order]
    known, new = sections != NEW, vectors[sections == NEW]
    train, fresh, topics = vectors[known][:TRAINED], vectors[known][TRAINED:], sections[known][TRAINED:]
    by_size = [name for name, _ in Counter(topics.tolist()).most_common()]

    def mixed(weight: Mapping[str, float]) -> Vectors:
        weights = np.array([weight.get(topic, 1.0) for topic in topics])
        chosen: Vectors = fresh[rng.random(len(fresh)) < weights / weights.max()]
        return chosen[:samples]

    made = {
        **{f"mixture: {topic} x{factor:g}": mixed({topic: factor}) for topic, factor in FAVOURED.items()},
        "mixture: half the topics at 40 %": mixed(dict.fromkeys(by_size[1::2], 0.4)),
    }

    def shifts(_: Likelihood) -> Mapping[str, Shift]:
        return {
            "new topic": Shift(new),
            **contaminated("new topic", new),
            **{name: Shift(shifted, sizes=MIXED) for name, shifted in made.items()},
        }

    return Material(
        name="texts",
        description=f"one-line descriptions of Debian's packages as {NUMBERS} principal components of their words; "
        f"{len(train):,} to train on, {len(fresh):,} to draw windows from",
        train=train,
        config={"training": {"minutes": 10}},
        fresh=fresh,
        shifts=shifts,
    )


def descriptions() -> dict[str, str]:
    """Descriptions of packages, each once, and the section that it is from.

    Raises:
        DataError: this is no Debian, or its lists of packages are not there.
    """
    command = shutil.which("apt-cache")
    listed = subprocess.run([command, "dumpavail"], capture_output=True, check=True).stdout if command else b""
    found: dict[str, str] = {}
    for package in listed.decode(errors="replace").split("\n\n"):
        fields = dict(re.findall(r"^(Section|Description): (.*)$", package, re.MULTILINE))
        text, section = fields.get("Description", "").strip(), fields.get("Section", "").rpartition("/")[2]
        if section and len(text) >= SHORTEST:
            found.setdefault(text.lower(), section)
    if len(found) < LEAST_FOUND:
        raise DataError(
            f"{len(found):,} descriptions of packages are too few",
            where="texts",
            remedy="on Debian, run apt-get update",
        )
    return found


def embedded(written: list[str]) -> Vectors:
    """Vectors of length 1, ``(N, NUMBERS)``; of length 0 for texts of rare words alone."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=3, ngram_range=(1, 2), stop_words="english")
    found = TruncatedSVD(NUMBERS, n_iter=3, random_state=0).fit_transform(words.fit_transform(written))
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(lengths > LEAST_LENGTH, found / np.maximum(lengths, LEAST_LENGTH), 0.0).astype(np.float32)
