"""Data sets that cannot be published are refused before a broker is contacted."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.config import KafkaSource
from driftwatch.data.readers import open_dataset
from driftwatch.errors import UsageError
from driftwatch.stream.publish import PublishPlan, publish_dataset

NOWHERE = KafkaSource(kind="kafka", bootstrap_servers=["127.0.0.1:1"], topic="t")


def test_categories_are_not_sent_as_numbers(tmp_path: Path) -> None:
    file = tmp_path / "towns.csv"
    file.write_text("age,town\n1,Ulm\n2,Bonn\n")
    with pytest.raises(UsageError, match=r"npy carries numbers only.*use rows, v2 or arrow"):
        publish_dataset(open_dataset(file), PublishPlan("t", "towns", None, format="npy"), NOWHERE)


def test_an_offset_beyond_the_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "towns.csv"
    file.write_text("age\n1\n2\n")
    with pytest.raises(UsageError, match="has 2 rows, none after row 5"):
        publish_dataset(open_dataset(file), PublishPlan("t", "towns", None, offset=5), NOWHERE)


def test_avro_needs_a_schema_registry(tmp_path: Path) -> None:
    file = tmp_path / "towns.csv"
    file.write_text("age\n1\n2\n")
    with pytest.raises(UsageError, match="--schema-registry: is required for format avro"):
        publish_dataset(open_dataset(file), PublishPlan("t", "towns", None, format="avro"), NOWHERE)
