"""A YAML file as data, with the lines of its values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from driftwatch.errors import ConfigError
from driftwatch.settings_places import KeyPath

MOST_VALUES = 200_000
"""In a file, counting repeats by aliases (``*name``): ten lines of aliases can mean billions."""


@dataclass(frozen=True)
class Document:
    """A parsed file: its data before variables are replaced, and the tree with the lines; or data without a file."""

    path: Path | None
    root: yaml.Node | None
    data: Any

    def where(self, location: KeyPath) -> str:
        """Return ``file:line: dotted.path`` of a location, or of the nearest parent in the file."""
        if self.path is None:
            return dotted(location)
        node, line = self.root, 1
        for step in location:
            key, node = _child(node, step)
            if node is None:
                break
            line = (key or node).start_mark.line + 1
        keys = dotted(location)
        return f"{self.path}:{line}: {keys}" if keys else str(self.path)

    def stated(self, location: KeyPath) -> Any:
        """Return the value as written in the file (variables unexpanded), or None if there is none."""
        value = self.data
        for step in location:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value


def _child(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node | None, yaml.Node | None]:
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(step)), (None, None))
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    return None, None


def parse(path: Path, remedy: str) -> Document:
    """Read a file.

    Args:
        path: of the file.
        remedy: the remedy if it is not a text file.

    Raises:
        ConfigError: it is missing or not YAML, repeats a key, or holds far too much.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError("no such file", where=str(path), remedy="check the path") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 text (byte {error.start})", where=str(path), remedy=remedy) from None
    except IsADirectoryError:
        raise ConfigError("is a folder", where=str(path), remedy=remedy) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return Document(path, None, None)
            _refuse_repeated_keys(root, path, count(1))
            return Document(path, root, loader.construct_document(root))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise ConfigError(f"is not valid YAML: {what}", where=place, remedy=_correction(text, mark)) from None
    except RecursionError:
        raise ConfigError("is nested too deeply, or in itself", where=str(path)) from None
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:  # the latter for `!!bool x` and the like
        raise ConfigError(f"is not valid YAML: {error}", where=str(path)) from None


def _correction(text: str, mark: yaml.Mark | None) -> str:
    """How to correct a line that is not valid YAML, if that is clear."""
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if line[: len(line) - len(line.lstrip())].count("\t"):
        return "indent by spaces, not tabs"
    return 'within braces write it in quotes: "${NAME}"' if "${" in line else ""


def _refuse_repeated_keys(node: yaml.Node, path: Path, counted: Iterator[int]) -> None:
    if next(counted) > MOST_VALUES:
        raise ConfigError(f"holds more than {MOST_VALUES} values", where=str(path), remedy="use fewer aliases")
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            name = str(key.value)
            if name in seen and name != "<<":
                raise ConfigError(
                    f"key {name!r} is given twice",
                    where=f"{path}:{line}",
                    remedy=f"keep one; the other is on line {seen[name]}",
                )
            seen[name] = line
            _refuse_repeated_keys(value, path, counted)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_repeated_keys(value, path, counted)


def dotted(location: KeyPath) -> str:
    """A location as people write it: ``streams[0].name``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return text.removeprefix(".")
