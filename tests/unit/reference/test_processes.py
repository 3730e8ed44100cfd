"""Two processes, started by torchrun, train one flow together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.processes import Processes
from tests.synthetic import waves

ROOT = Path(__file__).parents[3]

TOGETHER = """
import json, sys, threading, zlib
from pathlib import Path
import torch
from driftwatch.reference.processes import leave
from driftwatch.reference.train import train
from driftwatch.reference.trained import Listener
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.training import FlowTrainer
from driftwatch.reference.training_data import TrainingData

data, out = sys.argv[1:]
facts = {}

def exchange(processes):
    rank = float(processes.rank)
    tensors = [torch.full((2, 3), rank), torch.tensor([rank * 10])]
    processes.average(tensors)
    facts["average"] = [float(tensors[0].min()), float(tensors[0].max()), float(tensors[1])]
    facts["agree"] = processes.agree(rank + 5, 1.0)
    shared = [torch.tensor([rank, 1.0]), torch.tensor([processes.leads])]
    processes.share(shared)
    facts["share"] = [shared[0].tolist(), shared[1].tolist()]

fit, batches = FlowTrainer.fit, TrainingData.batches
seen = []

def fit_and_look(self, *arguments):
    fitted = fit(self, *arguments)
    exchange(self._processes)
    facts["weights"] = float(sum(p.double().abs().sum() for p in self.flow.parameters()))
    facts["buffers"] = float(sum(b.double().abs().sum() for b in self.flow.buffers()))
    facts["curve"] = fitted.curve
    return fitted

def watched(self, *arguments, **options):
    for batch in batches(self, *arguments, **options):
        seen.append(zlib.crc32(batch.tobytes()))
        yield batch

FlowTrainer.fit, TrainingData.batches = fit_and_look, watched
rank = __import__("os").environ["RANK"]
config = TrainConfig.model_validate({
    "data": {"train": data},
    "flow": {"scales": 2, "steps": 1, "hidden": 8},
    "training": {"minutes": 10, "max_steps": 12, "validate_every": 5, "batch_size": 16, "precision": "float32",
                 "validation_fraction": 0.04, "calibration_fraction": 0.3, "device": "cpu"},
})
said = []
trained = train(config, Path(out), threading.Event(), Listener(said.append))
facts |= {"said": len(said), "trained": trained is not None, "seen": seen, "compiler": "torch._dynamo" in sys.modules}
Path(f"{out}.rank{rank}.json").write_text(json.dumps(facts))
if trained is None:
    leave()  # as the command does
"""


def test_two_processes_train_one_flow(tmp_path: Path) -> None:
    np.save(tmp_path / "waves.npy", waves(2_000)[:, 0].astype(np.uint8))
    (tmp_path / "together.py").write_text(TOGETHER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(tmp_path / "together.py"), str(tmp_path / "waves.npy"), str(tmp_path / "cam")],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    first, second = (json.loads((tmp_path / f"cam.rank{rank}.json").read_text()) for rank in range(2))
    for facts in (first, second):
        assert facts["average"] == [0.5, 0.5, 5.0]
        assert facts["agree"] == [5.0, 1.0]
        assert facts["share"] == [[0.0, 1.0], [True]]
        assert not facts["compiler"], "PyTorch's compiler takes 1.5 seconds to import, and nothing uses it"
    for same in ("weights", "buffers", "curve"):
        assert first[same] == second[same]
    assert len(first["seen"]) == len(second["seen"]) >= 12
    assert not set(first["seen"]) & set(second["seen"])
    assert (first["trained"], second["trained"]) == (True, False)
    assert first["said"] > 0
    assert second["said"] == 0
    assert load_bundle(tmp_path / "cam").manifest["training"]["steps"] == 12


def test_a_single_process_exchanges_nothing() -> None:
    alone = Processes(0, 1, torch.device("cpu"))
    tensor = torch.tensor([3.0])
    alone.average([tensor])
    alone.share([tensor])
    assert tensor.item() == 3.0
    assert alone.agree(1.0, 2.0) == (1.0, 2.0)
    assert alone.leads
