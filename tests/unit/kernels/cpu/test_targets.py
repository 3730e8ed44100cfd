"""What is written compiles to each hardware's own products."""

from __future__ import annotations

import pytest
from llvmlite import binding

from driftwatch.kernels.cpu import couplings, splines


@pytest.mark.parametrize("flow", ["images", "vectors"])
@pytest.mark.parametrize(
    ("triple", "cpu", "lanes", "multiplies"),
    [
        ("x86_64-unknown-linux-gnu", "x86-64-v3", 8, "vfmadd231ps\t%ymm"),
        ("x86_64-unknown-linux-gnu", "x86-64-v4", 16, "vfmadd231ps\t%zmm"),
        ("aarch64-unknown-linux-gnu", "neoverse-n1", 4, "fmla\tv"),
    ],
)
def test_products_are_the_hardware_s_own(triple: str, cpu: str, lanes: int, multiplies: str, flow: str) -> None:
    written = (
        couplings.code_of(couplings.ScaleShape(8, 8, 8, 64, lanes))
        if flow == "images"
        else splines.code_of(splines.VectorShape(12, 64, 8, lanes))
    )
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)
    text = machine.emit_assembly(binding.parse_assembly(written))
    assert multiplies in text
    assert "fmaf" not in text
    assert not {"expf", "logf", "rintf"} & set(text.split())
