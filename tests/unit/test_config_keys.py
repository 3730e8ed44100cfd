"""Every key of a configuration says what it is for, which editors show from the JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from driftwatch.config import DaemonConfig
from driftwatch.reference.train_config import TrainConfig
from driftwatch.settings import Settings


def models_in(annotation: Any) -> Iterator[type[Settings]]:
    """The sections of a configuration that a key's type names, however deep."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for part in get_args(annotation):
        yield from models_in(part)


@pytest.mark.parametrize("model", sorted({*models_in(DaemonConfig), *models_in(TrainConfig)}, key=lambda m: m.__name__))
def test_every_key_is_described(model: type[Settings]) -> None:
    sections = {name for name, field in model.model_fields.items() if any(models_in(field.annotation))}
    silent = {name for name, field in model.model_fields.items() if not field.description} - sections - {"kind"}
    assert not silent
    assert model.__doc__
