"""MLflow with a real store: trainings are logged as runs, and bundles are read from it."""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from driftwatch.config import load_config
from driftwatch.daemon import load_references
from driftwatch.errors import BundleError, TrainingError, UsageError
from driftwatch.locations import locate
from driftwatch.reference.bundle import load_bundle, refuse_existing
from driftwatch.reference.bundle_places import FILES
from driftwatch.reference.checkpoint import Interrupted
from driftwatch.reference.mlflow_run import mlflow_run
from driftwatch.reference.processes import Processes
from driftwatch.reference.train import train
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener, Trained
from driftwatch.reference.training import StepReport
from tests.synthetic import waves

# Importing MLflow takes three seconds of a core, and every process of a test run imports this file.
if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ALONE = Processes(0, 1, torch.device("cpu"))
MODEL = "waves-reference"


@pytest.fixture(autouse=True)
def _file_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def config(data: Path, **mlflow_settings: Any) -> TrainConfig:
    training = {"minutes": None, "max_steps": 20, "validate_every": 5, "precision": "float32"}
    return TrainConfig.model_validate(
        {
            "data": {"train": [str(data)]},
            "flow": {"scales": 2, "steps": 1, "hidden": 8},
            "training": {**training, "validation_fraction": 0.04, "calibration_fraction": 0.3},
            "output": {"mlflow": mlflow_settings},
        }
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("mlflow") / "store")


@pytest.fixture(scope="module")
def client(store: str) -> MlflowClient:
    from mlflow import MlflowClient

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        return MlflowClient(store)


@pytest.fixture(scope="module")
def done(store: str, client: MlflowClient, tmp_path_factory: pytest.TempPathFactory) -> tuple[Trained, list[str]]:
    """A training that was logged, and its messages."""
    folder = tmp_path_factory.mktemp("data")
    np.save(folder / "waves.npy", waves(2_000)[:, 0].astype(np.uint8))
    messages: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        settings = config(folder / "waves.npy", tracking_uri=store, experiment="cameras", registered_model=MODEL)
        trained = train(settings, folder / "cam", threading.Event(), Listener(messages.append))
    assert trained is not None
    return trained, messages


def runs(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id]))


def step(number: int, validation: float) -> StepReport:
    return StepReport(number, 0.5, 100.0, 2.5, 10, 100.0, 1.0, validation)


def test_a_training_is_a_run_with_its_parameters_its_metrics_and_its_bundle(
    done: tuple[Trained, list[str]], client: MlflowClient
) -> None:
    trained, messages = done
    (run,) = runs(client, "cameras")
    assert (run.info.run_name, run.info.status) == ("cam", "FINISHED")
    assert run.data.params["data.train"] == "waves.npy"
    assert run.data.params["training.max_steps"] == "20"
    assert run.data.params["flow.hidden"] == "8"
    assert run.data.tags["driftwatch.bundle.version"] == trained.version
    history = client.get_metric_history(run.info.run_id, "validation_bits_per_dim")
    assert [each.step for each in history] == [5, 10, 15, 20]
    assert run.data.metrics["bits_per_dim"] == trained.bits_per_dim
    assert run.data.metrics["steps"] == 20
    assert 0.0 <= run.data.metrics["auroc/blur/n5"] <= 1.0
    logged = [each.path for each in client.list_artifacts(run.info.run_id, "bundle")]
    assert sorted(logged) == sorted(f"bundle/{file}" for file in FILES)
    assert messages[-1] == f"in MLflow as models:/{MODEL}/1, run {run.info.run_id}"


