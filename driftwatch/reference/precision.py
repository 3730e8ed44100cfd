"""In which number format a flow is trained, and scores."""

from __future__ import annotations

from pathlib import Path

import torch

CPU_FACTS = Path("/proc/cpuinfo")


def compute_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """The type in which an image flow's convolutions run; None for that of its weights.

    ``auto`` is bfloat16 where the hardware multiplies it: GPUs since Ampere, CPUs with AVX-512 BF16. Weights,
    log-determinants and all that is summed stay float32.
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
    """Says how exactly this process's GPU convolves float32: ``auto`` rounds factors to TF32, ``float32`` does not."""
    torch.backends.cudnn.allow_tf32 = precision == "auto"
