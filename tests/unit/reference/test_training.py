"""Training learns, is reproducible, and survives stops and non-finite steps."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from driftwatch.data.readers import open_dataset
from driftwatch.errors import TrainingError
from driftwatch.flows.image import ImageFlow
from driftwatch.reference import training as module
from driftwatch.reference.checkpoint import CHECKPOINT, Interrupted
from driftwatch.reference.likelihood import mean_bits_per_dim
from driftwatch.reference.processes import Processes
from driftwatch.reference.train_config import TrainingConfig
from driftwatch.reference.training import DIVERGED_IN_A_ROW, FAR_ABOVE, MAX_RECOVERIES, Fitted, FlowTrainer, StepReport
from driftwatch.reference.training_data import TrainingData
from tests.synthetic import SCHEMA, SIDE, waves

ALONE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    path = tmp_path_factory.mktemp("data") / "waves.npy"
    np.save(path, waves(1_500).astype(np.uint8))
    return TrainingData([open_dataset(path)], SCHEMA, fractions=(0.1, 0.1))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Training:
    """A small training, every setting of which a test can change."""

    def __init__(self, data: TrainingData, folder: Path, *, fingerprint: str = "f", **settings: Any) -> None:
        config = TrainingConfig(
            **{"minutes": None, "max_steps": 40, "validate_every": 10, "batch_size": 16, "precision": "float32"}
            | settings
        )
        torch.manual_seed(config.seed)
        self.flow = ImageFlow(1, SIDE, SIDE, scales=2, steps=1, hidden=8)
        parts = data.samples({"fit": 200, "validation": 200})
        self.trainer = FlowTrainer(
            self.flow, data, parts["fit"], parts["validation"], config, ALONE, folder, fingerprint
        )
        self.reports: list[StepReport] = []
        self.messages: list[str] = []
        self.stop = threading.Event()
        self.after_step: Callable[[StepReport], None] = lambda report: None

    def run(self) -> Fitted:
        return self.trainer.fit(self.stop, self._report, self.messages.append)

    def weights(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in self.flow.state_dict().items()}

    def stop_after(self, step: int) -> None:
        self.after_step = lambda report: self.stop.set() if report.step == step else None

    def _report(self, report: StepReport) -> None:
        self.reports.append(report)
        self.after_step(report)


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_training_learns_and_reports(data: TrainingData, tmp_path: Path) -> None:
    training = Training(data, tmp_path, max_steps=120)
    fitted = training.run()
    first, last = fitted.curve[0][2], fitted.curve[-1][2]
    assert last < first - 0.1
    assert fitted.validation == min(bits for _, _, bits in fitted.curve)
    assert (fitted.steps, fitted.ended_by, fitted.recoveries) == (120, "max_steps", 0)
    assert not training.flow.training
    assert mean_bits_per_dim(training.flow, data.samples({"validation": 200})["validation"]) == fitted.validation
    report = training.reports[-1]
    assert (report.step, report.share, report.samples, report.seconds_left) == (120, 1.0, 120 * 16, 0.0)
    assert report.loss == pytest.approx(report.bits_per_dim * SIDE * SIDE * np.log(2))
    assert report.samples_per_s > 0


def test_the_same_seed_gives_the_same_weights(data: TrainingData, tmp_path: Path) -> None:
    results = []
    for number, seed in enumerate((0, 0, 1)):
        training = Training(data, tmp_path / str(number), seed=seed, max_steps=12)
        fitted = training.run()
        results.append((training.weights(), fitted.curve))
    assert same(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    assert not same(results[0][0], results[2][0])


@pytest.mark.parametrize("stopped_after", [7, 20, 33])
def test_a_stopped_training_continues_as_if_undisturbed(data: TrainingData, tmp_path: Path, stopped_after: int) -> None:
    # An epoch is 75 batches of 16; with batches of 100, steps 12, 24 and 36 start new epochs.
    settings: dict[str, Any] = {"batch_size": 100, "max_steps": 40}
    undisturbed = Training(data, tmp_path / "a", **settings)
    expected = undisturbed.run()

    first = Training(data, tmp_path / "b", **settings)
    first.stop_after(stopped_after)
    with pytest.raises(Interrupted, match=rf"stopped after {stopped_after} steps.*the same command") as raised:
        first.run()
    assert raised.value.exit_code == 130

    second = Training(data, tmp_path / "b", **settings)
    assert second.trainer.resume()
    assert second.trainer.step == stopped_after
    fitted = second.run()
    assert second.reports[0].step == stopped_after + 1
    assert same(second.weights(), undisturbed.weights())
    assert fitted.curve == expected.curve


def test_a_finished_training_is_not_repeated(data: TrainingData, tmp_path: Path) -> None:
    done = Training(data, tmp_path)
    expected = done.run()
    again = Training(data, tmp_path)
    assert again.trainer.resume()
    fitted = again.run()
    assert fitted == replace(expected, seconds=fitted.seconds)
    assert again.reports == []
    assert same(again.weights(), done.weights())


def test_a_checkpoint_of_other_data_is_refused(data: TrainingData, tmp_path: Path) -> None:
    Training(data, tmp_path).run()
    with pytest.raises(TrainingError, match="another configuration or other data"):
        Training(data, tmp_path, fingerprint="g").trainer.resume()


def test_checkpoints_are_written_during_training(data: TrainingData, tmp_path: Path) -> None:
    training = Training(data, tmp_path, checkpoint_every_s=1e-9)
    written: list[float] = []
    training.after_step = lambda _: written.append((tmp_path / CHECKPOINT).stat().st_mtime_ns)
    training.run()
    assert len(set(written)) > 10


def break_steps(training: Training, broken: Callable[[int], bool], by: float = float("nan")) -> list[int]:
    """Make the loss of some calls NaN, or larger; returns the numbers of those calls as they happen."""
    calls = [0]
    hits: list[int] = []
    log_prob = training.flow.log_prob

    def sometimes(x: Tensor) -> Tensor:
        calls[0] += 1
        if not broken(calls[0]):
            return log_prob(x)
        hits.append(calls[0])
        return log_prob(x) - by

    training.flow.log_prob = sometimes  # type: ignore[method-assign]
    return hits


def test_a_non_finite_step_is_skipped(data: TrainingData, tmp_path: Path) -> None:
    training = Training(data, tmp_path)
    hits = break_steps(training, lambda call: call in (5, 6, 20))
    fitted = training.run()
    assert hits == [5, 6, 20]
    assert fitted.recoveries == 0
    assert fitted.steps == 40
    assert all(torch.isfinite(tensor).all() for tensor in training.weights().values())
    assert np.isfinite([report.loss for report in training.reports]).all()


def test_several_non_finite_steps_restore_the_last_good_weights(data: TrainingData, tmp_path: Path) -> None:
    training = Training(data, tmp_path, max_steps=60)
    first = 25
    break_steps(training, lambda call: first <= call < first + DIVERGED_IN_A_ROW)
    at_step: dict[int, dict[str, Tensor]] = {}
    training.after_step = lambda report: at_step.update({report.step: training.weights()})
    fitted = training.run()
    assert fitted.recoveries == 1
    assert fitted.validation < fitted.curve[0][2]
    assert "back to the last good weights, with 0.5 of the learning rate" in training.messages[0]
    # The previous validation was after step 20.
    assert same(at_step[first + DIVERGED_IN_A_ROW - 1], at_step[20])


def test_a_loss_far_above_its_start_restores_the_last_good_weights(data: TrainingData, tmp_path: Path) -> None:
    training = Training(data, tmp_path, max_steps=60)
    far = 2 * FAR_ABOVE * training.flow.dim + 100
    break_steps(training, lambda call: 25 <= call < 25 + DIVERGED_IN_A_ROW or call in (45, 47), far)
    fitted = training.run()
    assert fitted.recoveries == 1
    assert "steps in a row diverged: back to the last good weights" in training.messages[0]


def test_training_gives_up_if_nothing_helps(data: TrainingData, tmp_path: Path) -> None:
    training = Training(data, tmp_path, max_steps=200)
    hits = break_steps(training, lambda call: call > 15)
    with pytest.raises(TrainingError, match=r"even after going back 5 times.*learning_rate") as raised:
        training.run()
    assert len(hits) == (MAX_RECOVERIES + 1) * DIVERGED_IN_A_ROW
    assert "\n" not in str(raised.value)


def test_gradients_are_clipped(data: TrainingData, tmp_path: Path) -> None:
    # Adam is invariant to the scale of gradients, but not to one that is a million times the others.
    training = Training(data, tmp_path, max_steps=60)
    plain = training.flow.log_prob
    calls = [0]

    def one_step_explodes(x: Tensor) -> Tensor:
        calls[0] += 1
        return plain(x) * (1e6 if calls[0] == 30 else 1.0)

    training.flow.log_prob = one_step_explodes  # type: ignore[method-assign]
    fitted = training.run()
    assert fitted.curve[-1][2] < fitted.curve[1][2]


def test_patience_ends_training_and_the_best_weights_are_kept(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = Training(data, tmp_path, max_steps=1_000, patience=3)
    measured = iter([5.0, 3.0, 4.0, 3.5, 3.0, 2.0])
    at_validation: list[dict[str, Tensor]] = []

    def measure(*_: object) -> float:
        at_validation.append(training.weights())
        return next(measured)

    monkeypatch.setattr(module, "mean_bits_per_dim", measure)
    fitted = training.run()
    assert (fitted.steps, fitted.ended_by, fitted.validation) == (50, "patience", 3.0)
    assert same(training.weights(), at_validation[1])


def test_fewer_samples_than_a_batch_are_refused(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"fewer than one batch.*batch_size"):
        Training(data, tmp_path, batch_size=4_096).run()


def test_an_unwritable_folder_is_reported_before_the_first_step(data: TrainingData, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    training = Training(data, tmp_path / "file" / "below")
    with pytest.raises(TrainingError, match="the checkpoint cannot be written"):
        training.run()
    assert training.reports == []
    assert names(tmp_path) == ["file"]
