"""Where in a file a pydantic error is: pydantic's own locations also name the members of unions."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel

KeyPath = tuple[str | int, ...]
KEY = "[key]"
"""Pydantic's last step if the key itself is wrong, rather than its value."""


@dataclass(frozen=True)
class Place:
    """Where an error is.

    Args:
        path: without the steps that name union members.
        owner: the model that owns its key; None if that is no key of a model.
        hidden: whether it is in a field that is not shown (``repr=False``), since its value may hold secrets.
        allowed: the types allowed there.
    """

    path: KeyPath
    owner: type[BaseModel] | None
    hidden: bool
    allowed: tuple[Any, ...]

    @property
    def kinds(self) -> list[str]:
        """The possible values of ``kind`` there."""
        models = [each for each in self.allowed if isinstance(each, type) and issubclass(each, BaseModel)]
        return [tag for each in models for tag in _tags(each)]


def resolve(loc: KeyPath, model: type[BaseModel]) -> Place:
    """The place of an error, from pydantic's location of it in a model."""
    path: list[str | int] = []
    current: tuple[Any, ...] = (model,)
    owner: type[BaseModel] | None = model
    hidden = False
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
            field = owner.model_fields[step]
            current, hidden = tuple(_members(field.annotation)), hidden or not field.repr
        elif owner is None:
            current = tuple(item for each in current for item in _items(each))
        else:
            current = ()
    return Place(tuple(path), owner, hidden, current)


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
