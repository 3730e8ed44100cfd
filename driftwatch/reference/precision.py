"""Number formats for training and scoring."""

from __future__ import annotations

from pathlib import Path

import torch

CPU_FACTS = Path("/proc/cpuinfo")


def compute_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The type in which an image flow's convolutions run; None for the type of its weights.

    ``auto`` is bfloat16 on hardware that multiplies it: GPUs since Ampere, CPUs with AVX-512 BF16. Weights,
    log-determinants and all sums stay float32.
    """
    if precision == "float32":
        return None
    if precision == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    fast = CPU_FACTS.is_file() and "avx512_bf16" in CPU_FACTS.read_text(errors="replace")
    return torch.bfloat16 if fast else None


def set_scoring_precision(precision: str) -> None:
    """Set how a GPU convolves float32 in this process: ``auto`` rounds factors to TF32, ``float32`` does not."""
    torch.backends.cudnn.allow_tf32 = precision == "auto"
