"""Scoring images on a GPU or CPU: how close it is to float64 on a CPU, and how fast compared with normflows' Glow.

    python -m benchmarks.scoring BUNDLE IMAGES --device cuda

Rates are compared with the peer's in one run, with the same weights and on the same device; the peer's likelihood is
checked to equal ours. The "whole way" is the daemon's: from raw samples to sums of panes, both in host memory.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from driftwatch.data.corruptions import corruptions_for
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Samples
from driftwatch.flows.base import Flow
from driftwatch.flows.folding import fold
from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.chosen import with_kernels
from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.evaluation import evaluate
from driftwatch.reference.latents import latents_of
from driftwatch.reference.loading import load_reference
from driftwatch.reference.recorded import Recorded, RecordedGradients
from driftwatch.reference.scoring import Scorer

if TYPE_CHECKING:
    from benchmarks.peer_glow import PeerGlow

BATCHES = (64, 1_024, 4_096)
LARGE_BATCH = 16_384
"""A further batch size for the flow alone on a GPU."""

TRAINED_BATCHES = (64, 512)
STEP = 10
SECONDS = 0.5
COMPARED = 4_096
EVALUATED = 5_000


def main() -> None:
    """Print Markdown."""
    warnings.filterwarnings("ignore")  # normflows uses deprecated parts of torch
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    device = torch.device(options.device)
    schema = load_bundle(options.bundle).schema
    samples = next(open_dataset(options.images).chunks(schema, 60_000))
    named = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"{named}, torch {torch.__version__}\n")
    for part in (agreement, likelihoods, whole_way, training):
        for line in part(options.bundle, samples, device):
            print(line, flush=True)
        print()


def agreement(bundle: Path, samples: Samples, device: torch.device) -> Iterator[str]:
    """How far scores and verdicts are from those in float64 on a CPU."""
    there, here = Scorer(load_reference(bundle, str(device))), Scorer(load_reference(bundle))
    some = samples[:COMPARED]
    exact = fold(load_bundle(bundle).flow).double()
    with torch.inference_mode():
        prepared = exact.prepare(torch.from_numpy(some[:512]).float(), noise="content").double()
        expected = -exact.log_prob(prepared).numpy()
    yield "| quantity | largest difference | mean difference |"
    yield "| --- | --- | --- |"
    mine, theirs = there.scores(some), here.scores(some)
    nll = np.abs(latents_of(there.reference.flow, some[:512]).nll - expected) / np.abs(expected).mean()
    yield f"| NLL, relative to its mean, compared with float64 on a CPU | {nll.max():.1e} | {nll.mean():.1e} |"
    score = np.abs(mine.score - theirs.score) / theirs.score
    yield f"| point score, relative to float32 on a CPU | {score.max():.1e} | {score.mean():.1e} |"
    p_value = np.abs(mine.p_value - theirs.p_value)
    yield f"| p-value of single samples, compared with a CPU | {p_value.max():.1e} | {p_value.mean():.1e} |"
    shifts = {name: shift(samples[:EVALUATED], np.random.default_rng(0)) for name, shift in _shifts(here).items()}
    found = [list(evaluate(each, samples[EVALUATED:], shifts, windows=(1, 5, 50))) for each in (there, here)]
    apart = [abs(one.auroc - other.auroc) for one, other in zip(*found, strict=True)]
    yield f"| AUROC, all detectors, {len(shifts)} shifts, n = 1, 5, 50 | {max(apart):.1e} | {np.mean(apart):.1e} |"
    first = there.reference.summarise(samples[: there.batch_size])
    places = (1, 2, 3, 5, 16, 33, 63)
    moved = [there.reference.summarise(samples[k : k + there.batch_size].copy()) for k in places]
    same = [bool((first[k:] == each[: len(each) - k]).all()) for k, each in zip(places, moved, strict=True)]
    yield f"\nA sample's summary is bit-identical at {sum(same)} of {len(places)} other positions in its batch."


def _shifts(scorer: Scorer) -> dict[str, Callable[..., Samples]]:
    return dict(corruptions_for(scorer.reference.schema))


def likelihoods(bundle: Path, samples: Samples, device: torch.device) -> Iterator[str]:
    """The flow alone, compared with normflows' Glow with the same weights."""
    flow = load_bundle(bundle, str(device)).flow
    peer = _peer(bundle, device).eval()
    layers, folded = fold(flow), with_kernels(fold(flow))
    work = 2 * _multiplications(_image(flow))
    yield "| batch | normflows, samples/s | trained form | as scored | ratio | as scored, TFLOP/s |"
    yield "| --- | --- | --- | --- | --- | --- |"
    with torch.inference_mode():
        for batch in (*BATCHES, LARGE_BATCH) if device.type == "cuda" else BATCHES:
            x = flow.prepare(torch.from_numpy(repeated(samples, batch)).to(device).float(), noise="content")
            _require_the_same(peer, layers, x)
            scored: Callable[[Tensor], Tensor] = folded.log_prob
            if device.type == "cuda":
                scored = recorded(folded.log_prob, x)
            forms: tuple[Callable[[Tensor], Tensor], ...] = (peer.log_prob, flow.log_prob, scored)
            peers, plain, scoring = (rate(partial(form, x), batch, device) for form in forms)
            ratio, arithmetic = scoring / peers, scoring * work / 1e12
            cells = f"{peers:,.0f} | {plain:,.0f} | {scoring:,.0f} | {ratio:.1f} | {arithmetic:.2f}"
            yield f"| {batch:,} | {cells} |"
    # Kernels hold factors in float16, at the precision of TF32; on a CPU everything is float32.
    formats = {"TF32": torch.float32, "float16": torch.float16} if device.type == "cuda" else {"float32": torch.float32}
    products = " and at ".join(
        f"{_product_rate(device, dtype) / 1e12:.1f} in {name}" for name, dtype in formats.items()
    )
    yield f"\nA sample takes {work / 1e6:.1f} MFLOP of convolutions. A product of 8,192 x 8,192 matrices runs at "
    yield f"{products}, TFLOP/s."


