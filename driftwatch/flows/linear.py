"""Linear maps whose result for a row does not depend, even in its last bit, on the row's position in the batch.

After a restart, a streaming monitor sees the same sample in another batch and must compute the same score. Matrix
products do not guarantee that: with an odd number of columns, rows are aligned differently, and kernels that sum
differently aligned rows in a different order differ in the last bits.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

ALIGNED = 4


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W^T + b`` on the last axis of ``(N, ..., K)``, padded with columns of zeros to align every row."""
    missing = -x.shape[-1] % ALIGNED
    if missing:
        x, weight = F.pad(x, (0, missing)), F.pad(weight, (0, missing))
    return F.linear(x, weight, bias)
