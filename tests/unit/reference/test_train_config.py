"""A training needs only a few lines of configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from driftwatch.data.schema import ImageSchema
from driftwatch.errors import ConfigError
from driftwatch.reference.train_config import TrainConfig, load_train_config


def load(tmp_path: Path, text: str) -> TrainConfig:
    path = tmp_path / "train.yaml"
    path.write_text(text)
    return load_train_config(path)


def test_data_are_the_only_required_setting(tmp_path: Path) -> None:
    found = load(tmp_path, "data: {train: images.npy}")
    assert found.data.train == [tmp_path / "images.npy"]
    assert found.data.columns is None
    assert not found.data.exclude
    assert found.training.minutes == 15.0
    assert found.training.learning_rate == 3e-3


def test_several_files_and_an_explicit_sample(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        """
        data: {train: [a.npy, /b.npy]}
        sample: {kind: image, channels: 3, height: 8, width: 8, dtype: float32, low: -1, high: 1}
        training: {minutes: null, max_steps: 5}
        output: {bundle: out/cam, name: cam}
        """,
    )
    assert found.data.train == [tmp_path / "a.npy", Path("/b.npy")]
    assert found.sample == ImageSchema(channels=3, height=8, width=8, dtype="float32", low=-1.0, high=1.0)
    assert found.output.bundle == tmp_path / "out" / "cam"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {train: []}", "data.train"),
        ("data: {tain: x.npy}", "did you mean 'train'"),
        ("data: {train: x.csv, columns: []}", "data.columns"),
        ("data: {train: x.csv, columns: [a], exclude: [b]}", "columns or exclude, not both"),
        ("data: {train: x.npy}\ntraining: {minutes: null}", "training never ends"),
        ("data: {train: x.npy}\ntraining: {learning_rate: 0}", "training.learning_rate"),
        ("data: {train: x.npy}\ntraining: {validation_fraction: 0.6}", "training.validation_fraction"),
        ("data: {train: x.npy}\ntraining: {device: tpu}", "training.device"),
        ("data: {train: x.npy}\nsample: {kind: sound}", "not a known kind"),
        ("data: {train: x.npy}\noutput: {name: a/b}", "output.name"),
    ],
)
def test_mistakes_are_reported(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        load(tmp_path, text)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [("table.csv", b"age,town\n31,Ulm\n"), ("vectors.npy", b"\x93NUMPY\x01\x00v\x00"), ("photos", None)],
)
def test_data_given_in_place_of_a_configuration_are_recognised(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    (tmp_path / name).mkdir() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=r"\(give a configuration in YAML, such as data: {train: \[FILE\]}\)$"):
        load_train_config(tmp_path / name)


def test_a_single_column_can_be_excluded(tmp_path: Path) -> None:
    assert load(tmp_path, "data: {train: x.csv, exclude: visit}").data.exclude == ("visit",)
