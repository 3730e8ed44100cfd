"""The generated code compiles to each architecture's own multiply-add instructions."""

from __future__ import annotations

import pytest
from llvmlite import binding

from driftwatch.kernels.cpu import couplings, splines


@pytest.mark.parametrize("flow", ["images", "vectors"])
@pytest.mark.parametrize(
    ("triple", "cpu", "lanes", "instruction"),
    [
        ("x86_64-unknown-linux-gnu", "x86-64-v3", 8, "vfmadd231ps\t%ymm"),
        ("x86_64-unknown-linux-gnu", "x86-64-v4", 16, "vfmadd231ps\t%zmm"),
        ("aarch64-unknown-linux-gnu", "neoverse-n1", 4, "fmla\tv"),
    ],
)
def test_products_use_the_architecture_s_instructions(
    triple: str, cpu: str, lanes: int, instruction: str, flow: str
) -> None:
    code = (
        couplings.code_of(couplings.ScaleShape(8, 8, 8, 64, lanes))
        if flow == "images"
        else splines.code_of(splines.VectorShape(12, 64, 8, lanes))
    )
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    machine = binding.Target.from_triple(triple).create_target_machine(cpu=cpu, opt=2)
    text = machine.emit_assembly(binding.parse_assembly(code))
    assert instruction in text
    assert "fmaf" not in text
    assert not {"expf", "logf", "rintf"} & set(text.split())
