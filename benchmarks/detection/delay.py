"""How long drift goes unnoticed at equal false-alarm rates: driftwatch compared with online detectors.

Streams of reference data change at a known sample. Each procedure is set to the same expected run time between false
alarms; the run time it achieves is measured on a fresh stream of reference data and reported with the delay.

python -m benchmarks.detection --only delay
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson
import torch
from scipy.stats import chi2

from benchmarks.detection import fashion
from benchmarks.detection.bootstrap import Array, Interval, mean_interval, median_interval
from benchmarks.detection.monitors import Adwin, Monitor, Online, Rows, Sliding
from benchmarks.detection.peers import installed, quieten
from benchmarks.detection.pixels import Images
from benchmarks.detection.run import Pool
from driftwatch.reference.scoring import Scorer

RESULTS = Path(__file__).parent / "results"
SHIFTS = ("digits", "rotated by 90°", "flipped upside down", "blur 0.7", "gain 0.9", "sandals only")
OURS = (((4, 10, 50), 2, 1), ((4, 10, 50), 2, 2), ((10, 50), 5, 1), ((10, 50), 5, 2), ((5, 10, 50), 1, 1))
"""Window sizes, the step, and the factor by which the budget exceeds the peers': a factor of two shows that a lead is
not bought with false alarms. The online detectors test at each sample, as the last of these does."""

THEIRS = (("mmd", 10), ("mmd", 50), ("lsdd", 10), ("lsdd", 25))
"""Detectors and window sizes; setting the thresholds of LSDD for 50 samples takes ten minutes."""

KNOWN = 1_000
BEFORE, LONGEST = 100, 1_000
"""Reference samples before the change, and samples after it; a stream without an alarm counts as the latter."""

SIMULATED = 60_000


@dataclass(frozen=True)
class RunTime:
    """Samples between false alarms, measured on reference data, with the 95 % interval of a Poisson count."""

    alarms: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Delay:
    """Samples from the change to the alarm, over several streams; `missed` counts the streams without an alarm."""

    monitor: str
    shift: str
    median: Interval
    mean: Interval
    missed: int
    streams: int


def endless(rng: np.random.Generator, rows: int, count: int) -> Rows:
    """A stream of `count` row numbers: permutations of all rows, one after another."""
    passes = [rng.permutation(rows) for _ in range(-(-count // rows))]
    return np.concatenate(passes)[:count]


def run_time(monitor: Monitor, fresh: Pool, rows: Rows) -> RunTime:
    """Samples between false alarms in a stream of reference data; a stream without an alarm counts as half an alarm."""
    alarms = sum(1 for _ in monitor.alarms(fresh, rows))
    low, high = (float(chi2.ppf(q, df)) / 2 for q, df in ((0.025, max(2 * alarms, 1)), (0.975, 2 * alarms + 2)))
    return RunTime(alarms, len(rows) / max(alarms, 0.5), len(rows) / high, len(rows) / max(low, 1e-9))


def delays(monitor: Monitor, both: Pool, streams: Sequence[tuple[Rows, int]]) -> Array:
    """Samples from the change to the next alarm in each stream, given its rows and how many precede the change."""
    found = []
    for rows, change in streams:
        after = (alarm - change for alarm in monitor.alarms(both, rows) if alarm > change)
        found.append(next(after, LONGEST))
    return np.minimum(np.array(found, dtype=np.float64), LONGEST)


def changing(rng: np.random.Generator, fresh: int, shifted: int, count: int) -> list[tuple[Rows, int]]:
    """Streams that change from the first `fresh` rows to the `shifted` rows after them, at varying points of a step."""
    streams = []
    for i in range(count):
        change = BEFORE + i % 10
        rows = np.concatenate([endless(rng, fresh, change), fresh + endless(rng, shifted, LONGEST)])
        streams.append((rows, change))
    return streams


def monitors(scorer: Scorer, known: Array, expected: float, seed: int) -> Iterator[Monitor]:
    """The procedures, each built only when it is needed: setting thresholds takes some of them minutes."""
    for sizes, step, factor in OURS:
        yield Sliding(scorer, factor * expected, sizes, step)
    versions = installed()
    if versions["river"]:
        yield Adwin(scorer.reference.bank[:, 2], expected, seed)
    if versions["alibi_detect"]:
        quieten()
        for kind, window in THEIRS:
            yield Online(kind, known.astype(np.float32), expected, window)


def measure(
    scorer: Scorer, out: Path, command: str, *, expected: float = 2_000, streams: int = 50, samples: int, seed: int
) -> None:
    """Measure delays and false alarms, and write ``delay.md`` and ``delay.json``.

    Args:
        scorer: scorer of a reference trained on Fashion-MNIST.
        out: folder for the report.
        command: the command that reproduces the report.
        expected: expected samples between false alarms.
        streams: streams per shift.
        samples: samples of each shift.
        seed: seed of all random draws.
    """
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - alibi-detect draws from the global generator
    started = time.monotonic()
    rng = np.random.default_rng(seed)

    def pool(images: Images) -> Pool:
        shaped = scorer.reference.schema.coerce(images)
        summaries = scorer.bank(shaped)
        vectors = (images.reshape(len(images), -1) / 255).astype(np.float32)
        return Pool(summaries, {"vectors": vectors, "nll": summaries[:, 2:3]})

    train = fashion.images("train")
    known = train[np.sort(rng.permutation(len(train))[:KNOWN])].reshape(KNOWN, -1) / 255
    fresh = pool(fashion.images("t10k"))
    null = endless(rng, len(fresh), SIMULATED)
    made = fashion.manipulated(samples, rng)
    boths = {name: fresh.beside(pool(made[name])) for name in SHIFTS}
    drawn = {name: changing(rng, len(fresh), len(both) - len(fresh), streams) for name, both in boths.items()}
    verified: dict[str, RunTime] = {}
    rows: list[Delay] = []
    for monitor in monitors(scorer, known, expected, seed):
        verified[monitor.name] = run_time(monitor, fresh, null)
        print(f"{monitor.name}: false alarms every {verified[monitor.name].mean:,.0f} samples", flush=True)
        for name, both in boths.items():
            found = delays(monitor, both, drawn[name])
            missed = int((found >= LONGEST).sum())
            rows.append(Delay(monitor.name, name, median_interval(found), mean_interval(found), missed, streams))
            print(f"  {name}: median {rows[-1].median.value:.0f}, mean {rows[-1].mean.value:.0f}", flush=True)
        # Some procedures take long, so the results so far are written after each.
        about = {
            "command": command,
            "bundle": scorer.reference.version,
            "expected": expected,
            "seed": seed,
            "packages": installed(),
            "minutes": (time.monotonic() - started) / 60,
        }
        write(out, about, verified, rows)


def write(out: Path, about: Mapping[str, object], verified: Mapping[str, RunTime], rows: Sequence[Delay]) -> None:
    """Write ``delay.md`` and ``delay.json``."""
    data = {
        "about": about,
        "run_times": {name: asdict(each) for name, each in verified.items()},
        "delays": [asdict(row) | {"median": row.median._asdict(), "mean": row.mean._asdict()} for row in rows],
    }
    (out / "delay.json").write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    (out / "delay.md").write_text("\n".join(_markdown(about, verified, rows)) + "\n")


def _markdown(about: Mapping[str, object], verified: Mapping[str, RunTime], rows: Sequence[Delay]) -> list[str]:
    lines = [
        "# Detection delay at equal false-alarm rates",
        "",
        f"    {about['command']}",
        "",
        f"Fashion-MNIST, bundle {about['bundle']}. Each procedure is set to a false alarm in {about['expected']:,.0f}",
        "samples, unless its name states another budget. The rate it achieves is measured on",
        f"{SIMULATED:,} samples of fresh reference data (the test images in one random order after another);",
        "procedures restart after each alarm. Delays are in samples after the",
        f"change, over {rows[0].streams} streams; a stream without an alarm counts as {LONGEST:,}. In brackets, 95 %",
        "intervals.",
        "",
        "| procedure | false alarms | samples between them |",
        "| --- | --- | --- |",
        *(
            f"| {name} | {each.alarms} | {each.mean:,.0f} [{each.low:,.0f}, {each.high:,.0f}] |"
            for name, each in verified.items()
        ),
    ]
    shifts = list(dict.fromkeys(row.shift for row in rows))
    cells = {(row.monitor, row.shift): row for row in rows}
    for title, kind in (("Median delay", "median"), ("Mean delay", "mean")):
        lines += ["", f"| {title} | " + " | ".join(shifts) + " |", "| --- " * (1 + len(shifts)) + "|"]
        for name in verified:
            found = [getattr(cells[name, shift], kind) for shift in shifts]
            values = [f"{each.value:,.0f} [{each.low:,.0f}, {each.high:,.0f}]" for each in found]
            lines.append(f"| {name} | " + " | ".join(values) + " |")
    missed = [f"{row.monitor}, {row.shift}: {row.missed}" for row in rows if row.missed]
    if missed:
        lines += ["", f"Streams without an alarm in {LONGEST:,} samples: " + "; ".join(missed) + "."]
    return lines
