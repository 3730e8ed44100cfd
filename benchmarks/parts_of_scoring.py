"""Where the time of scoring a batch goes, by part, on a GPU or a CPU.

    python -m benchmarks.parts_of_scoring BUNDLE DATA --device cuda

On a GPU each part is recorded as a graph, as the whole is when a daemon scores, and its kernel launches are counted.
The parts need not add up to the whole, because caches hold other data when parts run alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Samples
from driftwatch.reference.latents import flow_latents
from driftwatch.reference.loading import load_reference
from driftwatch.reference.reference import Reference
from driftwatch.reference.summariser import Summariser
from driftwatch.stats.decomposition import divergence
from driftwatch.stats.summary import summarise_each

BATCHES = {"cuda": (1_024, 4_096), "cpu": (64, 512)}
WARM_UP, REPEATS, AT_ONCE = 3, 7, 5

Part = Callable[[], object]


def main() -> None:
    """Print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batches", type=int, nargs="+", help="sizes of batches")
    options = parser.parse_args()
    torch.set_num_threads(1)
    reference, dataset = load_reference(options.bundle, options.device), open_dataset(options.data)
    batches = options.batches or BATCHES[reference.device.type]
    samples = next(dataset.chunks(reference.schema, min(dataset.rows, max(batches))))
    for line in table(reference, samples, batches):
        print(line, flush=True)


def table(reference: Reference, samples: Samples, batches: Sequence[int]) -> list[str]:
    """A row per part: microseconds per sample and kernels, for each batch size."""
    many = [np.ascontiguousarray(samples[np.arange(batch) % len(samples)]) for batch in batches]
    measured = [measure(parts_of(reference, each), reference.device) for each in many]
    head = " | ".join(f"batches of {batch:,}, µs per sample | kernels" for batch in batches)
    rows = [f"| part | {head} |", f"| --- |{' ---: | ---: |' * len(batches)}"]
    for name in measured[0]:
        cells = (
            f"{1e6 * each[name][0] / batch:.3f} | {each[name][1] or ''}"
            for each, batch in zip(measured, batches, strict=True)
        )
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


@torch.inference_mode()
def parts_of(reference: Reference, samples: Samples) -> Mapping[str, Part]:
    """The parts of scoring a batch, each applied to the results of the parts before it."""
    summariser: Summariser = reference._summariser
    flow, moments, description, layout = reference.flow, summariser.moments, summariser.description, reference.layout
    raw = torch.from_numpy(samples).to(reference.device)
    pixels = raw.to(torch.float32 if reference.schema.kind == "image" else torch.float64)
    prepared = flow.prepare(pixels, noise="content").to(torch.float32)
    latents = flow_latents(flow, raw)
    whitened = moments.whiten(latents.blocks, latents.nll)
    described = description.describe(flow, latents, whitened)
    summaries = summarise_each(whitened, layout, described)
    return {
        "noise and padding": lambda: flow.prepare(pixels, noise="content"),
        "flow": lambda: flow(prepared),
        "flow and likelihoods alone": lambda: flow.log_prob(prepared),
        "noise, flow, likelihoods and bounds": lambda: flow_latents(flow, raw),
        "whitening": lambda: moments.whiten(latents.blocks, latents.nll),
        "descriptors": lambda: description.describe(flow, latents, whitened),
        "summaries": lambda: summarise_each(whitened, layout, described),
        "scores of single samples": lambda: divergence(summaries, layout),
        "all": lambda: reference._measure(raw),
    }


@torch.inference_mode()
def measure(parts: Mapping[str, Part], device: torch.device) -> dict[str, tuple[float, int]]:
    """Seconds of each part, and the number of kernels that it launches on a GPU (0 on a CPU)."""
    how = _on_a_gpu if device.type == "cuda" else _on_a_cpu
    return {name: how(part) for name, part in parts.items()}


def _on_a_cpu(part: Part) -> tuple[float, int]:
    def seconds() -> float:
        started = time.perf_counter()
        part()
        return time.perf_counter() - started

    return statistics.median([seconds() for _ in range(WARM_UP + REPEATS)][WARM_UP:]), 0


def _on_a_gpu(part: Part) -> tuple[float, int]:
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(WARM_UP):
            part()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        kept = part()  # its memory is the graph's
    seconds = statistics.median(_replayed(graph) for _ in range(REPEATS))
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        graph.replay()
        torch.cuda.synchronize()
    del kept
    return seconds, sum(event.device_type.name == "CUDA" for event in profiled.events() or ())


def _replayed(graph: torch.cuda.CUDAGraph) -> float:
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(AT_ONCE):
        graph.replay()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3 / AT_ONCE


if __name__ == "__main__":
    main()
