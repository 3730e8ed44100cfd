"""What the README and the docs tell users to write is accepted: commands, options, configurations, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml

from driftwatch.cli.app import app
from driftwatch.config import DaemonConfig
from driftwatch.reference.train_config import TrainConfig

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
COMMANDS = typer.main.get_group(app).commands


def documented_commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for line in re.findall(r"^ {4}(driftwatch .+)$", text, re.MULTILINE):
            yield page.name, line.split("|")[0]


def documented_yaml() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.+?)```", page.read_text(), re.DOTALL):
            yield page.name, block


@pytest.mark.parametrize(("page", "line"), list(documented_commands()))
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    assert words[0] in COMMANDS, f"{page}: {line}"
    known = {option for parameter in COMMANDS[words[0]].params for option in parameter.opts}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert not unknown, f"{page}: {line}"


@pytest.mark.parametrize(("page", "block"), list(documented_yaml()))
def test_configurations_are_accepted(page: str, block: str, tmp_path: Path) -> None:
    del page
    data = yaml.safe_load(block)
    model = DaemonConfig if "source" in data else TrainConfig
    model.model_validate(data, context={"base_directory": tmp_path})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_files_exist(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documented = {target for page in PAGES for target in re.findall(r"make ([a-z]+)", page.read_text())}
    assert documented
    assert documented <= targets
