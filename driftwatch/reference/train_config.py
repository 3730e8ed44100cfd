"""The trainer's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from driftwatch.config import WindowsConfig
from driftwatch.data.schema import Schema
from driftwatch.settings import ConfigLocation, Settings, listed, load_yaml_model


class DataConfig(Settings):
    """What to learn from."""

    train: Annotated[
        list[ConfigLocation], BeforeValidator(listed), Field(min_length=1, description="files, read in order")
    ]
    columns: Annotated[
        list[str] | None, Field(min_length=1, description="of a table: which, in which order; all if absent")
    ] = None
    exclude: Annotated[tuple[str, ...], BeforeValidator(listed), Field(description="of a table: all but these")] = ()
    categories: Annotated[
        tuple[str, ...], BeforeValidator(listed), Field(description="of a table: columns of numbers that are names")
    ] = ()

    @model_validator(mode="after")
    def _one_choice(self) -> Self:
        if self.columns is not None and self.exclude:
            raise ValueError("give columns or exclude, not both")
        return self


class FlowConfig(Settings):
    """The size of the flow. `scales` and `steps` are for images, `layers` and `bins` for tables and vectors."""

    scales: Annotated[int, Field(ge=1, le=5, description="how often images are halved")] = 3
    steps: Annotated[int, Field(ge=1, le=32, description="of the flow, in each scale")] = 6
    layers: Annotated[int, Field(ge=1, le=32, description="of couplings")] = 6
    bins: Annotated[int, Field(ge=2, le=64, description="pieces of each spline")] = 8
    hidden: Annotated[int, Field(ge=4, le=1024, description="width of the networks in couplings")] = 64


class TrainingConfig(Settings):
    """How long and how to train. Training ends with the first of `minutes`, `max_steps` and `patience`."""

    minutes: Annotated[float | None, Field(gt=0, description="null for no limit, beside max_steps")] = 15.0
    max_steps: Annotated[int | None, Field(ge=1, description="batches to train on")] = None
    batch_size: Annotated[int, Field(ge=2, le=65_536, description="samples in a step, on each GPU")] = 64
    learning_rate: Annotated[float, Field(gt=0, le=1, description="of Adam, at its highest")] = 3e-3
    warmup_steps: Annotated[int, Field(ge=0, description="in which the learning rate rises from nothing")] = 200
    clip: Annotated[float, Field(gt=0, description="largest norm of the gradient")] = 1.0
    ema: Annotated[
        float,
        Field(ge=0, lt=1, description="decay of the moving average of weights that is kept; 0 keeps the last weights"),
    ] = 0.995
    validate_every: Annotated[int, Field(ge=1, description="steps between two validations")] = 250
    patience: Annotated[int, Field(ge=1, description="validations without a better one that end training")] = 12
    validation_fraction: Annotated[
        float, Field(gt=0, lt=0.5, description="of the samples: for choosing the best weights")
    ] = 0.05
    calibration_fraction: Annotated[
        float, Field(gt=0, lt=0.5, description="of the samples: held out to measure what is usual")
    ] = 0.1
    checkpoint_every_s: Annotated[float, Field(gt=0, description="seconds of training that a crash may cost")] = 60.0
    memory_bytes: Annotated[int, Field(ge=1 << 16, description="of samples held at a time")] = 2 << 30
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"],
        Field(description="of an image flow's convolutions; auto is bfloat16 where the hardware multiplies it"),
    ] = "auto"
    device: Annotated[
        str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$", description="to train on; auto is a GPU if there is one")
    ] = "auto"
    seed: Annotated[int, Field(ge=0, lt=1 << 31, description="of everything random")] = 0

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.minutes is None and self.max_steps is None:
            raise ValueError("give minutes or max_steps, or training never ends")
        return self


class CalibrationConfig(Settings):
    """How false alarms are calibrated."""

    samples: Annotated[int, Field(ge=400, le=1_000_000, description="the most held-out samples to use")] = 10_000
    bank_size: Annotated[int, Field(ge=200, le=100_000, description="the most samples kept in the bundle")] = 5_000


class MlflowConfig(Settings):
    """A run in MLflow that tells of the training and keeps the bundle."""

    tracking_uri: Annotated[
        str | None, Field(min_length=1, repr=False, description="of the server; MLFLOW_TRACKING_URI if absent")
    ] = None
    experiment: Annotated[str, Field(min_length=1, description="made if there is none")] = "driftwatch"
    run_name: Annotated[str | None, Field(min_length=1, description="the bundle's name if absent")] = None
    registered_model: Annotated[
        str | None,
        Field(
            min_length=1, pattern=r"^[^/:]+$", description="that the bundle becomes a version of; made if there is none"
        ),
    ] = None


class OutputConfig(Settings):
    """What to write."""

    bundle: Annotated[ConfigLocation | None, Field(description="where to write it, unless --out says so")] = None
    name: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00-\x1f/]+$",
            description="of the reference, in alerts; that of the bundle's folder if absent",
        ),
    ] = None
    mlflow: Annotated[MlflowConfig | None, Field(description="no run is logged if absent")] = None


class TrainConfig(Settings):
    """Everything that ``driftwatch train`` needs to know."""

    elsewhere = dict.fromkeys(("source", "streams", "sinks"), "that is for driftwatch check and run")
    least = "data: {train: [FILE]}"

    data: DataConfig
    sample: Annotated[
        Schema | None,
        Field(description="what one sample is; if absent, found out from the data"),
    ] = None
    flow: FlowConfig = FlowConfig()
    training: TrainingConfig = TrainingConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    windows: Annotated[
        WindowsConfig | None,
        Field(description="as in the daemon's configuration, so that it finds their null in the bundle"),
    ] = None
    output: OutputConfig = OutputConfig()


def load_train_config(path: str | Path) -> TrainConfig:
    """Read the trainer's configuration.

    Raises:
        ConfigError: see `driftwatch.settings.load_yaml_model`.
    """
    return load_yaml_model(path, TrainConfig)
