"""A loaded reference: the flow, the moments of its latents, and the bank of held-out samples."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from driftwatch.data.flaws import unseen_shares
from driftwatch.data.schema import Coerced, Schema, TableSchema
from driftwatch.errors import BundleError
from driftwatch.flows.base import Flow, device_of
from driftwatch.flows.features import feature_names
from driftwatch.flows.folding import fold
from driftwatch.flows.vector import VectorFlow
from driftwatch.kernels.chosen import with_kernels
from driftwatch.locations import Location
from driftwatch.reference.bundle import Bundle, load_bundle
from driftwatch.reference.category_shares import CategoryShares, category_shares
from driftwatch.reference.description import Description
from driftwatch.reference.recorded import Recorded
from driftwatch.reference.stored_null import SIZES, STEP, null_arrays, stored_null
from driftwatch.reference.summariser import Summariser, as_tensors
from driftwatch.stats.decomposition import divergence
from driftwatch.stats.held_out import HeldOut
from driftwatch.stats.large import large_windows
from driftwatch.stats.memory import Memory
from driftwatch.stats.moments import Moments
from driftwatch.stats.null import WindowNull, features, fit_window_null, join
from driftwatch.stats.remarks import size_remarks
from driftwatch.stats.resample import is_large, null_windows, repeats
from driftwatch.stats.sequential import SIMULATED, Procedure, SlidingNull, simulate_null
from driftwatch.stats.summary import Array, Layout, summarise_each

CHUNK = 1_000
UNSEEN = "unseen"
"""The array of a bundle that says what share of each column's held-out values is unseen."""

MOST_THREADS = 8
"""That calibrate: more would save little, and take memory."""


