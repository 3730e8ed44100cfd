"""Draws the pictures of docs/method.md from measurements of a Fashion-MNIST reference.

python -m benchmarks.method_pictures bundles/fashion docs/method
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
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


def main() -> None:
    """Write each picture as a PNG file, or only those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", help=f"pictures to draw: {', '.join(PICTURES)}; all if none is named")
    options = parser.parse_args()
    if unknown := set(options.names) - set(PICTURES):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    material = load_material(options.bundle)
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or PICTURES:
        PICTURES[name](options.folder / f"{name}.png", material)


if __name__ == "__main__":
    main()
