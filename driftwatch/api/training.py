"""The Python interface to training."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from driftwatch.api.reference import Reference, load
from driftwatch.api.samples import Data, in_file
from driftwatch.errors import DriftwatchError
from driftwatch.locations import Location, RemotePath, locate
from driftwatch.reference.train import train as train_reference
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener
from driftwatch.settings import model_of


def train(
    data: Data | Sequence[Path | str],
    out: str | Location,
    *,
    name: str | None = None,
    columns: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] = (),
    categories: str | Sequence[str] = (),
    minutes: float = 15.0,
    device: str = "auto",
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] | None = None,
) -> Reference:
    """Train a reference on data from normal operation, and write its bundle.

    Args:
        data: at least a few thousand samples, or the path or paths of data sets.
        out: where to write the bundle, a folder or URL.
        name: of the reference; that of `out` if None.
        columns: of a table, the column or columns to learn from, in this order; all if None.
        exclude: of a table, the column or columns to leave out.
        categories: of a table, the numeric column or columns whose numbers are names; categorical columns of data
            frames always count as such.
        minutes: to train at most.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        seed: of everything random.
        settings: any other settings of a training configuration, by section: ``{"training": {"max_steps": 500}}``.
        overwrite: replace a bundle at `out`.
        say: called with lines about the progress; pass `print`, for example.

    Returns:
        The reference, as returned by `load`. Check its `warnings` and `detectable`.

    Raises:
        DriftwatchError: the data cannot be learned from, a setting is not allowed, or the bundle cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="driftwatch-data-") as folder:
        chosen, left_out = None if columns is None else _names(columns), _names(exclude)
        files = _files(data, Path(folder), chosen, left_out)
        stated: dict[str, dict[str, Any]] = {
            "data": {"train": files, "columns": chosen, "exclude": left_out, "categories": _names(categories)},
            "training": {"minutes": minutes, "device": device, "seed": seed},
            "output": {"name": name},
        }
        for section, values in (settings or {}).items():
            stated[section] = {**stated.get(section, {}), **values}
        config = model_of(stated, TrainConfig)
        listener = Listener() if say is None else Listener(say)
        with _errors_without_paths(Path(folder)):
            train_reference(config, locate(out), threading.Event(), listener, fresh=True, overwrite=overwrite)
    return load(out, device=device)


def _names(columns: str | Sequence[str]) -> list[str]:
    """A list of names; a single name is a sequence, too, of its letters."""
    return [columns] if isinstance(columns, str) else list(columns)


def _files(data: Any, folder: Path, columns: Sequence[str] | None, exclude: Sequence[str]) -> list[str | Location]:
    """The paths of the data, after writing it to `folder` if it is in memory."""
    if isinstance(data, str | Path | RemotePath):
        return [data]
    if isinstance(data, list | tuple) and data and all(isinstance(each, str | Path | RemotePath) for each in data):
        return list(data)
    return [in_file(data, folder, columns, exclude)]


@contextmanager
def _errors_without_paths(folder: Path) -> Iterator[None]:
    """Replace paths in a temporary folder in error messages by the name of the data, which is all the caller knows."""
    try:
        yield
    except DriftwatchError as error:
        path = re.compile(re.escape(f"{folder}/") + r"(\w+)\.\w+")
        error.what, error.where, error.remedy = (
            path.sub(r"\1", text) for text in (error.what, error.where, error.remedy)
        )
        error.args = (str(error),)
        raise
