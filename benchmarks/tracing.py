"""``python -m benchmarks.tracing``: what tracing costs per message.

Decoding and scoring are left out, because they cost the same either way. The collector runs in the same process, so its
work is included: the figures are an upper bound.
"""

from __future__ import annotations

import argparse
import time
from collections import deque

from rich.console import Console
from rich.table import Table

from driftwatch.config import TracingConfig
from driftwatch.data.codecs import encode
from driftwatch.logs import configure_logging
from driftwatch.stream.log import Record
from driftwatch.stream.score_stage import ScoreStage
from driftwatch.tracing import UNTRACED, Tracer, open_tracer
from tests.collector import collector
from tests.synthetic import SCHEMA, waves

MESSAGES = 4_000
ROUNDS = 7


class _Unscored(ScoreStage):
    """Takes messages off the queue and discards them."""

    def _cut(self, *_: object) -> list:  # type: ignore[type-arg]
        return []


def records(context: str) -> list[Record]:
    """Messages of one sample; with a context, each belongs to a trace of its own."""
    value, headers = encode(waves(1), SCHEMA, "npy")
    common = [*headers.items(), ("driftwatch-stream", b"waves")]
    return [
        Record("input", 0, i, i, None, value, (*common, ("traceparent", context.format(i + 1).encode())))
        if context
        else Record("input", 0, i, i, None, value, tuple(common))
        for i in range(MESSAGES)
    ]


def microseconds(context: str, tracer: Tracer) -> float:
    """Microseconds per message, in the fastest of several rounds."""
    taken = []
    for _ in range(ROUNDS):
        stage, queue = _Unscored({}, 10, tracer=tracer), deque(records(context))
        started = time.perf_counter()
        stage.work(queue)
        taken.append((time.perf_counter() - started) / MESSAGES * 1e6)
    return min(taken)


def main() -> None:
    """Measure messages without a trace, of unsampled and of sampled traces, with and without a tracer."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    configure_logging("error")
    table = Table("message", "traces off, µs", "traces on, µs")
    with collector() as endpoint:
        tracer = open_tracer(TracingConfig(endpoint=endpoint.url, headers={}))
        for name, context in (
            ("without a context", ""),
            ("not sampled by its sender", "00-{0:032x}-{0:016x}-00"),
            ("sampled by its sender", "00-{0:032x}-{0:016x}-01"),
        ):
            table.add_row(name, f"{microseconds(context, UNTRACED):.1f}", f"{microseconds(context, tracer):.1f}")
        tracer.close()
    Console().print(table)


if __name__ == "__main__":
    main()
