"""The demo's story, where somebody stops it."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from driftwatch.demo.story import Narrator, watch_camera
from driftwatch.reference.checkpoint import Interrupted


def test_a_demo_that_is_stopped_before_its_first_sample_says_so(bundle: Path, tmp_path: Path) -> None:
    """It ended as a fault of driftwatch, in a picture of nothing."""
    (tmp_path / "reference").symlink_to(bundle)
    np.save(tmp_path / "stream.npy", np.zeros((100, 8, 8), np.uint8))
    stop = threading.Event()
    stop.set()
    silent = Narrator(lambda _: None, lambda _: None, lambda *_: None, lambda _: None)
    with pytest.raises(Interrupted, match="stopped"), watch_camera(tmp_path, stop, silent):
        pytest.fail("it went on")
