"""Writes the dashboards: ``python -m deploy.grafana``; the files are committed, and a test holds them to this code."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.fleet import fleet
from deploy.grafana.stream import stream

FOLDER = Path(__file__).with_name("dashboards")


def written() -> dict[str, str]:
    """The text of each file, by its name."""
    made = {str(board.uid): board for board in (fleet(), stream())}
    return {f"{uid}.json": json.dumps(board, cls=JSONEncoder, indent=2) + "\n" for uid, board in made.items()}


if __name__ == "__main__":
    for name, text in written().items():
        (FOLDER / name).write_text(text)
