"""A training as an MLflow run: its parameters, its metrics, and the resulting bundle."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftwatch import __version__
from driftwatch.errors import TrainingError
from driftwatch.locations import Location
from driftwatch.reference.checkpoint import Interrupted
from driftwatch.reference.mlflow_client import MlflowError, mlflow_errors, open_client
from driftwatch.reference.processes import Processes
from driftwatch.reference.train_config import MlflowConfig, TrainConfig
from driftwatch.reference.trained import Trained
from driftwatch.reference.training import StepReport

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

WHERE = "output.mlflow"
ARTIFACT = "bundle"
MOST_CHARACTERS = 500
"""Longest value of a parameter that servers of all versions accept."""

MOST_METRICS = 1_000
"""Most metrics per request that servers of all versions accept."""


@dataclass
class MlflowRun:
    """One run during its training. Metrics that cannot be sent at once are sent at the end.

    Args:
        client: of the tracking server.
        id: of the run.
        artifacts: where its artifacts are stored.
        registered_model: the bundle becomes a version of it; None for no registration.
    """

    client: MlflowClient
    id: str
    artifacts: str
    registered_model: str | None
    _unsent: list[Metric] = field(default_factory=list)
    _validation: float = math.nan
    _reached: bool = True

    def report(self, step: StepReport) -> None:
        """Report progress after each validation; once the server fails to answer, not again before the end."""
        if math.isnan(step.validation) or step.validation == self._validation:
            return
        self._validation = step.validation
        self._note({"train_bits_per_dim": step.bits_per_dim, "validation_bits_per_dim": step.validation}, step.step)
        if self._reached:
            try:
                self._send()
            except MlflowError:
                self._reached = False

    def keep(self, folder: Path, trained: Trained) -> str:
        """Log the outcome of the training and the bundle, which contains the report's picture, too.

        Args:
            folder: of the bundle.
            trained: the outcome.

        Returns:
            The bundle's address in MLflow.

        Raises:
            MlflowError: not everything could be logged.
        """
        self._note(_figures(trained))
        self._send()
        with mlflow_errors():
            self.client.set_tag(self.id, "driftwatch.bundle.version", trained.version)
            self.client.log_artifacts(self.id, str(folder), ARTIFACT)
            if self.registered_model is None:
                return f"runs:/{self.id}/{ARTIFACT}"
            return f"models:/{self.registered_model}/{self._register(self.registered_model)}"

    def end(self, status: str) -> None:
        """End the run as ``FINISHED``, ``KILLED`` or ``FAILED``.

        Raises:
            MlflowError: the server does not answer.
        """
        with mlflow_errors():
            self.client.set_terminated(self.id, status)

    def _note(self, values: Mapping[str, float], step: int = 0) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        self._unsent += [Metric(name, value, now_ms, step) for name, value in values.items() if math.isfinite(value)]

    def _send(self) -> None:
        while self._unsent:
            with mlflow_errors():
                self.client.log_batch(self.id, metrics=self._unsent[:MOST_METRICS])
            del self._unsent[:MOST_METRICS]

    def _register(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self.client.create_model_version(name, f"{self.artifacts}/{ARTIFACT}", self.id, await_creation_for=0)
        return str(version.version)


@contextmanager
def mlflow_run(config: TrainConfig, out: Location, processes: Processes) -> Iterator[MlflowRun | None]:
    """Open the run of a training, and end it with the training; None if none is configured or another process leads.

    Args:
        config: of the training.
        out: where its bundle is written.
        processes: that train together.

    Raises:
        TrainingError: the server does not answer, which is checked before training, or it refuses the results.
        UsageError: MLflow is not installed, or no server is specified.
    """
    stated = config.output.mlflow
    if stated is None or not processes.leads:
        yield None
        return
    try:
        run = _begin(stated, config, config.output.name or out.name)
    except MlflowError as error:
        raise TrainingError(
            f"MLflow does not accept the run: {error}", where=WHERE, remedy="check tracking_uri and the server"
        ) from None
    try:
        yield run
        run.end("FINISHED")
    except BaseException as error:
        with suppress(MlflowError):  # the reason why the training ended matters more
            run.end("KILLED" if isinstance(error, Interrupted | KeyboardInterrupt) else "FAILED")
        if isinstance(error, MlflowError):
            raise TrainingError(
                f"the bundle is written to {out}, but not all of it is in MLflow: {error}",
                where=WHERE,
                remedy=f"mlflow artifacts log-artifacts --run-id {run.id} --local-dir {out} --artifact-path {ARTIFACT}",
            ) from None
        raise


def _begin(stated: MlflowConfig, config: TrainConfig, name: str) -> MlflowRun:
    client = open_client(WHERE, stated.tracking_uri)
    with mlflow_errors():
        from mlflow.entities import Param, RunTag

        found = client.get_experiment_by_name(stated.experiment)
        experiment = found.experiment_id if found else client.create_experiment(stated.experiment)
        run = client.create_run(experiment, run_name=stated.run_name or name)
        params = [Param(key, str(value)[:MOST_CHARACTERS]) for key, value in _params(config).items()]
        client.log_batch(run.info.run_id, params=params, tags=[RunTag("driftwatch.version", __version__)])
    return MlflowRun(client, run.info.run_id, run.info.artifact_uri, stated.registered_model)


def _params(config: TrainConfig) -> dict[str, Any]:
    """The training's settings; only the names of files, since their folders may be private."""
    sections = config.model_dump(mode="json", include={"flow", "training", "calibration"})
    settings = {f"{section}.{key}": value for section, values in sections.items() for key, value in values.items()}
    return {"data.train": ", ".join(path.name for path in config.data.train), **settings}


def _figures(trained: Trained) -> dict[str, float]:
    """Figures of the whole training, with the AUROC of the combined detector by built-in shift and window."""
    return {
        "bits_per_dim": trained.bits_per_dim,
        "best_validation_bits_per_dim": trained.fitted.validation,
        "steps": trained.fitted.steps,
        "seconds": trained.fitted.seconds,
        "samples": trained.rows,
        "warnings": len(trained.warnings),
        **{f"auroc/{row.shift}/n{row.window}": row.auroc for row in trained.evaluations},
    }
