"""What a stream is compared with: the flow, the moments of its latents, and the bank of held-out samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from driftwatch.config import WindowsConfig
from driftwatch.cpus import available_cpus
from driftwatch.data.schema import Coerced, Schema, TableSchema
from driftwatch.flows.base import Flow, device_of
from driftwatch.flows.features import feature_names
from driftwatch.flows.vector import VectorFlow
from driftwatch.reference.category_shares import CategoryShares, category_shares
from driftwatch.reference.columns import RowFeatures, unordered_columns
from driftwatch.reference.description import Description
from driftwatch.reference.recorded import Recorded, pinned
from driftwatch.reference.shifts import shifts_of
from driftwatch.reference.stored_null import SIZES
from driftwatch.reference.summariser import Summariser, as_tensors
from driftwatch.stats.decomposition import divergence
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.large import large_windows
from driftwatch.stats.memory import Memory
from driftwatch.stats.moments import Moments
from driftwatch.stats.null import WindowNull, features, fit_window_null, join
from driftwatch.stats.remarks import size_remarks
from driftwatch.stats.resample import is_large, null_windows
from driftwatch.stats.sequential import SIMULATED, Procedure, SlidingNull, simulate_null
from driftwatch.stats.summary import Array, Layout

CHUNK = 1_000
"""Samples that are held at once as double-precision numbers."""

MOST_THREADS = 8
"""Upper bound of calibration threads: more would save little time and take more memory."""


@dataclass(frozen=True)
class Reference:
    """What a stream is compared with: a trained flow and everything calibrated for it.

    Args:
        name: of the bundle.
        version: a digest of its contents.
        schema: of one sample.
        flow: fitted and folded (see `driftwatch.flows.folding`), on its device.
        moments: of its latents.
        description: describes samples beside their latents.
        layout: of the summaries.
        bank: summaries of single held-out samples, ``(N, V)``.
        others: summary of the other held-out samples, which the moments were fitted to, ``(V,)``.
        memory: of the stream that the bank is a stretch of; none if its samples are independent.
        manifest: as written by the trainer.
        stored: the nulls of sliding windows that the bundle has.
        unseen: share of unseen values in each column of the held-out samples, ``(columns,)``; None if there were none.
    """

    name: str
    version: str
    schema: Schema
    flow: Flow
    moments: Moments
    description: Description
    layout: Layout
    bank: NDArray[np.float32]
    others: Array
    memory: Memory
    manifest: Mapping[str, Any]
    stored: tuple[SlidingNull, ...] = ()
    unseen: Array | None = None

    @cached_property
    def block_names(self) -> tuple[str, ...]:
        """The names of the latent's blocks."""
        return tuple(block.name for block in self.flow.blocks)

    @cached_property
    def row_features(self) -> RowFeatures | None:
        """The features of a row for tables and vectors; None for images."""
        if not isinstance(self.flow, VectorFlow):
            return None
        if isinstance(self.schema, TableSchema):
            columns = [column.name for column in self.schema.columns]
        else:
            columns = [f"dimension {j + 1}" for j in range(self.flow.features.columns)]
        shares = self.category_shares
        return RowFeatures(
            names=feature_names(columns, self.flow.features),
            unordered=unordered_columns(self.schema),
            of_categories=shares.phrase if shares else None,
            shifts=shifts_of(self.description),
        )

    @cached_property
    def held_out(self) -> HeldOut:
        """The held-out samples that nulls are drawn from."""
        return HeldOut(self.bank, self.others, self.memory)

    @property
    def scores(self) -> Array:
        """The point scores of the bank's samples, ``(N,)``, nats: the expectation for a stream's scores."""
        chunks = (self.bank[start : start + CHUNK] for start in range(0, len(self.bank), CHUNK))
        return np.concatenate([divergence(chunk.astype(np.float64), self.layout) for chunk in chunks])

    @cached_property
    def missing_shares(self) -> Array:
        """The share of missing values in each column of a table, ``(columns,)``; empty for other data."""
        if not isinstance(self.flow, VectorFlow) or not isinstance(self.schema, TableSchema):
            return np.empty(0)
        return self.flow.features.missing_shares

    @cached_property
    def category_shares(self) -> CategoryShares | None:
        """The shares of categories in a table's columns; None if none are counted."""
        if not isinstance(self.flow, VectorFlow) or not isinstance(self.schema, TableSchema):
            return None
        return category_shares(self.schema, self.flow.features, self.description, self.missing_shares)

    @property
    def unseen_shares(self) -> Array:
        """The share of unseen categories in each column of a table, ``(columns,)``; empty for other data."""
        return self.unseen if self.unseen is not None else np.zeros(len(self.missing_shares))

    def size_remarks(self, longest: int = max(SIZES)) -> tuple[str, ...]:
        """The remark on windows of `longest` samples if they are large relative to the held-out samples."""
        return size_remarks(longest, len(self.bank), int(self.others[0]))

    def window_null(self, size: int, *, count: int = 4_000, seed: int = 0) -> WindowNull:
        """The null of windows of `size` samples, fitted to `count` draws."""
        if large := is_large(size, len(self.bank)):
            drawn = large_windows(self.held_out, size, count, np.random.default_rng(seed))
            measured = join([features(windows, self.layout) for windows in drawn])
        else:
            measured = null_windows(self.held_out, self.layout, size, count=count, seed=seed)
        return fit_window_null(measured, self.layout, size, large=large)

    def procedure(
        self,
        sizes: Sequence[int],
        step: int,
        *,
        budget: float,
        resolve_after: int,
        samples: int = SIMULATED,
        by_time: bool = False,
    ) -> Procedure:
        """The sliding procedure that keeps a false-alarm budget on streams like this reference.

        Args:
            sizes: of windows in samples, each a multiple of `step`.
            step: samples per pane.
            budget: expected samples between false alarms.
            resolve_after: steps without an alarm that separate two alarms.
            samples: simulated samples, unless the bundle contains the null of these windows.
            by_time: whether to simulate time-based windows, too.
        """
        null = self.stored_null(sizes, step, by_time=by_time)
        if null is None:
            null = self.simulate(sizes, step, samples=samples, by_time=by_time)
        return null.procedure(budget, resolve_after)

    def stored_null(self, sizes: Sequence[int], step: int, *, by_time: bool = False) -> SlidingNull | None:
        """The stored null of these windows, if there is one; arguments as for `procedure`."""
        return next((null for null in self.stored if null.is_of(sizes, step, by_time=by_time)), None)

    def with_null(self, windows: WindowsConfig) -> Reference:
        """The same reference with the null of these windows, simulated unless it is stored already."""
        sizes, step, by_time = windows.counts, windows.step, windows.tick_ms is not None
        if self.stored_null(sizes, step, by_time=by_time) is not None:
            return self
        return replace(self, stored=(*self.stored, self.simulate(sizes, step, by_time=by_time)))

    def simulate(
        self, sizes: Sequence[int], step: int, *, samples: int = SIMULATED, by_time: bool = False
    ) -> SlidingNull:
        """Simulate the null of sliding windows; arguments as for `procedure`."""
        return simulate_null(
            self.held_out,
            self.layout,
            sizes,
            step,
            samples=samples,
            threads=min(MOST_THREADS, available_cpus()),
            by_time=by_time,
        )

    def summarise(self, batch: Coerced, count: int | None = None) -> Array:
        """The summary of each sample of a batch ``(B, *sample_shape)``, ``(B, V)``; a tensor if the flow is on a GPU.

        A GPU records a CUDA graph for the first batch of each shape and type, and replays it for the others. On a CPU,
        only the first `count` samples need to be summarized, if it is given.
        """
        if self.device.type == "cpu":
            return self._summariser(torch.from_numpy(batch), count)
        return self.measure(batch)[0]

    def measure(self, batch: Coerced, count: int | None = None) -> tuple[Array, Array]:
        """Like `summarise`, with the score of each sample, nats, ``(B,)``; does not wait for a GPU."""
        raw = torch.from_numpy(batch)
        if self.device.type == "cpu":
            return self._measure(raw, count)
        key = (raw.shape, raw.dtype)
        if key not in self._recorded:
            self._recorded[key] = Recorded(self._measure, raw.to(self.device))  # type: ignore[arg-type]
        if not raw.is_pinned():
            raw = pinned(batch.shape, batch.dtype)
            raw.numpy()[...] = batch
        return self._recorded[key](raw)  # type: ignore[return-value]

    def _measure(self, raw: torch.Tensor, count: int | None = None) -> tuple[Array, Array]:
        summaries = self._summariser(raw, count)
        return summaries, divergence(summaries, self.layout)

    def __getstate__(self) -> dict[str, Any]:
        """All state except CUDA graphs, which a copy records anew."""
        return {name: value for name, value in self.__dict__.items() if name != "_recorded"}

    @cached_property
    def device(self) -> torch.device:
        """The device that the flow is on."""
        return device_of(self.flow)

    @cached_property
    def _summariser(self) -> Summariser:
        moments, description = self.moments, self.description
        if self.device.type != "cpu":
            moments, description = as_tensors((moments, description), self.device)
        return Summariser(self.flow, moments, description, self.layout)

    @cached_property
    def _recorded(self) -> dict[tuple[torch.Size, torch.dtype], Recorded]:
        return {}
