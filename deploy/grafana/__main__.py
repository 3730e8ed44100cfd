"""Writes the dashboards: ``python -m deploy.grafana``; the files are committed, and a test holds them to this code."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard, DashboardLinkPlacement

from deploy.grafana.fleet import fleet
from deploy.grafana.stream import stream

FOLDER = Path(__file__).with_name("dashboards")


def encoded(board: Dashboard) -> Any:
    """A dashboard as JSON. Links and annotations stay in sight: the SDK knows no other place for them than a menu."""
    menu = DashboardLinkPlacement.IN_CONTROLS_MENU

    def in_sight(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if value != menu}

    return json.loads(json.dumps(board, cls=JSONEncoder), object_hook=in_sight)


def written() -> dict[str, str]:
    """The text of each file, by its name."""
    made = {str(board.uid): encoded(board) for board in (fleet(), stream())}
    return {f"{uid}.json": json.dumps(board, indent=2) + "\n" for uid, board in made.items()}


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    for name, text in written().items():
        (FOLDER / name).write_text(text)