@dataclass(frozen=True)
class Reference:
    """What a stream is compared with.

    Args:
        name: of the bundle.
        version: a digest of its contents.
        schema: of one sample.
        flow: fitted and folded (see `driftwatch.flows.folding`), on its device.
        moments: of its latents.
        description: of samples, beside their latents.
        layout: of the summaries.
        bank: summaries of single held-out samples, ``(N, V)``.
        others: summary of the other held-out samples, which the moments were fitted to, ``(V,)``.
        memory: of the stream that the bank is a stretch of; none where its samples are independent.
        manifest: as written by the trainer.
        stored: the null of the usual windows, if the bundle has it.
        unseen: the share of each column's held-out values that were unseen, ``(columns,)``; None if none were.
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
    stored: SlidingNull | None = None
    unseen: Array | None = None

    @cached_property
    def block_names(self) -> tuple[str, ...]:
        """The names of the latent's blocks."""
        return tuple(block.name for block in self.flow.blocks)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """The names of a row's features, for tables and vectors; none for images."""
        if not isinstance(self.flow, VectorFlow):
            return ()
        if isinstance(self.schema, TableSchema):
            columns = [column.name for column in self.schema.columns]
        else:
            columns = [f"dimension {j + 1}" for j in range(self.flow.features.columns)]
        return feature_names(columns, self.flow.features)

    @cached_property
    def held_out(self) -> HeldOut:
        """What nulls are drawn from."""
        return HeldOut(self.bank, self.others, self.memory)

    @property
    def scores(self) -> Array:
        """The point scores of the held-out samples, ``(N,)``, nats: what those of a stream are to be like."""
        chunks = (self.bank[start : start + CHUNK] for start in range(0, len(self.bank), CHUNK))
        return np.concatenate([divergence(chunk.astype(np.float64), self.layout) for chunk in chunks])

    @cached_property
    def missing_shares(self) -> Array:
        """The share of each column's values that were missing, of a table, ``(columns,)``; empty for what is none."""
        if not isinstance(self.flow, VectorFlow) or not isinstance(self.schema, TableSchema):
            return np.empty(0)
        return self.flow.features.missing_shares

    @cached_property
    def category_shares(self) -> CategoryShares | None:
        """What is counted of a table's columns of categories; None where nothing is."""
        if not isinstance(self.flow, VectorFlow) or not isinstance(self.schema, TableSchema):
            return None
        return category_shares(self.schema, self.flow.features, self.description, self.missing_shares)

    @property
    def unseen_shares(self) -> Array:
        """The share of each column's values that were an unseen category, as `missing_shares` has it."""
        return self.unseen if self.unseen is not None else np.zeros(len(self.missing_shares))

    def size_remarks(self, longest: int = max(SIZES)) -> tuple[str, ...]:
        """What is said of windows of `longest` samples if they are large beside the held-out ones."""
        return size_remarks(longest, len(self.bank), int(self.others[0]))

    def window_null(self, size: int, *, count: int = 4_000, seed: int = 0) -> WindowNull:
        """The null of windows of `size` samples, from `count` draws of it."""
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
            step: samples in a pane.
            budget: expected samples between false alarms.
            resolve_after: steps without an alarm that part two alarms.
            samples: simulated, unless the bundle has the null of these windows with it.
            by_time: whether there are windows by time too.
        """
        held = self.stored
        if held is None or by_time or (tuple(held.nulls), held.step) != (tuple(sizes), step):
            held = self.simulate(sizes, step, samples=samples, by_time=by_time)
        return held.procedure(budget, resolve_after)

    def simulate(
        self, sizes: Sequence[int], step: int, *, samples: int = SIMULATED, by_time: bool = False
    ) -> SlidingNull:
        """The null of sliding windows; arguments as of `procedure`."""
        return simulate_null(
            self.held_out,
            self.layout,
            sizes,
            step,
            samples=samples,
            threads=min(MOST_THREADS, len(os.sched_getaffinity(0))),
            by_time=by_time,
        )

    def summarise(self, batch: Coerced, count: int | None = None) -> Array:
        """The summary of each sample of one batch ``(B, *sample_shape)``, ``(B, V)``; a tensor if the flow is on a GPU.

        There the way of batches of one shape and type is recorded at the first of them. A CPU may leave out all but the
        first `count` samples, if that is given.
        """
        if self.device.type == "cpu":
            return self._summariser(torch.from_numpy(batch), count)
        return self.measure(batch)[0]

    def measure(self, batch: Coerced, count: int | None = None) -> tuple[Array, Array]:
        """Likewise, and the score of each sample, nats, ``(B,)``; a GPU is not waited for."""
        raw = torch.from_numpy(batch)
        if self.device.type == "cpu":
            return self._measure(raw, count)
        key = (raw.shape, raw.dtype)
        if key not in self._recorded:
            self._recorded[key] = Recorded(self._measure, raw.to(self.device))  # type: ignore[arg-type]
        return self._recorded[key](raw.pin_memory())  # type: ignore[return-value]

    def _measure(self, raw: torch.Tensor, count: int | None = None) -> tuple[Array, Array]:
        summaries = self._summariser(raw, count)
        return summaries, divergence(summaries, self.layout)

    def __getstate__(self) -> dict[str, Any]:
        """All but what was recorded on a GPU, of which a copy records its own."""
        return {name: value for name, value in self.__dict__.items() if name != "_recorded"}

    @cached_property
    def device(self) -> torch.device:
        """Where the flow is."""
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


def store_null(reference: Reference, arrays: dict[str, NDArray[np.floating]]) -> Reference:
    """Adds the null of the usual windows to the arrays of a bundle that is about to be written.

    A bank that is too small for such windows gets none: little would be certain of it, and trying things out is quick.
    """
    if repeats(max(SIZES), len(reference.bank)):
        return reference
    simulated = reference.simulate(SIZES, STEP)
    arrays |= null_arrays(simulated)
    return replace(reference, stored=simulated)


def store_unseen(rows: NDArray[np.floating], schema: Schema, arrays: dict[str, NDArray[np.floating]]) -> None:
    """Adds the shares of unseen values among held-out rows to the arrays of a bundle, if there are any."""
    if (shares := unseen_shares(rows, schema)).any():
        arrays[UNSEEN] = shares


def load_reference(path: str | Location, device: str = "cpu") -> Reference:
    """Loads and verifies a bundle, of a folder or a URL.

    Raises:
        BundleError: if it is missing, damaged or of another version.
    """
    return reference_from(load_bundle(path, device))


def reference_from(bundle: Bundle) -> Reference:
    """The reference that a bundle holds.

    Raises:
        BundleError: its calibration is none.
    """
    try:
        return _reference_from(bundle)
    except (LookupError, ValueError, TypeError, OverflowError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"does not hold together: {error}"
        raise BundleError(f"calibration {what}", where=str(bundle.path), remedy="train the reference again") from None


def _unseen(arrays: Mapping[str, NDArray[Any]], schema: Schema) -> Array | None:
    """The shares that `store_unseen` added.

    Raises:
        ValueError: they are none.
    """
    shares = arrays.get(UNSEEN)
    if shares is not None and (shares.shape != schema.shape or not bool(((shares >= 0) & (shares <= 1)).all())):
        raise ValueError(f"{UNSEEN} holds no share of each column")
    return shares


def _reference_from(bundle: Bundle) -> Reference:
    arrays = bundle.calibration
    shapes = tuple((block.vectors, block.dim) for block in bundle.flow.blocks)
    moments, description = Moments.from_arrays(arrays), Description.from_arrays(arrays)
    latents = tuple(arrays[f"bank_latents.{s}"] for s in range(len(shapes)))
    described = tuple(arrays[f"bank_groups.{g}"] for g in range(len(description.groups.each)))
    nll, others = arrays["bank_nll"], arrays["others"]
    tau, block = arrays["memory"]
    layout = description.layout(moments.layout(shapes))
    stored = stored_null(arrays, layout)
    bank = np.empty((len(nll), layout.size), dtype=np.float32)
    for start in range(0, len(nll), CHUNK):
        chunk = slice(start, start + CHUNK)
        whitened = moments.whiten([z[chunk] for z in latents], nll[chunk])
        bank[chunk] = summarise_each(whitened, layout, description.restore(tuple(y[chunk] for y in described)))
    return Reference(
        name=bundle.name,
        version=bundle.version,
        schema=bundle.schema,
        flow=with_kernels(fold(bundle.flow)),
        moments=moments,
        description=description,
        layout=layout,
        bank=bank,
        others=others,
        memory=Memory(float(tau), int(block)),
        manifest=bundle.manifest,
        stored=stored,
        unseen=_unseen(arrays, bundle.schema),
    )
