"""The trained reference of each part: a given bundle, one kept from an earlier run, or a newly trained one."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.detection.material import Material
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train import train
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener


def scorer_for(material: Material, given: Path | None, folder: Path, seed: int) -> Scorer:
    """Load the bundle `given`, or the one in `folder`, which is trained if it does not exist yet.

    Its training data and fresh data of the same kind are kept next to it, for `benchmarks.false_alarms`.
    """
    path = given or folder / material.name
    if given is None and not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data = _write(material.train, folder / f"{material.name}-train")
        _write(material.fresh, folder / f"{material.name}-fresh")
        settings: dict[str, Any] = {"data": {"train": data}, **material.config}
        settings["training"] = {**settings.get("training", {}), "seed": seed}
        config = TrainConfig.model_validate(settings, context={"base_directory": folder})
        train(config, path, threading.Event(), Listener(say=lambda line: print(f"  {line}", flush=True)))
    return Scorer(load_reference(path))


def _write(data: Any, stem: Path) -> str:
    if isinstance(data, pd.DataFrame):
        path = stem.with_suffix(".csv")
        data.to_csv(path, index=False)
    else:
        path = stem.with_suffix(".npy")
        np.save(path, data)
    return str(path.absolute())
