"""Where in a file a pydantic error is: pydantic's own locations also name the members of unions."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel

KeyPath = tuple[str | int, ...]
KEY = "[key]"
"""Pydantic's last step if the key itself is wrong, rather than its value."""


def resolve(loc: KeyPath, model: type[BaseModel]) -> tuple[KeyPath, type[BaseModel] | None]:
    """Drop the steps that name union members from a location; also return the model that owns its key."""
    path, owner, _ = _walk(loc, model)
    return path, owner


def kinds_at(loc: KeyPath, model: type[BaseModel]) -> list[str]:
    """The possible values of ``kind`` at a location."""
    _, _, members = _walk(loc, model)
    return [tag for each in members if isinstance(each, type) and issubclass(each, BaseModel) for tag in _tags(each)]


def _walk(loc: KeyPath, model: type[BaseModel]) -> tuple[KeyPath, type[BaseModel] | None, tuple[Any, ...]]:
    """The location, the model that owns its key, and the types allowed there."""
    path: list[str | int] = []
    current: tuple[Any, ...] = (model,)
    owner: type[BaseModel] | None = model
    for step in loc:
        if step == KEY:
            continue
        models = [each for each in current if isinstance(each, type) and issubclass(each, BaseModel)]
        tagged = [each for each in models if len(current) > 1 and step in _tags(each)]
        if tagged:
            current, owner = tuple(tagged), tagged[0]
            continue
        if len(current) > 1 and not models and isinstance(step, str) and not any(map(_has_keys, current)):
            continue
        path.append(step)
        owner = models[0] if models else None
        if owner is not None and isinstance(step, str) and step in owner.model_fields:
            current = tuple(_members(owner.model_fields[step].annotation))
        elif owner is None:
            current = tuple(item for each in current for item in _items(each))
        else:
            current = ()
    return tuple(path), owner, current


def _members(annotation: Any) -> Iterator[Any]:
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _members(typing.get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for argument in typing.get_args(annotation):
            yield from _members(argument)
    elif annotation is not type(None):
        yield annotation


def _items(annotation: Any) -> Iterator[Any]:
    arguments = [argument for argument in typing.get_args(annotation) if argument is not Ellipsis]
    if arguments and typing.get_origin(annotation) is not Literal:
        yield from _members(arguments[-1])


def _has_keys(annotation: Any) -> bool:
    return (typing.get_origin(annotation) or annotation) is dict


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("kind")
    return typing.get_args(field.annotation) if field is not None else ()
