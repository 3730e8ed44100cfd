"""Draws the pictures of docs/method.md from measurements of a Fashion-MNIST reference.

python -m benchmarks.method_pictures bundles/fashion docs/method
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.pictures.explanation import parts
from benchmarks.pictures.likelihood import contrasts, paradox, shell
from benchmarks.pictures.material import Material, load_material
from benchmarks.pictures.stream import budgets, stream

PICTURES: Mapping[str, Callable[[Path, Material], None]] = {
    "paradox": paradox,
    "shell": shell,
    "contrast": contrasts,
    "stream": stream,
    "parts": parts,
    "budget": budgets,
}


def main(bundle: Path, folder: Path, chosen: Sequence[str] = ()) -> None:
    """Write each picture as a PNG file, or only the `chosen` ones."""
    material = load_material(bundle)
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in PICTURES.items():
        if name in (chosen or PICTURES):
            draw(folder / f"{name}.png", material)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
