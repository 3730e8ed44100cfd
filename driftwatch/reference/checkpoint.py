"""Checkpoints: the state of a training in one file, written atomically; tensors and JSON only, no executable code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from driftwatch.errors import TrainingError
from driftwatch.reference.folders import sync_folder

CHECKPOINT = "checkpoint.safetensors"


class Interrupted(TrainingError):  # noqa: N818 - requested by the user, not an error
    """Training was stopped after writing its checkpoint."""

    exit_code = 130


@dataclass
class Progress:
    """The progress of a training.

    Args:
        fingerprint: of configuration and data; a checkpoint with another fingerprint is not resumed.
        step: steps done.
        epoch: number of the current pass over the data.
        batch: batches of that pass that are done.
        elapsed_s: seconds trained, over all starts.
        best: lowest validation, bits per dimension.
        since_best: validations since then.
        rate_factor: factor on the learning rate, lowered by recoveries.
        recoveries: how often training went back because the loss diverged.
        loss: nats per sample, smoothed; None before the first step.
        curve: ``(step, training, validation)`` in bits per dimension.
    """

    fingerprint: str
    step: int = 0
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    best: float = float("inf")
    since_best: int = 0
    rate_factor: float = 1.0
    recoveries: int = 0
    loss: float | None = None
    curve: list[tuple[int, float, float]] = field(default_factory=list)


def save_checkpoint(folder: Path, progress: Progress, tensors: Mapping[str, Tensor]) -> None:
    """Write a checkpoint.

    Raises:
        TrainingError: the disk is full, or the folder cannot be written.
    """
    stored = {**asdict(progress), "best": progress.best if progress.best < float("inf") else None}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    partial = folder / f".{CHECKPOINT}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(contiguous, partial, metadata={"progress": orjson.dumps(stored).decode()})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(folder / CHECKPOINT)
        sync_folder(folder)
    except (OSError, SafetensorError) as error:
        if folder.is_dir():
            partial.unlink(missing_ok=True)
            _remove_if_empty(folder)
        raise TrainingError(
            f"the checkpoint cannot be written: {error}",
            where=str(folder),
            remedy="free some space there, or choose another --out",
        ) from error


def load_checkpoint(folder: Path, fingerprint: str) -> tuple[Progress, dict[str, Tensor]] | None:
    """Load the checkpoint of this training; None if there is none.

    Raises:
        TrainingError: the file is damaged, or of another training.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            stored: dict[str, Any] = orjson.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        stored["best"] = float("inf") if stored["best"] is None else stored["best"]
        stored["curve"] = [(int(step), float(a), float(b)) for step, a, b in stored["curve"]]
        progress = Progress(**stored)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(
            f"the checkpoint cannot be read: {error}", where=str(path), remedy="start over with --fresh"
        ) from None
    if progress.fingerprint != fingerprint:
        raise TrainingError(
            f"this checkpoint is of a training with another configuration or other data (step {progress.step:,})",
            where=str(path),
            remedy="start over with --fresh, which discards it, or choose another --out",
        )
    return progress, tensors


def remove_checkpoint(folder: Path) -> None:
    """Remove a checkpoint, and its folder if that is empty then."""
    (folder / CHECKPOINT).unlink(missing_ok=True)
    _remove_if_empty(folder)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
