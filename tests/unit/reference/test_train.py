"""From a configuration to a bundle, and what a user is told when that is not possible."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from driftwatch.config import WindowsConfig
from driftwatch.data.schema import TableSchema
from driftwatch.errors import BundleError, DataError, DriftwatchError, TrainingError, UsageError
from driftwatch.locations import Location, RemotePath
from driftwatch.reference.checkpoint import Interrupted
from driftwatch.reference.fitness import warning_texts
from driftwatch.reference.reference import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train import output_path, train
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener, Trained
from driftwatch.reference.training import StepReport
from tests import people
from tests.synthetic import shuffled_rows, waves

FRACTIONS = {"validation_fraction": 0.04, "calibration_fraction": 0.3}
"""So few to validate with that no detectable shifts are looked for, which takes its time."""


def config(data: str | Path | list[Path], sample: dict[str, Any] | None = None, **training: Any) -> TrainConfig:
    settings = {"minutes": None, "max_steps": 20, "validate_every": 5, "precision": "float32", **FRACTIONS, **training}
    return TrainConfig.model_validate(
        {
            "data": {"train": [str(path) for path in (data if isinstance(data, list) else [data])]},
            "sample": sample,
            "flow": {"scales": 2, "steps": 1, "hidden": 8, "layers": 2},
            "training": settings,
            "output": {"name": "waves $x$"},
        }
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 7x7 pixels, which have to be padded."""
    path = tmp_path_factory.mktemp("data") / "waves.npy"
    np.save(path, waves(2_000)[:, 0, :7, :7].astype(np.uint8))
    return path


