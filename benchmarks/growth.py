"""How cost grows with dimensions, block sizes, window sizes and the number of streams: slopes on log-log scales.

    python -m benchmarks.growth [--only vectors|images|blocks|windows|streams] [--picture growth.png]

Measured is the processor time of one thread, with untrained flows of the default size and generated samples: the cost
does not depend on the weights. A slope of 1 is linear; it is fitted to the larger half of the sizes.
`benchmarks.replicas` measures replicas.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.pictures.style import BLUE, GREEN, GREY, ORANGE, plain, save, title
from driftwatch.config import AlertsConfig, WindowsConfig
from driftwatch.data.schema import ImageSchema, Samples, Schema, VectorSchema
from driftwatch.flows.base import Flow
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.architecture import new_flow
from driftwatch.reference.bundle import write_bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train_config import FlowConfig
from driftwatch.running import spare_collector
from driftwatch.stats.sums import keep
from driftwatch.stream.pane_codec import encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.standards import Standard, Standards, standards_for
from driftwatch.stream.test_stage import Tests, TestStage

VECTORS = (32, 128, 512, 2_048)
IMAGES = ((1, 8), (1, 16), (1, 32), (3, 32), (3, 64))
"""Channels and side: 64 to 12,288 dimensions."""

BLOCKS = (2, 4, 8, 16, 32)
BLOCKS_DIM = 64
SIZES = (50, 500, 5_000, 50_000)
STREAMS = (1, 10, 100, 1_000)
STEP, PANES, MANY, SCORED = 10, 60, 6_000, 640
CALIBRATION, BATCH = 600, 64
TIMED, ROUNDS = 1_000, 9
"""Panes whose tests are timed per window size, and rounds, whose median is reported."""

AT_ONCE = 200
"""The most panes that the test role takes at once."""


@dataclass(frozen=True)
class Curve:
    """A cost as a function of a size."""

    name: str
    sizes: tuple[float, ...]
    costs: tuple[float, ...]

    @property
    def slope(self) -> float:
        """The log-log slope over the larger half of the sizes."""
        half = len(self.sizes) // 2
        return float(np.polyfit(np.log(self.sizes[half:]), np.log(self.costs[half:]), 1)[0])


def main() -> None:
    """Print Markdown, and draw the plot if one is requested."""
    parts: dict[str, Callable[[], list[Curve]]] = {
        "vectors": lambda: _dimensions([VectorSchema(dim=dim) for dim in VECTORS]),
        "images": lambda: _dimensions([ImageSchema(channels=c, height=side, width=side) for c, side in IMAGES]),
        "blocks": _blocks,
        "windows": _windows,
        "streams": _streams,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=parts)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    spare_collector()
    found = {}
    for name, part in parts.items():
        if options.only in (None, name):
            found[name] = part()
            _print(name, found[name])
    if options.picture:
        _draw(found, options.picture)


def _print(name: str, curves: Sequence[Curve]) -> None:
    sizes = curves[0].sizes
    print(f"\n## {name.capitalize()}\n")
    print(f"| | {' | '.join(f'{size:,.0f}' for size in sizes)} | slope |")
    print(f"| --- |{' ---: |' * (len(sizes) + 1)}")
    for curve in curves:
        costs = [f"{cost:,.4g}" for cost in curve.costs] + [""] * (len(sizes) - len(curve.costs))
        print(f"| {curve.name} | {' | '.join(costs)} | {curve.slope:.2f} |", flush=True)


def _samples(schema: Schema, count: int, seed: int) -> Samples:
    rng = np.random.default_rng(seed)
    if isinstance(schema, ImageSchema):
        return rng.integers(0, 256, (count, *schema.shape)).astype(np.float32)
    return rng.standard_normal((count, *schema.shape))


def reference_of(schema: Schema, held_out: int = CALIBRATION, flow: Flow | None = None) -> Reference:
    """A reference with an untrained flow."""
    torch.manual_seed(0)
    fitted = _samples(schema, held_out, 0)
    flow = flow or new_flow(FlowConfig(), schema, fitted)
    flow.initialise(flow.prepare(torch.from_numpy(fitted[:128]), noise="content"))
    flow.eval()
    with tempfile.TemporaryDirectory() as name:
        calibration = calibrate(flow, _samples(schema, held_out, 1), fitted)
        path = Path(name) / "grown"
        write_bundle(path, name="grown", schema=schema, flow=flow, calibration=calibration, facts={})
        return load_reference(path)


def _factory(*sizes: int) -> Standards:
    return standards_for(
        WindowsConfig(sizes=list(sizes), step=STEP), AlertsConfig(false_alarm_budget="1 per 1e4 samples")
    )


def _silent(factory: Standards, reference: Reference) -> Standard:
    """A standard that never alarms: an alert costs as much as ten panes, and few held-out samples mean many alerts."""
    standard = factory.standard(reference)
    return replace(standard, policy=replace(standard.policy, threshold=0.0), alarm=None)


def _panes(reference: Reference, count: int = PANES) -> list[Pane]:
    samples = _samples(reference.schema, count * STEP, 2)
    scored = Scorer(reference)([samples[i : i + STEP] for i in range(0, len(samples), STEP)])
    return [
        Pane(
            stream="one",
            reference=reference.version,
            n=STEP,
            sums=keep(each.summary),
            start_ms=number,
            end_ms=number,
            topic="inputs",
            partition=0,
            first=(number, 0),
            last=(number, STEP - 1),
            grades=each.grades.tobytes(),
        )
        for number, each in enumerate(scored)
    ]


def _processor_s(work: Callable[[], object], *, collect: bool = True) -> float:
    if collect:
        gc.collect()
    started = time.process_time()
    work()
    return time.process_time() - started


def _feed(stage: TestStage, panes: Iterable[Pane], first: int = 0) -> float:
    """Feed panes as a busy test role does; return the seconds that the stage takes."""
    spent, coming = 0.0, enumerate(panes, first)
    while chunk := list(islice(coming, AT_ONCE)):
        spent += _processor_s(partial(stage.feed_all, chunk, Tests()), collect=False)
    return spent


def _costs(reference: Reference) -> list[float]:
    """The costs named in `COSTS`."""
    scorer, samples = Scorer(reference), _samples(reference.schema, SCORED, 3)
    scorer([samples[:BATCH]])
    scoring = _processor_s(lambda: scorer([samples[i : i + BATCH] for i in range(0, SCORED, BATCH)])) / SCORED
    panes = _panes(reference)
    factory = _factory(50)
    null = _processor_s(partial(factory.standard, reference))
    standard = _silent(factory, reference)
    stage = TestStage(lambda *_: standard)
    _feed(stage, panes)
    testing = median(_feed(stage, panes, PANES * number) for number in range(1, ROUNDS + 1)) / PANES
    return [1e6 * scoring, len(encode_pane(panes[0])), 1e6 * testing, null]


COSTS = ("scoring, µs per sample", "bytes per pane", "testing, µs per pane", "null at start, s")


def _dimensions(schemas: Sequence[Schema]) -> list[Curve]:
    sizes = tuple(float(np.prod(schema.shape)) for schema in schemas)
    costs = zip(*(_costs(reference_of(schema)) for schema in schemas), strict=True)
    return [Curve(name, sizes, each) for name, each in zip(COSTS, costs, strict=True)]


def _blocks() -> list[Curve]:
    schema = VectorSchema(dim=BLOCKS_DIM)
    rows = []
    for dim in BLOCKS:
        usual = new_flow(FlowConfig(), schema, _samples(schema, CALIBRATION, 0))
        assert isinstance(usual, VectorFlow)
        rows.append(_costs(reference_of(schema, flow=VectorFlow(usual.features, block_dim=dim))))
    return [Curve(name, BLOCKS, each) for name, each in zip(COSTS, zip(*rows, strict=True), strict=True)]


def _windows() -> list[Curve]:
    reference = reference_of(ImageSchema(channels=1, height=8, width=8))
    panes = _panes(reference, MANY)
    factories = [_factory(size) for size in SIZES]
    nulls = [_processor_s(partial(factory.standard, reference)) for factory in factories]
    standards = [_silent(factory, reference) for factory in factories]
    # Sizes alternate, which spreads other load on the machine over all of them.
    rounds = [
        [_fed(standard, iter(panes), size // STEP, TIMED) for size, standard in zip(SIZES, standards, strict=True)]
        for _ in range(ROUNDS)
    ]
    testing = map(median, zip(*rounds, strict=True))
    return [Curve(COSTS[2], SIZES, tuple(testing)), Curve(COSTS[3], SIZES, tuple(nulls))]


def _streams() -> list[Curve]:
    reference = reference_of(ImageSchema(channels=1, height=8, width=8))
    panes, standard = _panes(reference), _silent(_factory(50, 500), reference)
    half = PANES // 2
    times = [_fed(standard, _of_streams(panes, count), half * count, half * count) for count in STREAMS]
    memories = [_held_kib(standard, _of_streams(panes, count)) / count for count in STREAMS]
    return [Curve(COSTS[2], STREAMS, tuple(times)), Curve("memory, KiB per stream", STREAMS, tuple(memories))]


def _of_streams(panes: Sequence[Pane], count: int) -> Iterator[Pane]:
    """One pane of each stream in turn, as when many streams feed a topic."""
    return (
        replace(pane, stream=f"stream-{number}", sums=keep(pane.summary)) for pane in panes for number in range(count)
    )


def _fed(standard: Standard, panes: Iterator[Pane], filled: int, count: int) -> float:
    """Microseconds per pane over `count` panes, once `filled` panes have filled the windows."""
    stage = TestStage(lambda *_: standard)
    _feed(stage, islice(panes, filled))
    return 1e6 * _feed(stage, islice(panes, count), filled) / count


def _held_kib(standard: Standard, panes: Iterator[Pane]) -> float:
    """The memory that a stage holds after all panes, KiB."""
    tracemalloc.start()
    stage = TestStage(lambda *_: standard)
    _feed(stage, panes)
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / 1024


def _draw(found: dict[str, list[Curve]], path: Path) -> None:
    figure = Figure(figsize=(9, 6), layout="constrained")
    panels = list(figure.subplots(2, 3, sharey=True).flat)
    for axes, (name, curves) in zip(panels, found.items(), strict=False):
        plain(axes)
        title(axes, f"{name.capitalize()}: cost relative to the smallest")
        axes.set_xscale("log")
        axes.set_yscale("log")
        sizes = curves[0].sizes
        axes.plot(sizes, [size / sizes[0] for size in sizes], color="0.8", linestyle="--", label="linear")
        for curve, colour in zip(curves, (BLUE, ORANGE, GREEN, GREY), strict=False):
            relative = [cost / curve.costs[0] for cost in curve.costs]
            axes.plot(curve.sizes, relative, marker="o", markersize=4, color=colour, label=curve.name)
        axes.set_xticks(sizes, [f"{size:,.0f}" for size in sizes], fontsize=8)
        axes.minorticks_off()
        axes.set_ylim(0.4, 60)
        axes.legend(fontsize=7, frameon=False, loc="upper left")
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    save(figure, path)


if __name__ == "__main__":
    main()
