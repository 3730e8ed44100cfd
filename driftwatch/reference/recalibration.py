"""A bundle's null renewed: the same flow, held against other data that is normal from now on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.data.schema import Samples
from driftwatch.errors import TrainingError
from driftwatch.locations import Location
from driftwatch.reference.bundle import Bundle, write_bundle
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.contents import contents_of
from driftwatch.reference.detectable import Detectable, detectable
from driftwatch.reference.fitness import Unfit, assess_fitness, order_of
from driftwatch.reference.reference import reference_from, store_null, store_unseen
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.training_data import MIN_HELD_OUT, require_variety
from driftwatch.stats.memory import NONE, Memory, measure_memory

DESCRIBED_SHARE = 0.3
"""Of the samples, by which descriptors are whitened; the rest calibrates."""

MIN_WORTH = 400
"""Independent samples that a stretch must be worth."""


@dataclass(frozen=True)
class Recalibrated:
    """What a recalibration came to.

    Args:
        version: of the new bundle.
        detectable: the smallest shifts that it detects.
        warnings: why the data may be unfit.
        remarks: on the usual windows, if there are too few held-out samples for them.
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
    bank_size: int = 5_000,
    ordered: bool = False,
    overwrite: bool = False,
) -> Recalibrated:
    """Writes a bundle with the flow of another, calibrated on new samples.

    Args:
        bundle: whose flow, schema and name are kept.
        samples: of what is normal now, in their order, ``(N, *sample_shape)``; the flow must not have been fitted to
            them.
        out: the new bundle's folder or URL.
        where: the samples come from, for errors and the manifest.
        doing: told what goes on, and the share of it that is done.
        bank_size: the most samples to keep for resampling nulls.
        ordered: the samples are a stretch of the stream; how long it remembers is measured, and false alarms are
            calibrated with it.
        overwrite: take the place of a bundle at `out`.

    Raises:
        TrainingError: there are too few samples, or they are all the same.
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
    reference = store_null(reference_from(replace(bundle, calibration=arrays)), arrays)
    doing("looking for drift within the data", 0.0)
    found = order_of(Scorer(reference), samples, seed=0)
    contents = contents_of([samples], len(samples))
    fitness = assess_fitness(contents, bundle.schema, found, len(samples), lambda row: f"row {row + 1:,}")
    # These samples have no part in any null; that they whiten descriptors makes little difference.
    smallest = detectable(reference, to_describe, seed=0, doing=doing)
    doing("writing", 1.0)
    told = {"from_version": bundle.version, "data": where, "rows": len(samples), "memory_samples": memory.tau}
    version = write_bundle(
        out,
        name=bundle.name,
        schema=bundle.schema,
        flow=bundle.flow,
        calibration=arrays,
        facts={
            "training": bundle.manifest.get("training", {}),
            "recalibrated": told,
            "metrics": {"detectable": [row.to_json() for row in smallest]},
            "fitness": fitness.figures,
            "warnings": [warning.to_json() for warning in fitness.warnings],
        },
        overwrite=overwrite,
    )
    return Recalibrated(version, smallest, fitness.warnings, reference.size_remarks(), memory)


def _memory(bundle: Bundle, samples: Samples, where: str) -> Memory:
    """How long the stream remembers that the samples are a stretch of."""
    scorer = Scorer(reference_from(bundle))
    layout = scorer.layout
    # What is linear in a sample remembers at least as long as squares of it do.
    chosen = [np.arange(layout.sum_z.start, layout.sum_z.stop), np.array([2, layout.surprise])]
    chosen += [np.arange(place.start, place.stop) for place in layout.group_slices]
    columns = np.concatenate(chosen)
    memory = measure_memory(np.concatenate([batch[:, columns] for batch in scorer.summaries(samples)]))
    if len(samples) < MIN_WORTH * memory.tau:
        raise TrainingError(
            f"the stream remembers {memory.tau:,.0f} samples: these {len(samples):,} are worth "
            f"{len(samples) / memory.tau:,.0f} independent ones, too few to calibrate with",
            where=where,
            remedy=f"give a stretch of at least {MIN_WORTH * memory.tau:,.0f} samples, and --samples as many",
        )
    return memory
