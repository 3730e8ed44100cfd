"""From a configuration to a bundle, and the errors if that is impossible."""

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
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train import output_path, train
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener, Trained
from driftwatch.reference.training import StepReport
from tests import people
from tests.synthetic import shuffled_rows, waves

FRACTIONS = {"validation_fraction": 0.04, "calibration_fraction": 0.3}
"""So few samples to validate with that detectable shifts, which take long, are not searched for."""


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
    """Images of 7x7 pixels, which must be padded."""
    path = tmp_path_factory.mktemp("data") / "waves.npy"
    np.save(path, waves(2_000)[:, 0, :7, :7].astype(np.uint8))
    return path


class Recorder:
    """A listener that records everything, and requests a stop when a test says so."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[StepReport] = []
        self.tasks: list[str] = []
        self.stop = threading.Event()
        self.stop_when: Callable[[str, int], bool] = lambda what, step: False

    def train(self, settings: TrainConfig, out: Location, **options: bool) -> Trained:
        trained = train(settings, out, self.stop, Listener(self.lines.append, self._on_step, self._on_task), **options)
        assert trained is not None
        return trained

    def _on_step(self, report: StepReport) -> None:
        self.steps.append(report)
        if self.stop_when("training", report.step):
            self.stop.set()

    def _on_task(self, what: str, _: float) -> None:
        self.tasks.append(what)
        if self.stop_when(what, len(self.steps)):
            self.stop.set()


@pytest.fixture(scope="module")
def done(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Recorder, Trained]:
    recorder = Recorder()
    return recorder, recorder.train(config(images), tmp_path_factory.mktemp("out") / "deep" / "cam")


def test_a_trained_bundle_scores_drift_higher(done: tuple[Recorder, Trained]) -> None:
    _, trained = done
    reference = load_reference(trained.path)
    assert (reference.name, reference.version) == ("waves $x$", trained.version)
    assert reference.schema.shape == (1, 7, 7)
    assert names(trained.path.parent) == ["cam"]
    scorer = Scorer(reference)
    fresh = waves(300, seed=5)
    plain, moved = (scorer(list(x[:, :, :7, :7].reshape(6, 50, 1, 7, 7))) for x in (fresh, shuffled_rows(fresh)))
    assert np.concatenate([pane.scores for pane in plain]).mean() < np.concatenate([p.scores for p in moved]).mean()


def test_a_bundle_can_be_written_to_a_url(
    done: tuple[Recorder, Trained], images: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (RemotePath(bucket) / "waves.npy").upload(images)
    monkeypatch.chdir(tmp_path)
    recorder, out = Recorder(), RemotePath(f"{bucket}/deep/cam")
    recorder.stop_when = lambda what, _: what == "calibrating"
    with pytest.raises(Interrupted):
        recorder.train(config(f"{bucket}/waves.npy"), out)
    assert names(tmp_path) == ["cam.training"]
    trained = Recorder().train(config(f"{bucket}/waves.npy"), out)
    assert (trained.path, trained.version) == (out, done[1].version)
    assert (out / "report.png").exists()
    assert names(tmp_path) == []
    with pytest.raises(BundleError, match="exists already"):
        Recorder().train(config(images), out)


def test_the_manifest_and_the_report_describe_the_training(done: tuple[Recorder, Trained]) -> None:
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


@pytest.mark.parametrize(("side", "warns"), [(64, False), (96, True)])
def test_images_too_large_for_a_cpu_give_a_warning_before_the_work(tmp_path: Path, side: int, warns: bool) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "photos.npy", rng.integers(0, 255, (1_000, side, side, 3), np.uint8))
    recorder = Recorder()
    recorder.stop.set()
    with pytest.raises(Interrupted):
        recorder.train(config(tmp_path / "photos.npy", calibration_fraction=0.45, device="cpu"), tmp_path / "photos")
    assert any("watch embeddings of them instead" in line for line in recorder.lines) == warns


def test_a_training_that_ends_during_warm_up_gives_a_warning(images: Path, tmp_path: Path) -> None:
    hurried = Recorder().train(config(images, minutes=1e-4, max_steps=None), tmp_path / "hurried")
    assert hurried.fitted.ended_by == "minutes"
    assert "within the 200 of the warm-up" in hurried.warnings[0].what
    assert load_reference(hurried.path).manifest["warnings"][0]["kind"] == "hardly-trained"


def test_progress_is_reported(done: tuple[Recorder, Trained]) -> None:
    recorder, _ = done
    assert any("2,000 samples, each a 1x7x7 uint8 image" in line for line in recorder.lines)
    assert "images are padded to 8x8 pixels of 0: left 0, right 1, top 0, bottom 1" in recorder.lines
    assert [report.step for report in recorder.steps] == list(range(1, 21))
    assert recorder.tasks[0] == "reading"
    assert "calibrating" in recorder.tasks
    assert "evaluating blur" in recorder.tasks


def test_the_same_configuration_gives_the_same_version(
    done: tuple[Recorder, Trained], images: Path, tmp_path: Path
) -> None:
    assert Recorder().train(config(images), tmp_path / "again").version == done[1].version
    assert Recorder().train(config(images, seed=1), tmp_path / "other").version != done[1].version


def test_data_may_be_larger_than_memory(images: Path, tmp_path: Path) -> None:
    parts = [tmp_path / f"{part}.npy" for part in range(4)]
    for number, part in enumerate(parts):
        np.save(part, waves(2_000, seed=number)[:, 0].astype(np.uint8))
    trained = Recorder().train(config(parts, memory_bytes=1 << 17), tmp_path / "cam")
    assert trained.rows == 8_000
    assert np.isfinite(trained.bits_per_dim)


@pytest.mark.parametrize(("what", "step"), [("training", 7), ("calibrating", 20), ("evaluating noise", 20)])
def test_a_training_stopped_anywhere_is_continued_by_the_same_command(
    done: tuple[Recorder, Trained], images: Path, tmp_path: Path, what: str, step: int
) -> None:
    out = tmp_path / "cam"
    first = Recorder()
    first.stop_when = lambda doing, steps: (doing, steps) == (what, step)
    with pytest.raises(Interrupted, match="the same command continues from there"):
        first.train(config(images), out)
    assert names(tmp_path) == ["cam.training"]

    second = Recorder()
    trained = second.train(config(images), out)
    assert any(f"continuing from the checkpoint at step {step}" in line for line in second.lines)
    assert len(second.steps) == 20 - step
    assert trained.version == done[1].version
    assert names(tmp_path) == ["cam"]


def test_a_checkpoint_is_used_only_by_the_same_configuration_or_a_longer_one(images: Path, tmp_path: Path) -> None:
    first = Recorder()
    first.stop_when = lambda _, steps: steps == 3
    with pytest.raises(Interrupted):
        first.train(config(images), tmp_path / "cam")
    with pytest.raises(TrainingError, match="another configuration or other data"):
        Recorder().train(config(images, learning_rate=1e-3), tmp_path / "cam")
    longer = Recorder()
    longer.train(config(images, max_steps=5), tmp_path / "cam")
    assert [report.step for report in longer.steps] == [4, 5]


def test_the_null_of_the_configured_windows_is_in_the_bundle(images: Path, tmp_path: Path) -> None:
    first = Recorder()
    first.stop_when = lambda _, steps: steps == 19
    with pytest.raises(Interrupted):
        first.train(config(images), tmp_path / "cam")
    second = Recorder()
    windows = WindowsConfig(sizes=[40, "5m"], step=20)
    second.train(config(images).model_copy(update={"windows": windows}), tmp_path / "cam")
    assert [report.step for report in second.steps] == [20], "windows have no part in training"
    reference = load_reference(tmp_path / "cam")
    assert len(reference.stored) == 1, "the bank is too small for the default windows"
    assert reference.stored_null([40], 20, by_time=True) is not None


def test_fresh_ignores_the_checkpoint(images: Path, tmp_path: Path) -> None:
    first = Recorder()
    first.stop_when = lambda _, steps: steps == 3
    with pytest.raises(Interrupted):
        first.train(config(images), tmp_path / "cam")
    second = Recorder()
    second.train(config(images, learning_rate=1e-3), tmp_path / "cam", fresh=True)
    assert len(second.steps) == 20


def test_a_bundle_is_replaced_only_on_request(done: tuple[Recorder, Trained], images: Path, tmp_path: Path) -> None:
    out = tmp_path / "cam"
    first = Recorder().train(config(images), out)
    refused = Recorder()
    with pytest.raises(BundleError, match=r"exists already.*--overwrite"):
        refused.train(config(images, seed=1), out)
    assert refused.tasks == []
    second = Recorder().train(config(images, seed=1), out, overwrite=True)
    assert first.version != second.version == load_reference(out).version


def vectors(count: int) -> NDArray[np.float64]:
    values = np.random.default_rng(0).normal(size=(count, 3))
    values[:, 2] += values[:, 0] ** 2
    return values


def test_a_table_may_have_columns_of_every_kind(tmp_path: Path) -> None:
    values, rng = vectors(2_000), np.random.default_rng(0)
    rows = [f"{a:.4f},{'' if rng.random() < 0.1 else round(b * 1000)},{'xyz'[int(abs(c)) % 3]},7" for a, b, c in values]
    (tmp_path / "table.csv").write_text("\n".join(["real,count,class,constant", *rows]) + "\n")
    trained = Recorder().train(config(tmp_path / "table.csv", validation_fraction=0.1), tmp_path / "table")
    assert load_reference(trained.path).schema.kind == "table"
    assert [row.shift for row in trained.detectable] == ["mean", "spread", "missing", "columns apart"]
    assert {"shift", "scale", "permute", "missing"} == {row.shift for row in trained.evaluations}


def test_a_column_of_many_categories_is_learned_and_reported(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = np.arange(1, 1_001) ** -1.2
    drawn = rng.choice(1_000, (2, 6_000), p=weights / weights.sum())
    learned, fresh = (pd.DataFrame({"price": rng.normal(size=6_000), "zip": 10_000 + each}) for each in drawn)
    learned.to_csv(tmp_path / "table.csv", index=False)
    settings = config(tmp_path / "table.csv")
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"categories": ("zip",)})})
    recorder = Recorder()
    reference = load_reference(recorder.train(settings, tmp_path / "table").path)
    assert any(line.startswith("zip: ") and "new values are expected in" in line for line in recorder.lines), (
        recorder.lines
    )
    assert isinstance(reference.schema, TableSchema)
    column = reference.schema.columns[1]
    # Held-out rows have as many new values as fresh ones, and windows of fresh ones look usual.
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


def test_unfit_data_give_warnings_and_are_accepted(tmp_path: Path) -> None:
    values = vectors(4_000)
    values[3_600:, 0] += 1.0
    values[::20] = values[0]
    table = pd.DataFrame(values, columns=["price", "weight", "size"])
    table.to_csv(tmp_path / "table.csv", index=False)
    trained = Recorder().train(config(tmp_path / "table.csv"), tmp_path / "table")
    warned = {warning.kind: warning.what for warning in trained.warnings}
    assert "the tenth from row 3,601 to row 4,000 differs most" in warned["drifts-within"]
    assert "price" in warned["drifts-within"]
    assert "% of the calibration samples" in warned["leakage"]
    assert "duplicates" not in warned  # fewer than a table may have
    assert warning_texts(load_reference(trained.path).manifest) == tuple(map(str, trained.warnings))


def test_uninformative_columns_give_warnings(tmp_path: Path) -> None:
    table = people.rows(2_000, seed=0).assign(gone=None, site="Ulm", version=3, id=np.arange(2_000) * 7)
    table.to_csv(tmp_path / "table.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        trained = Recorder().train(config(tmp_path / "table.csv"), tmp_path / "table")
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
def test_data_that_cannot_be_learned_are_refused(
    tmp_path: Path, array: NDArray[Any], kind: type[DriftwatchError], message: str
) -> None:
    path = save(tmp_path / "data.npy", array)
    with pytest.raises(kind, match=message) as raised:
        Recorder().train(config(path), tmp_path / "cam")
    assert "\n" not in str(raised.value)
    assert raised.value.remedy
    assert names(tmp_path) == ["data.npy"]


def test_data_of_two_sizes_are_refused(images: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.npy", GREY)
    with pytest.raises(DataError, match=r"other\.npy: holds a 1x8x8.*1x7x7"):
        Recorder().train(config([images, other]), tmp_path / "cam")


def test_data_that_do_not_fit_the_configured_sample_are_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected \(N, 1, 5, 5\)"):
        Recorder().train(
            config(images, sample={"kind": "image", "channels": 1, "height": 5, "width": 5}), tmp_path / "cam"
        )


def test_a_missing_device_is_reported(images: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cuda:99"):
        Recorder().train(config(images, device="cuda:99"), tmp_path / "cam")


def test_the_place_of_the_bundle_is_required(images: Path, tmp_path: Path) -> None:
    settings = config(images)
    assert output_path(settings, tmp_path) == tmp_path
    with pytest.raises(UsageError, match="--out"):
        output_path(settings, None)
