"""``make bench``: what each stage costs relative to scoring, in one run on this machine.

Absolute times mean little on a shared machine; the ratios are stable.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from driftwatch.data.codecs import decode, encode
from driftwatch.reference.baselines import baselines
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer
from driftwatch.stats.summary import merge
from driftwatch.stats.sums import keep
from driftwatch.stream.pane_codec import decode_pane, encode_pane
from driftwatch.stream.panes import Pane
from driftwatch.stream.standards import Standards
from driftwatch.stream.windows import StreamTester
from tests.synthetic import SCHEMA, small_bundle, waves

SAMPLES = 2_000
STEP = 10
ROUNDS = 5


def seconds(work: Callable[[], object]) -> float:
    """The shortest of several rounds."""
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def main() -> None:
    """Measure each stage on the tests' small reference, per sample and relative to scoring."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reference = load_reference(small_bundle(Path(folder)))
    samples = waves(SAMPLES, seed=1)
    scorer = Scorer(reference)
    cut = [samples[start : start + STEP] for start in range(0, SAMPLES, STEP)]
    scored = scorer(cut)
    panes = [
        Pane("a", reference.version, STEP, keep(each.summary), 0, 1, "t", 0, (i, 0), (i, STEP - 1))
        for i, each in enumerate(scored)
    ]
    messages = {form: encode(samples[:100], SCHEMA, form) for form in ("json", "npy", "arrow")}
    standards = Standards(
        sizes=[50, 500], step=STEP, budget=1e6, min_effect=0, resolve_after=3, severity={"warning": 0.0}
    )
    standard = standards.standard(reference)

    def test() -> None:
        tester = StreamTester("a", standard)
        for pane in panes:
            tester.feed(pane)

    stages: dict[str, float] = {"score": seconds(lambda: scorer(cut)) / SAMPLES}
    for form, message in messages.items():
        stages[f"decode {form}"] = seconds(partial(decode, *message, SCHEMA)) / 100
    stages["pane to bytes and back"] = seconds(lambda: [decode_pane(encode_pane(pane)) for pane in panes]) / SAMPLES
    stages["test windows of 50 and 500"] = seconds(test) / SAMPLES
    stages["merge a window of 500"] = seconds(lambda: merge([pane.summary for pane in panes[:50]])) / STEP
    for peer in baselines(waves(2_000, seed=2)):
        stages[f"{peer.name} on a window of 50, every {STEP}"] = seconds(partial(peer.statistic, samples[:50])) / STEP
    table = Table("stage", "µs per sample", "relative to scoring", box=None)
    for name, taken in stages.items():
        table.add_row(name, f"{1e6 * taken:,.1f}", f"{taken / stages['score']:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