def test_a_bundle_is_read_by_run_by_version_and_by_alias(
    done: tuple[Trained, list[str]], client: MlflowClient, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, _ = done
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    client.set_registered_model_alias(MODEL, "champion", "1")
    (run,) = runs(client, "cameras")
    for place in (f"runs:/{run.info.run_id}/bundle", f"models:/{MODEL}/1", f"models:/{MODEL}@champion"):
        assert load_bundle(place).version == trained.version
        file = tmp_path / "daemon.yaml"
        file.write_text(f"source: {{kind: http}}\nstreams: [{{name: waves, reference: '{place}'}}]\n")
        assert load_references(load_config(file))[place].version == trained.version


def test_a_bundle_that_was_altered_in_mlflow_is_refused(
    done: tuple[Trained, list[str]], client: MlflowClient, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    trained, _ = done
    for name in FILES:
        content = (trained.path / name).read_bytes()  # type: ignore[union-attr]
        (tmp_path / name).write_bytes(content[:-1] + b"?" if name == "flow.safetensors" else content)
    run = client.create_run(client.create_experiment("damaged"))
    client.log_artifacts(run.info.run_id, str(tmp_path), "bundle")
    place = f"runs:/{run.info.run_id}/bundle"
    with pytest.raises(BundleError, match=f"^{place}/flow.safetensors: is damaged: its checksum is wrong"):
        load_bundle(place)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("runs:/0123/bundle", "Run '0123' not found"),
        (f"models:/{MODEL}/99", "version=99"),
        (f"models:/{MODEL}@nobody", "alias nobody not found"),
        ("models:/nothing/1", "nothing"),
        ("models:/nothing", "nothing"),
    ],
)
def test_bundles_that_mlflow_does_not_have_are_reported_in_one_line(
    done: tuple[Trained, list[str]], store: str, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with pytest.raises(BundleError) as raised:
        load_bundle(place)
    line = str(raised.value)
    assert line.startswith(f"{place}: MLflow does not provide it: ")
    assert message in line
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize("place", ["runs:/0123/bundle", "models:/mine/1"])
def test_an_address_of_mlflow_cannot_be_written_to(place: str) -> None:
    with pytest.raises(BundleError, match=f"^{place}: bundles cannot be written to an MLflow address"):
        refuse_existing(locate(place))


@pytest.fixture
def unreachable_url() -> Iterator[str]:
    """The address of a server that does not answer."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_an_unreachable_server_is_reported_before_the_work(
    unreachable_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingError, match=r"^output.mlflow: MLflow does not accept the run: .*\(check tracking_uri"):
        train(
            config(tmp_path / "unread.npy", tracking_uri=unreachable_url), tmp_path / "x", threading.Event(), Listener()
        )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", unreachable_url)
    with pytest.raises(BundleError, match=r"^runs:/0123/bundle: MLflow does not provide it: .*MLFLOW_TRACKING_URI\)$"):
        load_bundle("runs:/0123/bundle")


def test_a_missing_server_address_or_package_is_reported_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UsageError, match=r"^models:/a/1: no MLflow server is given \(set MLFLOW_TRACKING_URI"):
        load_bundle("models:/a/1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    missing = re.escape("output.mlflow: MLflow is not installed (pip install 'driftwatch[mlflow]')")
    with pytest.raises(UsageError, match=f"^{missing}$"):
        train(config(tmp_path / "unread.npy", tracking_uri="x"), tmp_path / "x", threading.Event(), Listener())


def test_a_stopped_training_is_killed_and_one_with_an_error_is_failed(client: MlflowClient, store: str) -> None:
    for error, status in ((Interrupted("stopped"), "KILLED"), (TrainingError("diverged"), "FAILED")):
        settings = config(Path("a.npy"), tracking_uri=store, experiment=status, run_name="mine")
        with pytest.raises(type(error)), mlflow_run(settings, Path("cam"), ALONE):
            raise error
        (run,) = runs(client, status)
        assert (run.info.status, run.info.run_name) == (status, "mine")


def test_only_the_leading_process_has_a_run() -> None:
    follows = Processes(1, 2, torch.device("cpu"))
    with mlflow_run(config(Path("a.npy"), tracking_uri="http://127.0.0.1:9"), Path("cam"), follows) as run:
        assert run is None


class UnreachableServer:
    """A server that no metrics can reach for a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self.attempts, self.down = 0, True
        real = MlflowClient.log_batch

        def log_batch(client: MlflowClient, run: str, **more: Any) -> Any:
            if "metrics" in more:
                self.attempts += 1
                if self.down:
                    raise MlflowException("away")
            return real(client, run, **more)

        monkeypatch.setattr(MlflowClient, "log_batch", log_batch)


def test_a_folder_that_mlflow_no_longer_accepts_is_refused_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    settings = config(Path("a.npy"), tracking_uri=str(tmp_path / "runs"))
    with pytest.raises(TrainingError, match="MLFLOW_ALLOW_FILE_STORE=true"), mlflow_run(settings, tmp_path, ALONE):
        pass


def test_training_continues_without_the_server_and_logs_everything_at_the_end(
    done: tuple[Trained, list[str]], client: MlflowClient, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = UnreachableServer(monkeypatch)
    trained, _ = done
    assert isinstance(trained.path, Path)
    with mlflow_run(config(Path("a.npy"), tracking_uri=store, experiment="away"), trained.path, ALONE) as run:
        assert run is not None
        for number in range(1, 7):
            run.report(step(number, 3.0 - number // 2))
        assert server.attempts == 1, "each attempt would wait for an unreachable server"
        server.down = False
        assert run.keep(trained.path, trained) == f"runs:/{run.id}/bundle"
    history = client.get_metric_history(run.id, "validation_bits_per_dim")
    assert {(each.step, each.value) for each in history} == {(1, 3.0), (2, 2.0), (4, 1.0), (6, 0.0)}


def test_a_bundle_that_could_not_be_logged_is_an_error_that_says_how_to_log_it(
    done: tuple[Trained, list[str]], client: MlflowClient, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    UnreachableServer(monkeypatch)
    trained, _ = done
    assert isinstance(trained.path, Path)
    settings = config(Path("a.npy"), tracking_uri=store, experiment="lost")

    def work() -> None:
        with mlflow_run(settings, trained.path, ALONE) as run:
            assert run is not None
            run.keep(Path(str(trained.path)), trained)

    with pytest.raises(
        TrainingError, match=r"^output.mlflow: the bundle is written to .*: away \(mlflow artifacts log-"
    ):
        work()
    assert [each.info.status for each in runs(client, "lost")] == ["FAILED"]
