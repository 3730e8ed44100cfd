"""The MLflow client, and MLflow's errors in one line."""

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
"""URL schemes that MLflow resolves: ``runs:/RUN/bundle``, ``models:/NAME/VERSION`` and ``models:/NAME@ALIAS``."""

SERVER = "MLFLOW_TRACKING_URI"
FILE_STORE = "MLFLOW_ALLOW_FILE_STORE"
SHOWN = 200

_USUAL = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # MLflow's default of seven retries means two minutes of silence.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MlflowError(Exception):
    """An error of MLflow, in one line."""


def open_client(where: str, server: str | None = None) -> MlflowClient:
    """A client of a tracking server.

    Args:
        where: the setting or URL that needs it, for error messages.
        server: its address; ``MLFLOW_TRACKING_URI`` if None.

    Raises:
        UsageError: MLflow is not installed, or no server is specified.
        MlflowError: the address is not valid.
    """
    if not (server or os.environ.get(SERVER)):
        raise UsageError("no MLflow server is given", where=where, remedy=f"set {SERVER}, to http://127.0.0.1:5000 say")
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
    """Convert exceptions of MLflow and its libraries to `MlflowError`."""
    try:
        yield
    except DriftwatchError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if FILE_STORE in text:
            text = f"runs in a folder need {FILE_STORE}=true; a server or sqlite:///mlflow.db is better"
        raise MlflowError(text if len(text) <= SHOWN else f"{text[:SHOWN]}...") from error


def download(place: RemotePath, folder: Path) -> Path:
    """Copy a bundle from MLflow to a local folder; returns its place in there.

    Raises:
        BundleError: MLflow cannot be reached, or has no such bundle.
        UsageError: MLflow is not installed, or no server is specified.
    """
    try:
        open_client(str(place))
        with mlflow_errors():
            from mlflow.artifacts import download_artifacts

            return Path(download_artifacts(artifact_uri=place.url, dst_path=str(folder)))
    except MlflowError as error:
        raise BundleError(
            f"MLflow does not provide it: {error}", where=str(place), remedy=f"check the name, and {SERVER}"
        ) from None
