"""Prometheus's own tools accept the scrape configuration and the rules, and run the rules' tests."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from driftwatch.errors import DeadLetterReason
from driftwatch.serve.metrics import Metrics
from tests.programs import required
from tests.unit.serve.test_serve import EVENTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "prometheus"
PAGE = ROOT / "docs" / "observing.md"


def promtool(*arguments: str, stdin: bytes | None = None) -> str:
    tool = required("promtool", "prometheus")
    done = subprocess.run([tool, *arguments], input=stdin, capture_output=True, timeout=60, check=False)
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    return output


def rules() -> Iterator[dict[str, Any]]:
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]:
        yield from group["rules"]


ALERTS = [rule for rule in rules() if "alert" in rule]


def test_the_configuration_and_the_rules_are_valid() -> None:
    assert "rules found" in promtool("check", "config", str(FOLDER / "prometheus.yml"))


def test_the_rules_pass_promtool_s_tests() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(FOLDER / "rules.test.yml"))


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_links_to_its_runbook(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == "docs/observing.md"
    headings = re.findall(r"^#+ (.+)$", PAGE.read_text(), re.MULTILINE)
    assert anchor in {heading.lower().replace(" ", "-") for heading in headings}
    assert f"alertname: {rule['alert']}" in (tested := (FOLDER / "rules.test.yml").read_text()) or (
        f'alertname="{rule["alert"]}"' in tested
    )


def test_recorded_names_follow_the_convention() -> None:
    for rule in rules():
        if "record" in rule:
            assert re.fullmatch(r"[a-z_]+:driftwatch_[a-z_]+:[a-z0-9_]+", rule["record"])


def test_every_metric_is_documented() -> None:
    metrics = Metrics(streams=["a"], severities=["critical"])
    for event in EVENTS:
        metrics(event)
    text, _ = metrics.render()
    page = PAGE.read_text()
    families = list(text_string_to_metric_families(text.decode()))
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert {name for name in names if f"`{name}" not in page} == set()


def test_the_runbooks_explain_every_reason_of_dead_letters() -> None:
    runbooks = PAGE.read_text().partition("# When an alert fires")[2]
    assert {reason for reason in get_args(DeadLetterReason) if f"`{reason}`" not in runbooks} == set()


def test_metric_names_follow_prometheus_conventions() -> None:
    metrics = Metrics()
    for event in EVENTS:
        metrics(event)
    assert promtool("check", "metrics", stdin=metrics.render()[0]) == ""
