"""What is said of a new reference beside the figures."""

from __future__ import annotations

import pytest

from driftwatch.cli.detected import show_wide
from driftwatch.data.schema import ImageSchema, Schema, VectorSchema


@pytest.mark.parametrize(
    ("schema", "lines"),
    [(VectorSchema(dim=101), 1), (VectorSchema(dim=100), 0), (ImageSchema(channels=1, height=28, width=28), 0)],
)
def test_of_wide_embeddings_it_is_said_what_is_seen_late(
    schema: Schema, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    show_wide(schema)
    assert capsys.readouterr().out.count("known topics that become more or less frequent are seen late") == lines
