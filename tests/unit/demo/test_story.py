"""The demo's story, if it is stopped early."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from driftwatch.demo.story import Narrator, watch_camera
from driftwatch.reference.checkpoint import Interrupted


def test_a_demo_that_is_stopped_before_its_first_sample_says_so(bundle: Path, tmp_path: Path) -> None:
    """It reported a bug in driftwatch, because it tried to draw an empty picture."""
    (tmp_path / "reference").symlink_to(bundle)
    np.save(tmp_path / "stream.npy", np.zeros((100, 8, 8), np.uint8))
    stop = threading.Event()
    stop.set()
    silent = Narrator(lambda _: None, lambda _: None, lambda *_: None, lambda _: None)
    with pytest.raises(Interrupted, match="stopped"), watch_camera(tmp_path, stop, silent):
        pytest.fail("it continued")
