"""Linear maps whose result for one row does not depend, in its last bit, on which place of the batch the row is in.

A streaming monitor meets the same sample in other company after a restart, and must find the same. Matrix products do
not promise that: with an odd number of columns the rows of a batch are aligned differently, and kernels that add them
up differently then give other last bits.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

ALIGNED = 4


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x W^T + b`` on the last axis of ``(N, ..., K)``; columns of zeros make every row aligned."""
    missing = -x.shape[-1] % ALIGNED
    if missing:
        x, weight = F.pad(x, (0, missing)), F.pad(weight, (0, missing))
    return F.linear(x, weight, bias)
