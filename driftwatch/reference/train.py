"""From a configuration to a bundle: data, flow, training, calibration, report."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import torch
from numpy.typing import NDArray

from driftwatch import __version__
from driftwatch.data.readers import open_dataset
from driftwatch.data.schema import ImageSchema, Samples
from driftwatch.errors import TrainingError, UsageError
from driftwatch.flows.base import Flow
from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.chosen import with_spline_kernels
from driftwatch.locations import Location, locate
from driftwatch.reference.architecture import new_flow
from driftwatch.reference.assessment import assess
from driftwatch.reference.bundle import Bundle, refuse_existing, require_place, write_bundle
from driftwatch.reference.bundle_places import bundle_folder
from driftwatch.reference.calibration import calibrate
from driftwatch.reference.checkpoint import Interrupted, remove_checkpoint
from driftwatch.reference.detectable import detectable
from driftwatch.reference.device import choose_device
from driftwatch.reference.fitness import Fitness, assess_fitness, by_heart, hardly_trained, order_of
from driftwatch.reference.likelihood import to_bits_per_dim
from driftwatch.reference.loading import reference_from, store_nulls, store_unseen
from driftwatch.reference.mlflow_run import mlflow_run
from driftwatch.reference.precision import compute_dtype
from driftwatch.reference.processes import Processes, join_processes
from driftwatch.reference.reference import Reference
from driftwatch.reference.report import report_png
from driftwatch.reference.scoring import Scorer
from driftwatch.reference.train_config import TrainConfig
from driftwatch.reference.trained import Listener, Trained
from driftwatch.reference.training import Fitted, FlowTrainer
from driftwatch.reference.training_data import MIN_HELD_OUT, TrainingData, one_schema, require_variety

FEATURE_ROWS = 50_000
DESCRIBED_ROWS = 10_000
HELD_BYTES = 16
"""Memory per value of a sample while latents and descriptors are fitted: the sample, its latent, and both whitened."""

INITIAL_ROWS = 512
VALIDATION_ROWS = 2_000
EVALUATION_ROWS = 3_000
MOST_ON_A_CPU = 3 * 64 * 64
"""Dimensions of images beyond which a CPU is slow. With ``driftwatch train`` and the default flow, two shared cores
fitted 49 images of 3x64x64 per second, and 2 of 3x224x224, whose calibration was not done after six minutes."""


def train(
    config: TrainConfig,
    out: Location,
    stop: threading.Event,
    listener: Listener,
    *,
    fresh: bool = False,
    overwrite: bool = False,
) -> Trained | None:
    """Train a reference and write its bundle.

    Args:
        config: of data, flow and training.
        out: the bundle's folder or URL; checkpoints are in ``<out>.training`` until the bundle is written, next to the
            folder, or for a URL in the working directory.
        stop: set it to write a checkpoint and end.
        listener: called as the training proceeds.
        fresh: ignore an existing checkpoint.
        overwrite: replace a bundle at `out`.

    Returns:
        The result; None in processes that do not lead.

    Raises:
        Interrupted: `stop` was set; the same call continues from the checkpoint.
        DriftwatchError: the data cannot be learned from, or the bundle cannot be written.
    """
    refuse_existing(out, overwrite=overwrite)
    require_place(out)
    settings = config.training
    torch.backends.cudnn.deterministic = True
    with join_processes(choose_device(settings.device)) as processes, mlflow_run(config, out, processes) as run:
        listener = listener if processes.leads else Listener()
        if run is not None:
            listener = listener.with_step_callback(run.report)
        data, parts = _read(config, listener)
        torch.manual_seed(settings.seed)
        flow = with_spline_kernels(
            new_flow(config.flow, data.schema, parts.fit, seed=settings.seed).to(processes.device)
        )
        _say_shape(flow, processes, listener)
        if isinstance(flow, ImageFlow):
            flow.compute_dtype = compute_dtype(settings.precision, processes.device)
        folder = (out if isinstance(out, Path) else Path(out.name)).with_name(f"{out.name}.training")
        trainer = FlowTrainer(
            flow,
            data,
            parts.fit[:INITIAL_ROWS],
            parts.validation[:VALIDATION_ROWS],
            settings,
            processes,
            folder,
            _fingerprint(config, data),
        )
        if not fresh and trainer.resume():
            listener.say(f"continuing from the checkpoint at step {trainer.step:,} (--fresh starts over)")
        fitted = trainer.fit(stop, listener.on_step, listener.say)
        if not processes.leads:
            return None
        listener.say(f"trained {fitted.steps:,} steps in {fitted.seconds / 60:.1f} minutes, ended by {fitted.ended_by}")
        if isinstance(flow, ImageFlow):
            flow.compute_dtype = None
        trained = _conclude(config, out, data, flow, parts, fitted, stop, listener, overwrite=overwrite)
        remove_checkpoint(folder)
        if run is not None:
            with bundle_folder(out) as written:
                listener.say(f"in MLflow as {run.keep(written, trained)}, run {run.id}")
        return trained


def output_path(config: TrainConfig, out: str | Path | None) -> Location:
    """The place to write the bundle to.

    Raises:
        UsageError: neither the command nor the configuration specifies it.
    """
    chosen = out or config.output.bundle
    if chosen is None:
        raise UsageError("no place to write the bundle is given", remedy="give --out, or output.bundle in the file")
    return locate(chosen)


@dataclass(frozen=True)
class _Parts:
    """Samples of each part, ``(N, *sample_shape)``."""

    fit: Samples
    validation: Samples
    calibration: Samples


def _read(config: TrainConfig, listener: Listener) -> tuple[TrainingData, _Parts]:
    """Open the data and load the samples that are kept in memory, in one pass over it."""
    settings = config.training
    listener.doing("reading", 0.0)
    chosen = config.data
    datasets = [
        open_dataset(path, columns=chosen.columns, exclude=chosen.exclude, categories=chosen.categories)
        for path in chosen.train
    ]
    data = TrainingData(
        datasets,
        config.sample or one_schema(datasets),
        fractions=(settings.validation_fraction, settings.calibration_fraction),
        seed=settings.seed,
        memory_bytes=settings.memory_bytes,
        gather=config.sample is None,
    )
    schema = data.schema
    values = math.prod(schema.shape)
    # Samples are chosen by hash, so their number is only approximate: twice the minimum is surely enough.
    fitting = max(2 * MIN_HELD_OUT, settings.memory_bytes // (HELD_BYTES * values))
    found = data.samples(
        {
            "fit": min(DESCRIBED_ROWS if isinstance(schema, ImageSchema) else FEATURE_ROWS, fitting),
            "validation": max(VALIDATION_ROWS, EVALUATION_ROWS),
            "calibration": min(config.calibration.samples, fitting),
        }
    )
    parts = _Parts(found["fit"], found["validation"], found["calibration"])
    if len(parts.calibration) < MIN_HELD_OUT:
        share = math.ceil(110 * MIN_HELD_OUT / data.rows) / 100
        more = f", or a training.calibration_fraction of {share:.2f}" if share < 0.5 else ""
        raise TrainingError(
            f"{len(parts.calibration)} held-out samples are too few to calibrate false alarms with",
            where=data.where,
            remedy=f"{MIN_HELD_OUT} are needed: give more data{more}",
        )
    require_variety(parts.calibration, data.where)
    listener.say(f"{data.rows:,} samples, each a {schema.describe()}; {len(parts.calibration):,} held out to calibrate")
    for each in data.gathered:
        listener.say(each.summary)
    return data, parts


def _say_shape(flow: Flow, processes: Processes, listener: Listener) -> None:
    parameters = sum(parameter.numel() for parameter in flow.parameters())
    several = f", {processes.world} processes" if processes.world > 1 else ""
    listener.say(f"flow of {flow.dim:,} dimensions, {parameters:,} parameters, on {processes.device}{several}")
    if isinstance(flow, ImageFlow) and flow.dim > MOST_ON_A_CPU and processes.device.type == "cpu":
        listener.say(
            "a CPU is slow to train, calibrate and score such images: resize them to 64x64 pixels or less, watch "
            "embeddings of them instead, or use a GPU"
        )
    if isinstance(flow, ImageFlow) and any(flow.padding):
        left, right, top, bottom = flow.padding
        height, width = flow.padded
        listener.say(
            f"images are padded to {height}x{width} pixels of {flow.low:g}: "
            f"left {left}, right {right}, top {top}, bottom {bottom}"
        )


def _conclude(
    config: TrainConfig,
    out: Location,
    data: TrainingData,
    flow: Flow,
    parts: _Parts,
    fitted: Fitted,
    stop: threading.Event,
    listener: Listener,
    *,
    overwrite: bool,
) -> Trained:
    """Calibrate and assess the fitted flow, and write the bundle."""

    def doing(what: str, share: float) -> None:
        if stop.is_set():
            raise Interrupted(
                "stopped after training, before the bundle was written",
                remedy="the same command continues from there",
            )
        listener.doing(what, share)

    seed, name = config.training.seed, config.output.name or out.name
    doing("calibrating", 0.0)
    arrays = calibrate(
        flow, parts.calibration, parts.fit[:DESCRIBED_ROWS], bank_size=config.calibration.bank_size, seed=seed
    )
    store_unseen(parts.calibration, data.schema, arrays)
    bits = to_bits_per_dim(float(arrays["bank_nll"].mean()), flow)
    doing("setting thresholds", 0.0)
    reference = reference_from(Bundle(out, name, "", data.schema, flow, arrays, {}))
    reference = store_nulls(reference, arrays, config.windows)
    fitness = _fitness(reference, data, parts, arrays["bank_nll"], seed, doing)
    hurried = hardly_trained(fitted.steps, config.training.warmup_steps if fitted.ended_by == "minutes" else 0)
    warnings = (*hurried, *fitness.warnings)
    fresh = parts.validation[:EVALUATION_ROWS]
    assessment = assess(reference, fresh, seed=seed, doing=doing)
    smallest = detectable(reference, fresh, seed=seed, doing=doing)
    doing("writing", 1.0)
    facts = _facts(config, data, parts, fitted)
    facts |= {
        "metrics": {
            "bits_per_dim": bits,
            "validation_bits_per_dim": fitted.validation,
            "evaluation": [row.to_json() for row in assessment.evaluations],
            "detectable": [row.to_json() for row in smallest],
        },
        "fitness": fitness.figures,
        "warnings": [warning.to_json() for warning in warnings],
    }
    version = write_bundle(
        out,
        name=name,
        schema=data.schema,
        flow=flow,
        calibration=arrays,
        facts=facts,
        report=report_png(name, fitted.curve, assessment, smallest),
        overwrite=overwrite,
    )
    return Trained(
        out,
        version,
        data.schema,
        data.rows,
        fitted,
        bits,
        assessment.combined,
        smallest,
        warnings,
        reference.size_remarks(),
    )


def _fitness(
    reference: Reference,
    data: TrainingData,
    parts: _Parts,
    held_out: NDArray[np.floating],
    seed: int,
    doing: Callable[[str, float], None],
) -> Fitness:
    """Whether the data is fit to be a reference; `held_out` are negative log-likelihoods of held-out samples, nats."""
    doing("looking for drift within the data", 0.0)
    order = order_of(Scorer(reference), parts.calibration, seed=seed)
    heart = by_heart(reference.flow, parts.fit, held_out)
    return assess_fitness(
        data.contents,
        data.schema,
        order,
        data.rows,
        data.place_of,
        fitted=parts.fit,
        leaked=data.leaked,
        heart=heart,
    )


def _facts(config: TrainConfig, data: TrainingData, parts: _Parts, fitted: Fitted) -> dict[str, object]:
    """The manifest's record of the training."""
    return {
        "training": {
            "data": [path.name for path in config.data.train],
            "rows": data.rows,
            "fingerprint": data.fingerprint,
            "steps": fitted.steps,
            "seconds": round(fitted.seconds, 1),
            "ended_by": fitted.ended_by,
            "seed": config.training.seed,
            "held_out": len(parts.calibration),
        },
    }


def _fingerprint(config: TrainConfig, data: TrainingData) -> str:
    """A digest of everything that a checkpoint depends on; limits are left out, so training can be extended."""
    settings = config.model_dump(
        mode="json", exclude={"output": True, "calibration": True, "windows": True, "data": {"train"}}
    )
    for name in ("minutes", "max_steps", "patience", "checkpoint_every_s", "device"):
        settings["training"].pop(name)
    seen = [__version__, settings, data.schema.model_dump(mode="json"), data.fingerprint]
    return hashlib.sha256(orjson.dumps(seen, option=orjson.OPT_SORT_KEYS)).hexdigest()
