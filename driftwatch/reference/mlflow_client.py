"""MLflow as driftwatch uses it: its client, told which server, and its errors in one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from driftwatch.errors import BundleError, DriftwatchError, UsageError
from driftwatch.locations import RemotePath

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEMES = frozenset({"runs", "models"})
"""Of URLs that MLflow resolves: ``runs:/RUN/bundle``, ``models:/NAME/VERSION`` and ``models:/NAME@ALIAS``."""

SERVER = "MLFLOW_TRACKING_URI"
FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"
SHOWN = 200

_USUAL = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Seven, MLflow's own, are two minutes in which nothing is said.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MlflowError(Exception):
    """What MLflow says, in one line."""


def open_client(where: str, server: str | None = None) -> MlflowClient:
    """A client of a tracking server.

    Args:
        where: it is asked for, to be told in errors.
        server: its address; ``MLFLOW_TRACKING_URI`` if None.

    Raises:
        UsageError: MLflow is not installed, or neither says which server.
        MlflowError: the address is none that MLflow takes.
    """
    if not (server or os.environ.get(SERVER)):
        raise UsageError("which MLflow is not said", where=where, remedy=f"set {SERVER}, such as http://127.0.0.1:5000")
    for name, value in _USUAL.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise UsageError("MLflow is not installed", where=where, remedy="pip install 'driftwatch[mlflow]'") from None
    with mlflow_errors():
        return MlflowClient(server)


@contextmanager
def mlflow_errors() -> Iterator[None]:
    """What MLflow and the libraries beneath it raise becomes a `MlflowError`."""
    try:
        yield
    except DriftwatchError:
        raise
    except Exception as error:
        told = " ".join(str(error).split()) or type(error).__name__
        if FILE_STORE in told:
            told = f"runs are kept in a folder only where {FILE_STORE}=true; better a server, or sqlite:///mlflow.db"
        raise MlflowError(told if len(told) <= SHOWN else f"{told[:SHOWN]}...") from error


def download(place: RemotePath, folder: Path) -> Path:
    """Copies a bundle that MLflow keeps to a folder of this machine; returns where it is in there.

    Raises:
        BundleError: MLflow cannot be reached, or has no such thing.
        UsageError: MLflow is not installed, or nothing says which server.
    """
    try:
        open_client(str(place))
        with mlflow_errors():
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(artifact_uri=place.url, dst_path=str(folder)))
    except MlflowError as error:
        raise BundleError(
            f"MLflow does not give it: {error}", where=str(place), remedy=f"check the name, and {SERVER}"
        ) from None
