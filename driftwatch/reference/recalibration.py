"""Recalibration of a bundle: the same flow, with nulls from data that is normal from now on, or of more windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from driftwatch.config import WindowsConfig
from driftwatch.data.schema import Samples
from driftwatch.errors import TrainingError
from driftwatch.locations import Location
from driftwatch.reference.bundle import Bundle, write_bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.contents import contents_of
from driftwatch.reference.detectable import Detectable, detectable
from driftwatch.reference.fitness import Unfit, assess_fitness, order_of
from driftwatch.reference.loading import reference_from, store_nulls, store_unseen
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.stored_null import null_arrays, without_nulls
from driftwatch.reference.training_data import MIN_HELD_OUT, require_variety
from driftwatch.stats.memory import NONE, Memory, measure_memory

DESCRIBED_SHARE = 0.3
"""Share of the samples that descriptors are whitened by; the rest is for calibration."""

MIN_WORTH = 400
"""Least number of independent samples that a stretch must be equivalent to."""


@dataclass(frozen=True)
class Recalibrated:
    """The outcome of a recalibration.

    Args:
        version: of the new bundle.
        detectable: smallest detectable shifts.
        warnings: why the data may be unfit as a reference.
        remarks: on the default windows, if there are too few held-out samples for them.
        memory: of the stream.
    """

    version: str
    detectable: Sequence[Detectable]
    warnings: Sequence[Unfit]
    remarks: Sequence[str]
    memory: Memory


def recalibrate(
    bundle: Bundle,
    samples: Samples,
    out: Location,
    *,
    where: str,
    doing: Callable[[str, float], None],
    rows: NDArray[np.int64] | None = None,
    bank_size: int = 5_000,
    ordered: bool = False,
    windows: WindowsConfig | None = None,
    overwrite: bool = False,
) -> Recalibrated:
    """Write a bundle with the flow of another, calibrated on new samples.

    Args:
        bundle: provides flow, schema and name.
        samples: what is normal now, in order, ``(N, *sample_shape)``; the flow must not have been fitted to them.
        out: folder or URL of the new bundle.
        where: the samples come from, for error messages and the manifest.
        doing: called with the current activity, and the share of it that is done.
        rows: indices of the samples in their data, for warnings; their own if None.
        bank_size: most samples to store for resampling nulls.
        ordered: the samples are a stretch of the stream, whose memory is measured and included in the calibration of
            false alarms.
        windows: whose null the new bundle is to hold, beside that of the default windows.
        overwrite: replace a bundle at `out`.

    Raises:
        TrainingError: there are too few samples, or they are all equal.
        BundleError: it cannot be written.
    """
    needed = int(np.ceil(MIN_HELD_OUT / (1.0 - DESCRIBED_SHARE)))
    if len(samples) < needed:
        raise TrainingError(
            f"{len(samples)} samples are too few to calibrate with", where=where, remedy=f"give at least {needed}"
        )
    require_variety(samples, where)
    doing("calibrating", 0.0)
    memory = _memory(bundle, samples, where) if ordered else NONE
    order = np.arange(len(samples)) if ordered else np.random.default_rng(0).permutation(len(samples))
    described = int(DESCRIBED_SHARE * len(samples))
    to_describe = samples[order[:described]]
    arrays = calibrate(bundle.flow, samples[order[described:]], to_describe, bank_size=bank_size, memory=memory)
    store_unseen(samples[order[described:]], bundle.schema, arrays)
    doing("setting thresholds", 0.0)
    reference = store_nulls(reference_from(replace(bundle, calibration=arrays)), arrays, windows)
    doing("looking for drift within the data", 0.0)
    found = order_of(Scorer(reference), samples, seed=0)
    contents = contents_of([samples], len(samples))
    places = np.arange(len(samples)) if rows is None else rows
    fitness = assess_fitness(contents, bundle.schema, found, len(samples), lambda row: f"row {int(places[row]) + 1:,}")
    # No null is drawn from these samples; that descriptors are whitened by them makes little difference.
    smallest = detectable(reference, to_describe, seed=0, doing=doing)
    doing("writing", 1.0)
    record = {"from_version": bundle.version, "data": where, "rows": len(samples), "memory_samples": memory.tau}
    version = write_bundle(
        out,
        name=bundle.name,
        schema=bundle.schema,
        flow=bundle.flow,
        calibration=arrays,
        facts={
            "training": bundle.manifest.get("training", {}),
            "recalibrated": record,
            "metrics": {"detectable": [row.to_json() for row in smallest]},
            "fitness": fitness.figures,
            "warnings": [warning.to_json() for warning in fitness.warnings],
        },
        overwrite=overwrite,
    )
    return Recalibrated(version, smallest, fitness.warnings, reference.size_remarks(), memory)


def add_null(bundle: Bundle, windows: WindowsConfig, out: Location, *, overwrite: bool = False) -> str:
    """Write a bundle that also holds the null of these windows; all else stays as it is.

    Args:
        bundle: provides everything else.
        windows: of a daemon that is not to simulate their null at each start.
        out: folder or URL of the new bundle.
        overwrite: replace a bundle at `out`.

    Returns:
        The new bundle's version.

    Raises:
        BundleError: it cannot be written.
    """
    reference = reference_from(bundle).with_null(windows)
    return write_bundle(
        out,
        name=bundle.name,
        schema=bundle.schema,
        flow=bundle.flow,
        calibration=without_nulls(bundle.calibration) | null_arrays(*reference.stored),
        facts=bundle.facts,
        report=bundle.report,
        overwrite=overwrite,
    )


def _memory(bundle: Bundle, samples: Samples, where: str) -> Memory:
    """Measure the memory of the stream that the samples are a stretch of."""
    scorer = Scorer(reference_from(bundle))
    layout = scorer.layout
    # Quantities that are linear in a sample have at least as long a memory as squares of them.
    chosen = [np.arange(layout.sum_z.start, layout.sum_z.stop), np.array([2, layout.surprise])]
    chosen += [np.arange(place.start, place.stop) for place in layout.group_slices]
    columns = np.concatenate(chosen)
    memory = measure_memory(np.concatenate([batch[:, columns] for batch in scorer.summaries(samples)]))
    if len(samples) < MIN_WORTH * memory.tau:
        raise TrainingError(
            f"the stream remembers {memory.tau:,.0f} samples, so these {len(samples):,} are worth only "
            f"{len(samples) / memory.tau:,.0f} independent ones, too few to calibrate with",
            where=where,
            remedy=f"give a stretch of at least {MIN_WORTH * memory.tau:,.0f} samples, and raise --samples to as many",
        )
    return memory
