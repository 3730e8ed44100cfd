"""Imports point one way, that of the data; start-up is fast; modules stay small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import driftwatch

PACKAGE = Path(__file__).parents[2] / "driftwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))
ORDER = (
    "errors",
    "client",
    "cpus",
    "locations",
    "settings_places",
    "yaml_file",
    "settings",
    "flows",
    "kernels",
    "stats",
    "data",
    "config",
    "reference",
    "tracing",
    "stream",
    "api",
    "alerts",
    "serve",
    "event_log",
    "terminal",
    "logs",
    "freed_memory",
    "running",
    "forwarder",
    "plan",
    "backtest",
    "reloading",
    "delivering",
    "daemon",
    "demo",
    "cli",
)
PURE = {"flows", "stats"}
PURE_MAY_IMPORT = {"torch", "numpy", "scipy", "array_api_compat", "driftwatch"}
MOST_CLIENT_MODULES = 150
HEAVY = ("torch", "kafka", "scipy", "pyarrow", "matplotlib", "uvicorn", "opentelemetry")
MOST_LINES = 500


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


def name_of(path: Path) -> str:
    return ".".join(("driftwatch", *path.relative_to(PACKAGE).with_suffix("").parts))


def relative_path(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", [path for path in MODULES if room(name_of(path)) in ORDER], ids=relative_path)
def test_a_package_imports_only_packages_before_it(path: Path) -> None:
    own = ORDER.index(room(name_of(path)))
    for module in imported(path):
        if module.startswith("driftwatch."):
            assert ORDER.index(room(module)) <= own, f"{relative_path(path)} imports {module}"


def test_every_package_has_its_place_in_the_order() -> None:
    rooms = {room(name_of(path)) for path in MODULES} - {"__init__", "__main__"}
    assert rooms == set(ORDER)


def test_the_design_names_packages_in_this_order() -> None:
    design = (PACKAGE.parent / "docs" / "design.md").read_text()
    named = re.findall(r"`(\w+)`", design.partition("a test enforces it:")[2].partition(".")[0])
    assert len(named) > 10
    assert named == sorted(named, key=ORDER.index)


@pytest.mark.parametrize("path", [path for path in MODULES if room(name_of(path)) in PURE], ids=relative_path)
def test_the_mathematics_does_no_input_or_output(path: Path) -> None:
    for module in imported(path):
        top = module.split(".")[0]
        assert top in PURE_MAY_IMPORT | sys.stdlib_module_names, f"{relative_path(path)} imports {module}"
        assert top not in {"threading", "socket", "pathlib", "time", "os"}, f"{relative_path(path)} imports {module}"


def test_reading_data_needs_no_torch() -> None:
    for path in MODULES:
        if room(name_of(path)) == "data":
            assert not [module for module in imported(path) if module.split(".")[0] == "torch"], relative_path(path)


def test_the_command_line_starts_without_heavy_libraries() -> None:
    code = f"import sys, driftwatch.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_daemons_and_users_scripts_start_without_slow_imports() -> None:
    # In one process, since each imports PyTorch, which takes seconds.
    code = """
import sys, driftwatch.api.reference, driftwatch.daemon, driftwatch.forwarder, driftwatch.tracing
driftwatch.tracing.open_tracer(None)
print([module for module in ("scipy.stats", "matplotlib", "opentelemetry") if module in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_python_api_is_imported_lazily() -> None:
    code = f"""
import sys, driftwatch
print([m for m in {HEAVY!r} if m in sys.modules], dir(driftwatch) == sorted(driftwatch.__all__))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[] True"]
    assert [name for name in driftwatch.__all__ if getattr(driftwatch, name, None) is None] == []


def test_a_service_imports_the_client_with_the_standard_library_alone() -> None:
    code = """
import sys
before = set(sys.modules)
import driftwatch.client.asgi
print(len(set(sys.modules) - before), "http.client" in sys.modules, "asyncio" in sys.modules)
client = driftwatch.client.Client("http://127.0.0.1:9", linger_s=0, retry_s=0)
client.observe([{"age": 31, "city": "Ulm"}])
client.close()
tops = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(tops - set(sys.stdlib_module_names) - {"driftwatch"}), client.stats().failed)
"""
    bare = [sys.executable, "-S", "-c", code]
    environment = {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(bare, capture_output=True, text=True, check=True, env=environment)
    (imported_modules, *heavy), (foreign, failed) = (line.split() for line in done.stdout.splitlines())
    assert int(imported_modules) < MOST_CLIENT_MODULES
    assert heavy == ["False", "False"]
    assert (foreign, failed) == ("[]", "1")


@pytest.mark.parametrize("path", MODULES, ids=relative_path)
def test_modules_have_a_docstring_and_stay_small(path: Path) -> None:
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{relative_path(path)} has no docstring"
    assert len(text.splitlines()) <= MOST_LINES
