"""The trained reference of each part: a bundle that is given, one of an earlier run, or one trained now."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.detection.material import Material
from driftwatch.reference.reference import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train import train
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener


def scorer_for(material: Material, given: Path | None, folder: Path, seed: int) -> Scorer:
    """Loads the bundle `given`, or the one in `folder`, which is trained if it is not there.

    The data that it is trained on, and fresh data of the same kind, stay beside it, for `benchmarks.false_alarms`.
    """
    path = given or folder / material.name
    if given is None and not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        data = _write(material.train, folder / f"{material.name}-train")
        _write(material.fresh, folder / f"{material.name}-fresh")
        told: dict[str, Any] = {"data": {"train": data}, **material.config}
        told["training"] = {**told.get("training", {}), "seed": seed}
        config = TrainConfig.model_validate(told, context={"base_directory": folder})
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
