"""The map of where an image changed, as a small picture."""

from __future__ import annotations

import io

from driftwatch.stream.alert import HeatMap

SIDE = 224
LIGHT, DARK = (247, 240, 238), (160, 22, 16)


def heat_map_png(found: HeatMap) -> bytes:
    """A PNG whose longer side has at most 224 pixels: light where nothing changed, dark where most did."""
    from PIL import Image

    rows, columns = len(found.values), len(found.values[0])
    top = max(max(row) for row in found.values) or 1.0
    shares = [min(1.0, max(0.0, value / top)) if top > 0 else 0.0 for row in found.values for value in row]
    image = Image.new("RGB", (columns, rows))
    image.putdata(
        [
            tuple(round(light + share * (dark - light)) for light, dark in zip(LIGHT, DARK, strict=True))
            for share in shares
        ]
    )
    cell = max(1, SIDE // max(rows, columns))
    written = io.BytesIO()
    image.resize((cell * columns, cell * rows), Image.Resampling.NEAREST).save(written, "PNG", optimize=True)
    return written.getvalue()
