"""Docstrings describe arguments by their names and in their order, and a function's all or none."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("driftwatch", "deploy", "benchmarks", "tests")

Documented = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def described(docstring: str) -> list[str]:
    """The names in a docstring's section of arguments."""
    section = re.search(r"^Args:\n((?: +.*\n?|\n)+)", docstring, re.MULTILINE)
    return re.findall(r"^    (\w+):", section[1], re.MULTILINE) if section else []


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names of a function's parameters, without those of the object or class."""
    each = function.args
    stated = [*each.posonlyargs, *each.args, *([each.vararg] if each.vararg else []), *each.kwonlyargs]
    names = [argument.arg for argument in (*stated, *([each.kwarg] if each.kwarg else []))]
    return [name for name in names if name not in ("self", "cls")]


def fields(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    """The names of a class's fields and of its constructor's parameters, also inherited."""
    names: set[str] = set()
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            names.add(each.target.id)
        elif isinstance(each, ast.FunctionDef) and each.name in ("__init__", "__new__"):
            names.update(parameters(each))
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in classes:
            names |= fields(classes[base.id], classes)
    return names


def test_arguments_are_described_by_their_names() -> None:
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    nodes = [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    classes = {node.name: node for _, node in nodes if isinstance(node, ast.ClassDef)}
    wrong, count = [], 0
    for path, node in nodes:
        if not isinstance(node, Documented) or not (names := described(ast.get_docstring(node) or "")):
            continue
        count += 1
        fine = set(names) <= fields(node, classes) if isinstance(node, ast.ClassDef) else names == parameters(node)
        if not fine or len(set(names)) < len(names):
            wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert count > 500
    assert not wrong


@pytest.mark.parametrize(
    ("docstring", "names"),
    [
        ("Do it.", []),
        (
            "Do it.\n\nArgs:\n    one: the\n        first: of\n    two: a pair.\n\nReturns:\n    it: x.",
            ["one", "two"],
        ),
    ],
)
def test_descriptions_are_found(docstring: str, names: list[str]) -> None:
    assert described(docstring) == names
