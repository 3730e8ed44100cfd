"""A checkpoint is loaded exactly as saved, and only by the training that it belongs to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from driftwatch.errors import TrainingError
from driftwatch.reference.checkpoint import CHECKPOINT, Progress, load_checkpoint, remove_checkpoint, save_checkpoint

TENSORS = {"parameter/a": torch.randn(3, 4), "turned": torch.randn(3, 4).T, "step": torch.tensor(7.0)}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_is_loaded_exactly_as_saved(tmp_path: Path) -> None:
    progress = Progress("f", step=3, elapsed_s=0.1, best=2.5, loss=3.25, curve=[(1, 2.0, 3.0), (3, 1.5, 2.5)])
    save_checkpoint(tmp_path / "new", progress, TENSORS)
    found = load_checkpoint(tmp_path / "new", "f")
    assert found is not None
    assert found[0] == progress
    assert all(torch.equal(found[1][name], tensor) for name, tensor in TENSORS.items())
    assert names(tmp_path / "new") == [CHECKPOINT]


def test_a_checkpoint_without_any_step_is_loaded_too(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, Progress("f"), TENSORS)
    found = load_checkpoint(tmp_path, "f")
    assert found is not None
    assert found[0] == Progress("f")


def test_a_missing_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path / "nowhere", "f") is None


def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, Progress("f", step=1_234), TENSORS)
    with pytest.raises(TrainingError, match=r"another configuration or other data \(step 1,234\).*--fresh"):
        load_checkpoint(tmp_path, "g")
    assert load_checkpoint(tmp_path, "f") is not None


@pytest.mark.parametrize("keep", [0, 4, 40, -1])
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    save_checkpoint(tmp_path, Progress("f"), TENSORS)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match="cannot be read"):
        load_checkpoint(tmp_path, "f")


def test_removing_a_checkpoint_leaves_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    save_checkpoint(folder, Progress("f"), TENSORS)
    remove_checkpoint(folder)
    assert not folder.exists()
    save_checkpoint(folder, Progress("f"), TENSORS)
    (folder / "notes").touch()
    remove_checkpoint(folder)
    assert names(folder) == ["notes"]
    remove_checkpoint(tmp_path / "nowhere")


SAVE_TWICE = """
import resource, sys
from pathlib import Path
import torch
from driftwatch.errors import TrainingError
from driftwatch.reference.checkpoint import Progress, save_checkpoint
folder = Path(sys.argv[1])
save_checkpoint(folder, Progress("f", step=1), {"a": torch.zeros(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_checkpoint(folder, Progress("f", step=2), {"a": torch.zeros(100_000)})
except TrainingError as error:
    print(error)
"""


def test_a_checkpoint_that_cannot_be_written_leaves_the_previous_one(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", SAVE_TWICE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert "the checkpoint cannot be written" in done.stdout
    assert done.stdout.count("\n") == 1
    assert names(tmp_path) == [CHECKPOINT]
    found = load_checkpoint(tmp_path, "f")
    assert found is not None
    assert found[0].step == 1