def _peer(bundle: Path, device: torch.device) -> PeerGlow:
    from benchmarks.peer_glow import PeerGlow  # which only the peers' environment has all packages for

    return PeerGlow(_image(load_bundle(bundle).flow)).to(device)


def _require_the_same(peer: PeerGlow, flow: Flow, x: Tensor) -> None:
    """Check in float32 that the peer's likelihood equals ours: with TF32, rounding alone makes up to a thousandth."""
    rounded, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    theirs, ours = peer.log_prob(x), flow.log_prob(x)
    torch.backends.cudnn.allow_tf32 = rounded
    apart = float((theirs - ours).abs().mean() / theirs.abs().mean())
    if apart > 1e-3:
        raise SystemExit(f"normflows' likelihood differs from ours by {apart:.1e}")


def recorded(function: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[Tensor], Tensor]:
    """A function of one batch on a GPU, recorded as a graph."""
    graph = Recorded(lambda each: (function(each),), x)
    return lambda each: graph(each)[0]


def whole_way(bundle: Path, samples: Samples, device: torch.device) -> Iterator[str]:
    """From raw samples to panes."""
    reference = load_reference(bundle, str(device))
    yield "| batch | raw samples to panes, samples/s |"
    yield "| --- | --- |"
    for batch in BATCHES:
        scorer = Scorer(reference, batch_size=batch)
        many = repeated(samples, batch * 4)
        panes = [many[start : start + STEP] for start in range(0, len(many), STEP)]
        yield f"| {batch:,} | {rate(partial(scorer, panes), len(many), device):,.0f} |"


def training(bundle: Path, samples: Samples, device: torch.device) -> Iterator[str]:
    """Steps of Adam in float32, compared with normflows' Glow; ours run as in `driftwatch train`."""
    yield "| batch | normflows, steps/s | ours | ratio |"
    yield "| --- | --- | --- | --- |"
    for batch in TRAINED_BATCHES:
        flow = _image(load_bundle(bundle, str(device)).flow).requires_grad_().train()
        peer = _peer(bundle, device).train()
        x = flow.prepare(torch.from_numpy(repeated(samples, batch)).to(device).float()).detach()
        rates = [rate(training_step(each, x, as_graph=each is flow), 1, device) for each in (peer, flow)]
        yield f"| {batch} | {rates[0]:.1f} | {rates[1]:.1f} | {rates[1] / rates[0]:.1f} |"


def training_step(model: Flow | nn.Module, x: Tensor, *, as_graph: bool) -> Callable[[], None]:
    """A step of Adam on one batch, recorded as a graph on a GPU if `as_graph`."""
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-5)

    def loss(batch: Tensor) -> Tensor:
        found: Tensor = -model.log_prob(batch).mean()  # type: ignore[operator]
        return found

    def plain(batch: Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(batch).backward()

    descend = RecordedGradients(loss, parameters, x) if as_graph and x.is_cuda else plain

    def step() -> None:
        descend(x)
        optimizer.step()

    return step


def rate(work: Callable[[], object], count: int, device: torch.device) -> float:
    """`count` per second of work, over as many rounds as fit into `SECONDS`."""
    wait = torch.cuda.synchronize if device.type == "cuda" else _nothing
    for _ in range(3):
        work()
    wait()
    rounds, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        work()
        wait()
        rounds += 1
    return count * rounds / (time.perf_counter() - started)


def _nothing() -> None:
    """On a CPU, work is finished when a call returns."""


def _product_rate(device: torch.device, dtype: torch.dtype) -> float:
    side = 8_192 if device.type == "cuda" else 2_048
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    found = rate(lambda: a @ b, 1, device) * 2 * side**3
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


def _multiplications(flow: ImageFlow) -> int:
    """The number of multiplications in the couplings' convolutions, per sample."""
    counted = 0
    side = flow.padded[0] * flow.padded[1]
    for number, stage in enumerate(flow.stages):
        pixels = side // 4 ** (number + 1)
        modules = [*stage.modules(), *(flow.splits[number].modules() if number < len(flow.splits) else ())]
        counted += pixels * sum(m.weight.numel() for m in modules if isinstance(m, torch.nn.Conv2d))
    return counted


def repeated(samples: Samples, count: int) -> Samples:
    """`count` samples, over and over the same."""
    return np.ascontiguousarray(samples[np.arange(count) % len(samples)])


def _image(flow: Flow) -> ImageFlow:
    if not isinstance(flow, ImageFlow):
        raise SystemExit("the bundle must be of images")
    return flow


if __name__ == "__main__":
    main()
