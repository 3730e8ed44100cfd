"""Asks Prometheus what the dashboards ask it: their queries with the variables filled in as Grafana would."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

RATE_SCRAPES = 4
"""Scrape intervals that ``$__rate_interval`` spans at least, as in Grafana."""

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0}
_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
# Made anew for each query, it would take twenty times as long as the query.
_trust = functools.cache(httpx.create_ssl_context)
_REGEX_CHARACTERS = re.compile(r"[\\$^*{}\[\]+?.()|]")


@dataclass(frozen=True)
class Series:
    """One line: its labels, its name in the legend, times (seconds since the epoch) and values."""

    labels: Mapping[str, str]
    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class View:
    """What a dashboard is looked at with.

    Args:
        url: of Prometheus.
        start: of the time range, seconds since the epoch.
        end: of the time range.
        scrape_s: the data source's scrape interval, seconds.
        chosen: values of the variables; those that may have several and are not here have all.
        points: of a line, at most.
        least_step_s: that a panel asks for, seconds.
    """

    url: str
    start: float
    end: float
    scrape_s: float
    chosen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    points: int = 300
    least_step_s: float = 0.0

    @property
    def step_s(self) -> float:
        """Between the points of a line."""
        return max(self.scrape_s, self.least_step_s, float(round((self.end - self.start) / self.points)))


def panels(board: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The panels of a dashboard that show something, in their order."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", ())
        else:
            yield panel


def ask_panel(view: View, board: Mapping[str, Any], panel: Mapping[str, Any]) -> dict[str, list[Series]]:
    """What a panel shows, by the names of its queries.

    Raises:
        httpx.HTTPStatusError: a query is wrong.
    """
    least_s = _SECONDS[panel["interval"][-1]] * float(panel["interval"][:-1]) if panel.get("interval") else 0.0
    coarse = replace(view, least_step_s=least_s)
    return {
        target["refId"]: ask(
            coarse,
            filled(coarse, board, target["expr"]),
            instant=bool(target.get("instant")),
            legend=target.get("legendFormat", ""),
        )
        for target in panel["targets"]
    }


def ask(view: View, expr: str, *, instant: bool = False, legend: str = "") -> list[Series]:
    """The answer to a query over the time range, or at its end if `instant`.

    Steps are multiples of their length, as in Grafana; but the last one, which is not over yet, is asked for too.

    Raises:
        httpx.HTTPStatusError: it is wrong.
    """
    asked: dict[str, str | float] = {"query": expr}
    if instant:
        asked["time"] = view.end
    else:
        first, last = math.floor(view.start / view.step_s), math.ceil(view.end / view.step_s)
        asked |= {"start": first * view.step_s, "end": last * view.step_s, "step": view.step_s}
    path = "query" if instant else "query_range"
    answer = httpx.post(f"{view.url}/api/v1/{path}", data=asked, verify=_trust(), timeout=30)
    answer.raise_for_status()
    return [_series(found, legend) for found in answer.json()["data"]["result"]]


def values_of(view: View, board: Mapping[str, Any], name: str) -> list[str]:
    """What a variable of a dashboard may be chosen to be.

    Raises:
        ValueError: its query is none that asks for the values of a label.
    """
    variable = next(each for each in board["templating"]["list"] if each["name"] == name)
    asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    if asked is None:
        raise ValueError(f"{name}: {variable['query']['query']} does not ask for the values of a label")
    match = filled(view, board, asked[1])
    parameters: dict[str, str | float] = {"match[]": match, "start": view.start, "end": view.end}
    answer = httpx.get(f"{view.url}/api/v1/label/{asked[2]}/values", params=parameters, verify=_trust(), timeout=30)
    answer.raise_for_status()
    found: list[str] = answer.json()["data"]
    return found


def filled(view: View, board: Mapping[str, Any], expr: str) -> str:
    """A query with its variables filled in.

    Raises:
        KeyError: it has one that the dashboard does not know, or that is not chosen.
    """
    known = {variable["name"]: variable for variable in board["templating"]["list"]}
    spans = {
        "__interval": view.step_s,
        "__rate_interval": max(view.step_s + view.scrape_s, RATE_SCRAPES * view.scrape_s),
        "__range": view.end - view.start,
    }

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name in spans:
            return f"{round(spans[name])}s"
        variable = known[name]
        several = bool(variable.get("multi"))
        if several and not view.chosen.get(name):
            return str(variable["allValue"])
        chosen = view.chosen[name]
        if not several:
            return chosen[0].replace("\\", "\\\\").replace('"', '\\"')
        escaped = [_REGEX_CHARACTERS.sub(r"\\\\\g<0>", each) for each in chosen]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    return _VARIABLE.sub(value, expr)


def _series(found: Mapping[str, Any], legend: str) -> Series:
    labels = found["metric"]
    points = found["values"] if "values" in found else [found["value"]]
    name = re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: str(labels.get(match[1], "")), legend)
    times, values = zip(*((float(time), float(value)) for time, value in points), strict=True)
    return Series(labels, name, times, values)
