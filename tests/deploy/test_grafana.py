"""The dashboards match their code, load again, and are consistent: layout, links, variables, metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.__main__ import FOLDER, encoded, written
from deploy.grafana.ask import View, filled, panels
from driftwatch.serve.metrics import Metrics

BOARDS = {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
COLUMNS = 24
WITHOUT_UNIT = {"table", "state-timeline", "heatmap"}


def each_panel() -> Iterator[Any]:
    for name, board in BOARDS.items():
        for panel in panels(board):
            yield pytest.param(board, panel, id=f"{name}: {panel['title']}")


def queries(board: dict[str, Any]) -> Iterator[str]:
    for panel in panels(board):
        yield from (target["expr"] for target in panel["targets"])
    yield from (each["expr"] for each in board["annotations"].get("list", ()))
    yield from (each["query"]["query"] for each in board["templating"]["list"] if each["type"] == "query")


def test_the_files_match_the_code() -> None:
    assert {path.name: path.read_text() for path in FOLDER.glob("*.json")} == written(), "run python -m deploy.grafana"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_loads_again(name: str) -> None:
    register_default_plugins()
    board = json.loads((FOLDER / name).read_text())
    for each in board["annotations"].get("list", ()):  # fields of the data source, which the SDK does not model
        for key in ("titleFormat", "textFormat", "step", "tagKeys"):
            assert each.pop(key)
    assert encoded(Dashboard.from_json(board)) == board


@pytest.mark.parametrize("name", BOARDS)
def test_panels_do_not_overlap(name: str) -> None:
    places = [panel["gridPos"] for panel in BOARDS[name]["panels"]]
    assert all(place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    numbers = [panel["id"] for panel in BOARDS[name]["panels"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize(("board", "panel"), list(each_panel()))
def test_a_panel_is_described_and_queries_the_chosen_prometheus(board: dict[str, Any], panel: dict[str, Any]) -> None:
    del board
    assert panel["description"].endswith(".")
    assert panel["type"] in WITHOUT_UNIT or panel["fieldConfig"]["defaults"]["unit"]
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs)
    for each in (panel, *panel["targets"]):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("name", BOARDS)
def test_queries_name_metrics_and_variables_that_exist(name: str) -> None:
    board = BOARDS[name]
    families = list(Metrics().registry.collect())
    names = {f"{family.name}{suffix}" for family in families for suffix in ("", "_total", "_bucket", "_info")}
    expressions = list(queries(board))
    used = set(re.findall(r"driftwatch_\w+", " ".join(expressions)))
    assert used - names == set()
    view = View("", 0, 3600, 15, {"stream": ['a "stream"'], "job": ["one", "tw.o"]})
    for expr in expressions:
        assert "$" not in filled(view, board, expr)


def test_variables_are_filled_in_as_grafana_does() -> None:
    board = BOARDS["driftwatch-stream.json"]
    view = View("", 0, 3600, 15, {"stream": ['a "b"'], "job": ["one", "t.o"], "window": ["50"]})
    expr = 'x{job=~"$job", instance=~"$instance", stream="$stream", window=~"${window}"}[$__rate_interval]'
    expected = r'x{job=~"(one|t\\.o)", instance=~".*", stream="a \"b\"", window=~"50"}[60s]'
    assert filled(view, board, expr) == expected


def test_the_dashboards_link_to_each_other() -> None:
    known = {board["uid"] for board in BOARDS.values()}
    for board in BOARDS.values():
        assert set(re.findall(r'"/d/([\w-]+)/', json.dumps(board))) == known - {board["uid"]}


def test_grafana_s_provisioning_fits_the_dashboards() -> None:
    folder = FOLDER.with_name("provisioning")
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    scraped = yaml.safe_load((FOLDER.parents[1] / "prometheus" / "prometheus.yml").read_text())["global"]
    assert source["jsonData"]["timeInterval"] == scraped["scrape_interval"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "driftwatch.yaml").read_text())["providers"]
    assert Path(provider["options"]["path"]).is_absolute()
