"""A flow's likelihood and the whole way to panes on one core: kernels, PyTorch layers and normflows in one run.

    python -m benchmarks.scoring_on_cpu BUNDLE DATA

Prints Markdown. normflows is taken from the peers' environment (`make .venv-peers/.ready`). Its likelihood with the
same weights, and that of the kernels, are checked against float64.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Samples
from driftwatch.flows.base import Flow
from driftwatch.flows.folding import fold
from driftwatch.flows.image import ImageFlow
from driftwatch.flows.vector import VectorFlow
from driftwatch.kernels.chosen import with_kernels
from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer

PEERS = Path(".venv-peers").glob("lib/python*/site-packages")
BATCHES = (1, 16, 64, 512)
STEP, ROWS = 10, 2_560
ROUNDS = 15
EXACT = 512


def main() -> None:
    """Print both tables."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = next(open_dataset(options.data).chunks(load_bundle(options.bundle).schema, ROWS))
    print(f"{options.bundle.name}: {load_bundle(options.bundle).flow.dim:,} dimensions, one thread\n")
    for part in (likelihoods, whole_way):
        for line in part(options.bundle, samples):
            print(line, flush=True)
        print()


@torch.inference_mode()
def likelihoods(bundle: Path, samples: Samples) -> Iterator[str]:
    """The likelihood of prepared samples."""
    flow = load_bundle(bundle).flow
    forms = {"normflows": _peer(flow), "layers": fold(flow).log_prob, "kernels": with_kernels(fold(flow)).log_prob}
    x = _prepared(flow, samples)
    exact = fold(flow).double().log_prob(x[:EXACT].double())
    for name, log_prob in forms.items():
        apart = float((log_prob(x[:EXACT]) - exact).abs().max() / exact.abs().mean())
        if apart > 1e-3:
            raise SystemExit(f"{name}: the likelihood differs by {apart:.1e}")
        yield f"- {name}: log-likelihood within {apart:.1e} of float64's, relative to its mean"
    yield "\n| rows at once | normflows, µs per sample | folded layers | kernels | normflows / kernels |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for rows in BATCHES:
        part = x[:rows].contiguous()
        times = [seconds(partial(log_prob, part)) / rows * 1e6 for log_prob in forms.values()]
        cells = " | ".join(f"{taken:,.1f}" for taken in times)
        yield f"| {rows} | {cells} | {times[0] / times[2]:.1f} |"


def whole_way(bundle: Path, samples: Samples) -> Iterator[str]:
    """From raw samples to the sums of panes, with and without kernels."""
    yield f"| raw samples to panes of {STEP} | µs per sample |"
    yield "| --- | ---: |"
    panes = [samples[start : start + STEP] for start in range(0, len(samples), STEP)]
    for name, reference in (("kernels", load_reference(bundle)), ("folded layers", load_reference(bundle))):
        if name != "kernels":
            _without_kernels(reference.flow)
        yield f"| {name} | {seconds(partial(Scorer(reference), panes)) / len(samples) * 1e6:,.0f} |"


def seconds(work: Callable[[], object]) -> float:
    """The lower quartile of several rounds: other load on the machine only ever adds time."""
    work()
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return float(np.quantile(taken, 0.25))


def _peer(flow: Flow) -> Callable[[Tensor], Tensor]:
    """The likelihood of prepared samples, by normflows."""
    sys.path.extend(map(str, PEERS))  # behind ours, which are newer
    if isinstance(flow, ImageFlow):
        from benchmarks.peer_glow import PeerGlow

        return PeerGlow(flow).eval().log_prob
    from benchmarks.peer_spline import PeerSplines

    assert isinstance(flow, VectorFlow)
    return PeerSplines(flow).eval().log_prob


def _prepared(flow: Flow, samples: Samples) -> Tensor:
    kind = np.float32 if isinstance(flow, ImageFlow) else np.float64
    return flow.prepare(torch.from_numpy(samples.astype(kind)), noise="content").float()


def _without_kernels(flow: Flow) -> None:
    flow.batch_invariant = False
    if isinstance(flow, ImageFlow):
        flow.kernels = {}
    if isinstance(flow, VectorFlow):
        flow.kernel = None


if __name__ == "__main__":
    main()
