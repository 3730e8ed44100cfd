"""Makes a reference from its bundle, and adds to a bundle what was learnt of the held-out samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from driftwatch.config import WindowsConfig
from driftwatch.data.flaws import unseen_shares
from driftwatch.data.schema import Schema
from driftwatch.errors import BundleError
from driftwatch.flows.folding import fold
from driftwatch.kernels.chosen import with_kernels
from driftwatch.locations import Location
from driftwatch.reference.bundle import Bundle, load_bundle
from driftwatch.reference.description import Description
from driftwatch.reference.reference import CHUNK, Reference
from driftwatch.reference.stored_null import SIZES, STEP, null_arrays, stored_nulls
from driftwatch.stats.memory import Memory
from driftwatch.stats.moments import Moments
from driftwatch.stats.resample import repeats
from driftwatch.stats.summary import Array, summarise_each

UNSEEN = "unseen"
"""Name of the array in a bundle with the share of unseen values in each column of the held-out samples."""


def load_reference(path: str | Location, device: str = "cpu") -> Reference:
    """Load and verify a bundle from a folder or a URL.

    Raises:
        BundleError: it is missing, damaged or of another format version.
    """
    return reference_from(load_bundle(path, device))


def reference_from(bundle: Bundle) -> Reference:
    """Make a reference from a bundle.

    Raises:
        BundleError: its calibration is invalid.
    """
    try:
        return _reference_from(bundle)
    except (LookupError, ValueError, TypeError, OverflowError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"is inconsistent: {error}"
        raise BundleError(f"calibration {what}", where=str(bundle.path), remedy="train the reference again") from None


def _reference_from(bundle: Bundle) -> Reference:
    arrays = bundle.calibration
    shapes = tuple((block.vectors, block.dim) for block in bundle.flow.blocks)
    moments, description = Moments.from_arrays(arrays), Description.from_arrays(arrays)
    latents = tuple(arrays[f"bank_latents.{s}"] for s in range(len(shapes)))
    described = tuple(arrays[f"bank_groups.{g}"] for g in range(len(description.groups.each)))
    nll, others = arrays["bank_nll"], arrays["others"]
    tau, block = arrays["memory"]
    layout = description.layout(moments.layout(shapes))
    stored = stored_nulls(arrays, layout)
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


def _unseen(arrays: Mapping[str, NDArray[Any]], schema: Schema) -> Array | None:
    """The shares that `store_unseen` added.

    Raises:
        ValueError: they are not shares.
    """
    shares = arrays.get(UNSEEN)
    if shares is not None and (shares.shape != schema.shape or not bool(((shares >= 0) & (shares <= 1)).all())):
        raise ValueError(f"{UNSEEN} does not hold a share for each column")
    return shares


def store_nulls(
    reference: Reference, arrays: dict[str, NDArray[np.floating]], windows: WindowsConfig | None = None
) -> Reference:
    """Add the nulls of the default windows and of `windows` to the arrays of a bundle that is about to be written.

    A bank too small for the default windows gets no null of these: it would be uncertain, and small banks are for quick
    trials.
    """
    if not repeats(max(SIZES), len(reference.bank)):
        reference = reference.with_null(WindowsConfig(sizes=[*SIZES], step=STEP))
    if windows is not None:
        reference = reference.with_null(windows)
    arrays |= null_arrays(*reference.stored)
    return reference


def store_unseen(rows: NDArray[np.floating], schema: Schema, arrays: dict[str, NDArray[np.floating]]) -> None:
    """Add the shares of unseen values in held-out rows to the arrays of a bundle, if there are any."""
    if (shares := unseen_shares(rows, schema)).any():
        arrays[UNSEEN] = shares
