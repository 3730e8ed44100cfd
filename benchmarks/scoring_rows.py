"""Scoring and training flows of rows and embeddings on a GPU, beside normflows' neural spline couplings.

    python -m benchmarks.scoring_rows BUNDLE DATA

Prints Markdown. normflows has the same weights, and its likelihood and that of our kernels are checked against float64.
"Operations" are the same layers with PyTorch's own operations in place of kernels. Both of ours are recorded as graphs,
as the daemon and `driftwatch train` do; normflows' cannot be.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.scoring import BATCHES, rate, recorded, repeated, training_step
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import Samples
from driftwatch.flows.folding import fold
from driftwatch.flows.vector import VectorFlow
from driftwatch.kernels.chosen import with_kernels, with_spline_kernels
from driftwatch.reference.bundle import load_bundle
from driftwatch.reference.loading import load_reference
from driftwatch.reference.scoring import Scorer

TRAINED_BATCHES = (128, 512)
STEPS = (10, 100)
EXACT = 512
MOST_APART = 1e-4
"""Largest difference of log-likelihoods from float64's, relative to their mean."""


def main() -> None:
    """Print Markdown."""
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bundle: Path = options.bundle
    samples = next(open_dataset(options.data).chunks(load_bundle(bundle).schema, max(BATCHES)))
    flow = _flow(bundle)
    size = f"{flow.dim:,} dimensions, {sum(each.numel() for each in flow.parameters()):,} parameters"
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; {size}\n")
    for part in (likelihoods, whole_way, training):
        for line in part(bundle, samples):
            print(line, flush=True)
        print()


@torch.inference_mode()
def likelihoods(bundle: Path, samples: Samples) -> Iterator[str]:
    """The likelihood of prepared samples."""
    flow = _flow(bundle)
    forms: dict[str, nn.Module] = {
        "normflows": _peer(bundle).eval(),
        "operations": fold(flow),
        "kernels": with_kernels(fold(flow)),
    }
    x = _prepared(flow, repeated(samples, EXACT))
    exact = fold(flow).double().log_prob(x.double())
    for name, form in forms.items():
        apart = float((form.log_prob(x) - exact).abs().max() / exact.abs().mean())  # type: ignore[operator]
        if apart > MOST_APART:
            raise SystemExit(f"{name}: the likelihood differs by {apart:.1e}")
        yield f"- {name}: log-likelihood within {apart:.1e} of float64's, relative to its mean"
    yield "\n| batch | normflows, samples/s | operations | kernels | kernels / normflows |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for batch in BATCHES:
        x = _prepared(flow, repeated(samples, batch))
        rates = []
        for name, form in forms.items():
            once: Callable[[Tensor], Tensor] = form.log_prob  # type: ignore[assignment]
            rates.append(rate(partial(once if name == "normflows" else recorded(once, x), x), batch, x.device))
        yield f"| {batch:,} | {' | '.join(f'{each:,.0f}' for each in rates)} | {rates[-1] / rates[0]:.1f} |"


def whole_way(bundle: Path, samples: Samples) -> Iterator[str]:
    """From raw samples to sums of panes, both in host memory."""
    yield f"| batch | {' | '.join(f'panes of {step}, samples/s' for step in STEPS)} |"
    yield f"| ---: |{' ---: |' * len(STEPS)}"
    reference = load_reference(bundle, "cuda")
    for batch in BATCHES:
        scorer, many = Scorer(reference, batch_size=batch), repeated(samples, batch * 4)
        rates = []
        for step in STEPS:
            panes = [many[start : start + step] for start in range(0, len(many), step)]
            rates.append(rate(partial(scorer, panes), len(many), reference.device))
        yield f"| {batch:,} | {' | '.join(f'{each:,.0f}' for each in rates)} |"


def training(bundle: Path, samples: Samples) -> Iterator[str]:
    """Steps of Adam."""
    yield "| batch | normflows, steps/s | operations | kernels | kernels / normflows |"
    yield "| ---: | ---: | ---: | ---: | ---: |"
    for batch in TRAINED_BATCHES:
        forms = (_peer(bundle), _flow(bundle), with_spline_kernels(_flow(bundle)))
        x = _prepared(_flow(bundle), repeated(samples, batch))
        rates = [
            rate(training_step(each.requires_grad_().train(), x, as_graph=isinstance(each, VectorFlow)), 1, x.device)
            for each in forms
        ]
        yield f"| {batch} | {' | '.join(f'{each:,.1f}' for each in rates)} | {rates[-1] / rates[0]:.1f} |"


def _peer(bundle: Path) -> nn.Module:
    from benchmarks.peer_spline import PeerSplines  # which only the peers' environment has all packages for

    return PeerSplines(_flow(bundle).cpu()).cuda()


def _flow(bundle: Path) -> VectorFlow:
    flow = load_bundle(bundle, "cuda").flow
    if not isinstance(flow, VectorFlow):
        raise SystemExit("the bundle must be of rows or vectors")
    return flow


def _prepared(flow: VectorFlow, samples: Samples) -> Tensor:
    raw = torch.from_numpy(samples.astype(np.float64)).cuda()
    return flow.prepare(raw, noise="content").float().detach()


if __name__ == "__main__":
    main()
