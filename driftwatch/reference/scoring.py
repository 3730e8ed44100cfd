"""Scoring of samples against a reference: latents, additive summaries and point scores.

Batches have a fixed number of rows or a multiple of it, and are padded when they are not full; a row's result does not
depend on the other rows. So a sample has the same score, bit for bit, however the stream is cut into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from driftwatch.data.flaws import FlawCounter, Flaws
from driftwatch.data.schema import Coerced
from driftwatch.reference.latents import batch_rows, each_batch, fixed_batches, on_host
from driftwatch.reference.recorded import pinned
from driftwatch.reference.reference import Reference
from driftwatch.stats.decomposition import decompose
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.martingale import Ranks, grades
from driftwatch.stats.null import WindowNull, fit_window_null
from driftwatch.stats.resample import null_windows
from driftwatch.stats.run_sums import RunSums
from driftwatch.stats.summary import Array, Layout, on_grid
from driftwatch.stats.sums import Sums, keep_each


@dataclass(frozen=True, repr=False)
class Scores:
    """Scores of single samples, ``(N,)`` each.

    Args:
        score: divergence of the sample's sub-vectors from the reference, nats.
        location: its part due to shifted means.
        scale: its part due to changed variances.
        dependence: its part due to changed correlations.
        nll: negative log-likelihood, nats.
        p_value: of the combined statistic, under the reference.
    """

    score: Array
    location: Array
    scale: Array
    dependence: Array
    nll: Array
    p_value: Array

    def __repr__(self) -> str:
        low, middle, high = np.quantile(self.score, (0.0, 0.5, 1.0))
        spread = f"score {middle:.3g} ({low:.3g} to {high:.3g})"
        return f"<driftwatch.Scores of {len(self.score):,}: {spread}, lowest p_value {self.p_value.min():.3g}>"

    def to_dict(self) -> dict[str, Array]:
        """Arrays by column, ready for a data frame: ``pandas.DataFrame(scores.to_dict())``."""
        return dict(vars(self))


@dataclass(frozen=True)
class ScoredPane:
    """The aggregates of a pane's samples.

    Args:
        sums: their summed summary, ``(V,)``, on `GRID`.
        scores: of each sample, nats, ``(n,)``.
        grades: of each sample's surprise, ``(n,)`` (see `driftwatch.stats.martingale`).
        flaws: missing and unseen values.
    """

    sums: Sums
    scores: Array
    grades: Ranks
    flaws: Flaws

    @property
    def summary(self) -> Array:
        """The sums in double precision, ``(V,)``; do not write to this array."""
        return self.sums.values


class Scorer:
    """Scores samples against one reference.

    Args:
        reference: to compare with.
        batch_size: rows of fixed-size batches, which affects the last bits of scores; chosen for the reference's flow
            and device if None.
    """

    def __init__(self, reference: Reference, *, batch_size: int | None = None) -> None:
        self.reference = reference
        default, multiple = batch_rows(reference.flow)
        self.batch_size = batch_size or default
        self._multiple = batch_size or multiple
        self.layout: Layout = reference.layout
        self._flaws = FlawCounter(reference.schema)

    def summaries(self, samples: Coerced) -> Iterator[Array]:
        """The summary of each sample, in batches ``(N, V)``."""
        batches = fixed_batches(samples, self.batch_size, self._multiple)
        for summary, count in each_batch(self.reference.flow, self.reference.summarise, batches):
            yield on_host(summary[:count])

    def bank(self, samples: Coerced) -> NDArray[np.float32]:
        """The summaries of all samples, ``(N, V)``, in the form that nulls are drawn from."""
        return np.concatenate([batch.astype(np.float32) for batch in self.summaries(samples)])

    def scores(self, samples: Coerced) -> Scores:
        """The point score of each sample, and its parts."""
        parts, p_values, nll = [], [], []
        for summaries in self.summaries(samples):
            parts.append(decompose(summaries, self.layout).parts.sum(1))
            p_values.append(self.point_null.test(summaries).p_values["combined"])
            nll.append(summaries[:, 2])
        part = np.concatenate(parts)
        return Scores(
            score=part.sum(1),
            location=part[:, 0],
            scale=part[:, 1],
            dependence=part[:, 2],
            nll=np.concatenate(nll),
            p_value=np.concatenate(p_values),
        )

    @cached_property
    def point_null(self) -> WindowNull:
        """The null of single samples."""
        bank = self.reference.bank
        measured = null_windows(HeldOut(bank), self.layout, 1, count=4 * len(bank))
        return fit_window_null(measured, self.layout, 1)

    def window_null(self, size: int) -> WindowNull:
        """The null of windows of `size` samples, or of single samples."""
        return self.point_null if size == 1 else self.reference.window_null(size)

    def __call__(self, panes: Sequence[Coerced]) -> list[ScoredPane]:
        """Score whole panes ``(n, *sample_shape)``; panes share batches, which does not affect their results."""
        return self.begin(panes)()

    @property
    def works_aside(self) -> bool:
        """Whether scoring leaves the host free meanwhile, as it does on a GPU."""
        return self.reference.device.type != "cpu"

    def begin(
        self, panes: Sequence[Coerced], between: Callable[[], None] = lambda: None
    ) -> Callable[[], list[ScoredPane]]:
        """Start to score panes; the returned function waits for the results.

        A GPU starts at once; a CPU starts when the function is called.

        Args:
            panes: ``(n, *sample_shape)`` each.
            between: called before each batch; may raise to abort.
        """
        if not panes:
            return list
        ends = list(accumulate(map(len, panes)))
        if not self.works_aside:
            samples = np.concatenate(panes)
            return lambda: self._results(samples, ends, *self._on_a_cpu(samples, ends, between))
        samples = _pinned(panes)
        measured = self._on_a_gpu(samples, ends, between)
        done = torch.cuda.Event()
        done.record()

        def results() -> list[ScoredPane]:
            # Keeps the samples alive until then: the GPU may still be copying from their pinned memory.
            done.synchronize()
            return self._results(samples, ends, *(each.numpy() for each in measured))

        return results

    def _measured(self, samples: Coerced, between: Callable[[], None]) -> Iterator[tuple[tuple[Array, Array], int]]:
        """Summaries and scores of each batch's rows, and how many of them are real samples."""

        def batches() -> Iterator[tuple[Coerced, int]]:
            for batch in fixed_batches(samples, self.batch_size, self._multiple):
                between()
                yield batch

        return each_batch(self.reference.flow, self.reference.measure, batches())

    def _on_a_cpu(self, samples: Coerced, ends: Sequence[int], between: Callable[[], None]) -> tuple[Array, ...]:
        """The summary of each pane; the score and the surprise of each sample."""
        panes, scores, surprises = RunSums(ends, self.layout.size), [], []
        for (summaries, score), count in self._measured(samples, between):
            panes.add(summaries[:count])
            scores.append(score[:count])
            surprises.append(summaries[:count, self.layout.surprise].copy())  # a view would keep all summaries alive
        return on_grid(panes.sums), np.concatenate(scores), np.concatenate(surprises)

    def _on_a_gpu(self, samples: Coerced, ends: Sequence[int], between: Callable[[], None]) -> tuple[Tensor, ...]:
        """Like `_on_a_cpu`, with results on their way to the host."""
        start, scores = 0, []
        for measured, count in self._measured(samples, between):
            summary, score = map(torch.as_tensor, measured)
            if not start:
                every = summary.new_empty((len(samples), summary.shape[1]))
            every[start : start + count] = summary[:count]
            scores.append(score[:count])
            start += count
        # Only sums are copied from the GPU: summaries of single samples are a hundred times the size of the samples.
        lengths = torch.tensor(np.diff(ends, prepend=0)).to(every.device, non_blocking=True)
        # unsafe=True skips the check that lengths add up, which would wait for the GPU.
        sums: Tensor = on_grid(  # type: ignore[assignment]
            torch.segment_reduce(every, "sum", lengths=lengths, unsafe=True)  # type: ignore[arg-type]
        )
        found = (sums, torch.cat(scores), every[:, self.layout.surprise])
        return tuple(each.to("cpu", non_blocking=True) for each in found)

    def _results(
        self, samples: Coerced, ends: Sequence[int], sums: Array, scores: Array, surprise: Array
    ) -> list[ScoredPane]:
        graded, flaws = grades(surprise), self._flaws.of_runs(samples, ends)
        return [
            ScoredPane(kept, scores[start:end], graded[start:end], found)
            for kept, found, (start, end) in zip(keep_each(sums), flaws, pairwise([0, *ends]), strict=True)
        ]


def _pinned(panes: Sequence[Coerced]) -> Coerced:
    """The samples of all panes, in pinned memory that a GPU can copy from asynchronously."""
    kind = np.result_type(*{pane.dtype for pane in panes})
    shape = (sum(map(len, panes)), *panes[0].shape[1:])
    return np.concatenate(panes, out=pinned(shape, kind).numpy())
