"""References of tables whose flow only whitens: drift shows in the descriptors alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from driftwatch.data.schema import TableSchema
from driftwatch.reference.architecture import new_flow
from driftwatch.reference.bundle import Bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.loading import reference_from
from driftwatch.reference.reference import Reference
from driftwatch.reference.train_config import FlowConfig


def whitening_reference(
    name: str, schema: TableSchema, rows: Callable[[int, int], np.ndarray], size: FlowConfig
) -> Reference:
    """A reference of rows, drawn by count and seed, with a flow that is initialised and not trained."""
    fitted = rows(8_000, 0)
    torch.manual_seed(0)
    flow = new_flow(size, schema, fitted)
    flow.initialise(flow.prepare(torch.from_numpy(fitted[:2_000]), noise="content").to(torch.float32))
    flow.eval().requires_grad_(requires_grad=False)
    return reference_from(Bundle(Path("none"), name, "0", schema, flow, calibrate(flow, rows(6_000, 1), fitted), {}))