class Ear:
    """Hears everything; asks to stop when a test says so."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[StepReport] = []
        self.doings: list[str] = []
        self.stop = threading.Event()
        self.stop_when: Callable[[str, int], bool] = lambda what, step: False

    def train(self, settings: TrainConfig, out: Location, **options: bool) -> Trained:
        trained = train(settings, out, self.stop, Listener(self.lines.append, self._tell, self._doing), **options)
        assert trained is not None
        return trained

    def _tell(self, told: StepReport) -> None:
        self.steps.append(told)
        if self.stop_when("training", told.step):
            self.stop.set()

    def _doing(self, what: str, _: float) -> None:
        self.doings.append(what)
        if self.stop_when(what, len(self.steps)):
            self.stop.set()


@pytest.fixture(scope="module")
def done(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ear, Trained]:
    ear = Ear()
    return ear, ear.train(config(images), tmp_path_factory.mktemp("out") / "deep" / "cam")


def test_writes_a_bundle_that_scores(done: tuple[Ear, Trained]) -> None:
    _, trained = done
    reference = load_reference(trained.path)
    assert (reference.name, reference.version) == ("waves $x$", trained.version)
    assert reference.schema.shape == (1, 7, 7)
    assert names(trained.path.parent) == ["cam"]
    scorer = Scorer(reference)
    fresh = waves(300, seed=5)
    plain, moved = (scorer(list(x[:, :, :7, :7].reshape(6, 50, 1, 7, 7))) for x in (fresh, shuffled_rows(fresh)))
    assert np.concatenate([pane.scores for pane in plain]).mean() < np.concatenate([p.scores for p in moved]).mean()


def test_a_bundle_may_go_to_a_url(
    done: tuple[Ear, Trained], images: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (RemotePath(bucket) / "waves.npy").upload(images)
    monkeypatch.chdir(tmp_path)
    ear, out = Ear(), RemotePath(f"{bucket}/deep/cam")
    ear.stop_when = lambda what, _: what == "calibrating"
    with pytest.raises(Interrupted):
        ear.train(config(f"{bucket}/waves.npy"), out)
    assert names(tmp_path) == ["cam.training"]
    trained = Ear().train(config(f"{bucket}/waves.npy"), out)
    assert (trained.path, trained.version) == (out, done[1].version)
    assert (out / "report.png").exists()
    assert names(tmp_path) == []
    with pytest.raises(BundleError, match="exists already"):
        Ear().train(config(images), out)


def test_manifest_and_report_tell_the_story(done: tuple[Ear, Trained]) -> None:
    _, trained = done
    manifest = load_reference(trained.path).manifest
    assert manifest["training"]["rows"] == 2_000
    assert manifest["training"]["steps"] == 20
    assert len(manifest["training"]["fingerprint"]) == 64
    assert manifest["metrics"]["bits_per_dim"] == pytest.approx(trained.fitted.validation, rel=0.05)
    detectors = {row["detector"] for row in manifest["metrics"]["evaluation"]}
    assert "combined" in detectors
    assert len(detectors) > 1
    assert {row.detector for row in trained.evaluations} == {"combined"}
    assert manifest["metrics"]["detectable"] == list(trained.detectable) == []
    assert manifest["warnings"] == list(trained.warnings) == []
    assert manifest["fitness"]["repeated_share"] == manifest["fitness"]["leaked_share"] == 0
    assert manifest["fitness"]["by_heart"]["chance"] == pytest.approx(0.5, abs=0.1)
    assert len(manifest["fitness"]["order"]["effects_nats"]) == 10
    with Image.open(io.BytesIO((trained.path / "report.png").read_bytes())) as picture:
        assert picture.format == "PNG"
        assert picture.size[0] > 800


@pytest.mark.parametrize(("side", "told"), [(64, False), (96, True)])
def test_images_that_are_too_large_for_a_cpu_are_told_before_the_work(tmp_path: Path, side: int, told: bool) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "photos.npy", rng.integers(0, 255, (1_000, side, side, 3), np.uint8))
    ear = Ear()
    ear.stop.set()
    with pytest.raises(Interrupted):
        ear.train(config(tmp_path / "photos.npy", calibration_fraction=0.45, device="cpu"), tmp_path / "photos")
    assert any("watch embeddings of them instead" in line for line in ear.lines) == told


def test_a_training_that_ends_while_it_warms_up_warns(images: Path, tmp_path: Path) -> None:
    hurried = Ear().train(config(images, minutes=1e-4, max_steps=None), tmp_path / "hurried")
    assert hurried.fitted.ended_by == "minutes"
    assert "within the 200 of the warm-up" in hurried.warnings[0].what
    assert load_reference(hurried.path).manifest["warnings"][0]["kind"] == "hardly-trained"


def test_tells_what_it_does(done: tuple[Ear, Trained]) -> None:
    ear, _ = done
    assert any("2,000 samples, each a 1x7x7 uint8 image" in line for line in ear.lines)
    assert "images are padded to 8x8 pixels of 0: left 0, right 1, top 0, bottom 1" in ear.lines
    assert [told.step for told in ear.steps] == list(range(1, 21))
    assert ear.doings[0] == "reading"
    assert "calibrating" in ear.doings
    assert "evaluating blur" in ear.doings


def test_same_configuration_same_version(done: tuple[Ear, Trained], images: Path, tmp_path: Path) -> None:
    assert Ear().train(config(images), tmp_path / "again").version == done[1].version
    assert Ear().train(config(images, seed=1), tmp_path / "other").version != done[1].version


def test_data_larger_than_memory(images: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"{part}.npy" for part in range(4)]
    for number, part in enumerate(parts):
        np.save(part, waves(2_000, seed=number)[:, 0].astype(np.uint8))
    trained = Ear().train(config(parts, memory_bytes=1 << 17), tmp_path / "cam")
    assert trained.rows == 8_000
    assert np.isfinite(trained.bits_per_dim)


@pytest.mark.parametrize(("what", "step"), [("training", 7), ("calibrating", 20), ("evaluating noise", 20)])
def test_stopped_anywhere_the_same_command_goes_on(
    done: tuple[Ear, Trained], images: Path, tmp_path: Path, what: str, step: int
) -> None:
    out = tmp_path / "cam"
    first = Ear()
    first.stop_when = lambda doing, steps: (doing, steps) == (what, step)
    with pytest.raises(Interrupted, match="the same command continues from there"):
        first.train(config(images), out)
    assert names(tmp_path) == ["cam.training"]

    second = Ear()
    trained = second.train(config(images), out)
    assert any(f"continuing from the checkpoint at step {step}" in line for line in second.lines)
    assert len(second.steps) == 20 - step
    assert trained.version == done[1].version
    assert names(tmp_path) == ["cam"]


def test_a_checkpoint_of_another_configuration(images: Path, tmp_path: Path) -> None:
    first = Ear()
    first.stop_when = lambda _, steps: steps == 3
    with pytest.raises(Interrupted):
        first.train(config(images), tmp_path / "cam")
    with pytest.raises(TrainingError, match="another configuration or other data"):
        Ear().train(config(images, learning_rate=1e-3), tmp_path / "cam")
    longer = Ear()
    longer.train(config(images, max_steps=5), tmp_path / "cam")
    assert [told.step for told in longer.steps] == [4, 5]


def test_the_null_of_the_configured_windows_is_in_the_bundle(images: Path, tmp_path: Path) -> None:
    first = Ear()
    first.stop_when = lambda _, steps: steps == 19
    with pytest.raises(Interrupted):
        first.train(config(images), tmp_path / "cam")
    second = Ear()
    windows = WindowsConfig(sizes=[40, "5m"], step=20)
    second.train(config(images).model_copy(update={"windows": windows}), tmp_path / "cam")
    assert [told.step for told in second.steps] == [20], "windows have no part in training"
    reference = load_reference(tmp_path / "cam")
    assert len(reference.stored) == 1, "the bank is too small for the default windows"
    assert reference.stored_null([40], 20, by_time=True) is not None


def test_fresh_starts_anew(images: Path, tmp_path: Path) -> None:
    first = Ear()
    first.stop_when = lambda _, steps: steps == 3
    with pytest.raises(Interrupted):
        first.train(config(images), tmp_path / "cam")
    second = Ear()
    second.train(config(images, learning_rate=1e-3), tmp_path / "cam", fresh=True)
    assert len(second.steps) == 20


def test_a_bundle_is_replaced_only_when_asked_to(done: tuple[Ear, Trained], images: Path, tmp_path: Path) -> None:
    out = tmp_path / "cam"
    first = Ear().train(config(images), out)
    refused = Ear()
    with pytest.raises(BundleError, match=r"exists already.*--overwrite"):
        refused.train(config(images, seed=1), out)
    assert refused.doings == []
    second = Ear().train(config(images, seed=1), out, overwrite=True)
    assert first.version != second.version == load_reference(out).version


def vectors(count: int) -> NDArray[np.float64]:
    values = np.random.default_rng(0).normal(size=(count, 3))
    values[:, 2] += values[:, 0] ** 2
    return values


def test_a_table_with_everything_in_it(tmp_path: Path) -> None:
    values, rng = vectors(2_000), np.random.default_rng(0)
    rows = [f"{a:.4f},{'' if rng.random() < 0.1 else round(b * 1000)},{'xyz'[int(abs(c)) % 3]},7" for a, b, c in values]
    (tmp_path / "table.csv").write_text("\n".join(["real,count,class,constant", *rows]) + "\n")
    trained = Ear().train(config(tmp_path / "table.csv", validation_fraction=0.1), tmp_path / "table")
    assert load_reference(trained.path).schema.kind == "table"
    assert [row.shift for row in trained.detectable] == ["mean", "spread", "missing", "columns apart"]
    assert {"shift", "scale", "permute", "missing"} == {row.shift for row in trained.evaluations}


def test_a_column_of_many_categories_is_learned_and_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = np.arange(1, 1_001) ** -1.2
    drawn = rng.choice(1_000, (2, 6_000), p=weights / weights.sum())
    learned, fresh = (pd.DataFrame({"price": rng.normal(size=6_000), "zip": 10_000 + each}) for each in drawn)
    learned.to_csv(tmp_path / "table.csv", index=False)
    settings = config(tmp_path / "table.csv")
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"categories": ("zip",)})})
    ear = Ear()
    reference = load_reference(ear.train(settings, tmp_path / "table").path)
    assert any(line.startswith("zip: ") and "new values are expected in" in line for line in ear.lines), ear.lines
    assert isinstance(reference.schema, TableSchema)
    column = reference.schema.columns[1]
    # Of the held-out rows as many are new as of fresh ones, and windows of these are as usual.
    rows = reference.schema.coerce(fresh)
    assert reference.unseen_shares[1] == pytest.approx((rows[:, 1] == column.unseen).mean(), abs=0.012)
    assert reference.unseen_shares[1] > 0.02
    windows = Scorer(reference).bank(rows).reshape(120, 50, -1).sum(1, dtype=np.float64)
    p_values = reference.window_null(50, count=1_000).test(windows).p_values["combined"]
    assert 0.02 < (p_values < 0.1).mean() < 0.22
    assert p_values.min() > 1e-4
    new = rows[:50].copy()
    new[:15, 1] = column.unseen
    window = Scorer(reference).bank(new).sum(0, dtype=np.float64)[None]
    assert reference.window_null(50, count=1_000).test(window).p_values["combined"][0] < 1e-3


def test_warns_of_data_that_is_unfit_and_takes_it(tmp_path: Path) -> None:
    values = vectors(4_000)
    values[3_600:, 0] += 1.0
    values[::20] = values[0]
    table = pd.DataFrame(values, columns=["price", "weight", "size"])
    table.to_csv(tmp_path / "table.csv", index=False)
    trained = Ear().train(config(tmp_path / "table.csv"), tmp_path / "table")
    warned = {warning.kind: warning.what for warning in trained.warnings}
    assert "the tenth from row 3,601 to row 4,000 differs most" in warned["drifts-within"]
    assert "price" in warned["drifts-within"]
    assert "% of the calibration samples" in warned["leakage"]
    assert "duplicates" not in warned  # fewer than a table may have
    assert warning_texts(load_reference(trained.path).manifest) == tuple(map(str, trained.warnings))


def test_warns_of_columns_that_tell_nothing(tmp_path: Path) -> None:
    table = people.rows(2_000, seed=0).assign(gone=None, site="Ulm", version=3, id=np.arange(2_000) * 7)
    table.to_csv(tmp_path / "table.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        trained = Ear().train(config(tmp_path / "table.csv"), tmp_path / "table")
    assert [str(each).split(" in the ")[0] for each in trained.warnings if each.kind.endswith("-column")] == [
        "column 'gone' is empty",
        "column 'site' is always 'Ulm'",
        "column 'version' is always 3",
        "column 'id' holds whole numbers that never repeat",
    ]


def save(path: Path, array: NDArray[Any]) -> Path:
    np.save(path, array)
    return path


GREY = waves(2_000)[:, 0].astype(np.uint8)
WITH_NAN = np.where(np.arange(2_000 * 64).reshape(2_000, 8, 8) == 70_000, np.nan, GREY / 255)
REFUSED: dict[str, tuple[NDArray[Any], type[DriftwatchError], str]] = {
    "few": (GREY[:999], TrainingError, "999 samples are too few to learn from"),
    "few to calibrate": (GREY[:1_200], TrainingError, r"too few to calibrate.*calibration_fraction of 0\.37"),
    "constant": (np.full((2_000, 8, 8), 9, np.uint8), TrainingError, "all samples are the same"),
    "constant reals": (np.full((2_000, 8, 8), 9.5), DataError, "every pixel is 9.5"),
    "NaN": (WITH_NAN, DataError, "NaN"),
    "NaN vectors": (np.where(vectors(2_000) > 3, np.nan, vectors(2_000)), DataError, "NaN"),
    "constant vectors": (np.ones((2_000, 3)), TrainingError, "all samples are the same"),
    "labels": (np.arange(2_000), DataError, r"shape \(2000,\)"),
    "five axes": (np.zeros((2_000, 2, 2, 2, 2)), DataError, "shape"),
    "tiny images": (GREY[:, :2, :2], TrainingError, "cannot be halved"),
}


@pytest.mark.parametrize(("array", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_learned_from(
    tmp_path: Path, array: NDArray[Any], kind: type[DriftwatchError], message: str
) -> None:
    path = save(tmp_path / "data.npy", array)
    with pytest.raises(kind, match=message) as raised:
        Ear().train(config(path), tmp_path / "cam")
    assert "\n" not in str(raised.value)
    assert raised.value.remedy
    assert names(tmp_path) == ["data.npy"]


def test_data_of_two_sizes(images: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.npy", GREY)
    with pytest.raises(DataError, match=r"other\.npy: holds a 1x8x8.*1x7x7"):
        Ear().train(config([images, other]), tmp_path / "cam")


def test_data_that_does_not_fit_the_sample_that_is_asked_for(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected \(N, 1, 5, 5\)"):
        Ear().train(config(images, sample={"kind": "image", "channels": 1, "height": 5, "width": 5}), tmp_path / "cam")


def test_a_device_that_is_not_there(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cuda:99"):
        Ear().train(config(images, device="cuda:99"), tmp_path / "cam")


def test_where_the_bundle_goes(images: Path, tmp_path: Path) -> None:
    settings = config(images)
    assert output_path(settings, tmp_path) == tmp_path
    with pytest.raises(UsageError, match="--out"):
        output_path(settings, None)
