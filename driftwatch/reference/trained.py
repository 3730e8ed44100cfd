"""The outcome of a training, and the callbacks that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from driftwatch.data.schema import Schema
from driftwatch.locations import Location
from driftwatch.reference.detectable import Detectable
from driftwatch.reference.evaluation import Evaluation
from driftwatch.reference.fitness import Unfit
from driftwatch.reference.training import Fitted, StepReport


@dataclass(frozen=True)
class Trained:
    """The outcome of a training.

    Args:
        path: folder or URL of the bundle.
        version: of the bundle.
        schema: of one sample.
        rows: in the data.
        fitted: how training went.
        bits_per_dim: of calibration samples, in full precision.
        evaluations: of the combined detector on built-in shifts.
        detectable: smallest detectable shifts.
        warnings: why the data may be unfit as a reference.
        remarks: on the default windows, if there are too few held-out samples for them.
    """

    path: Location
    version: str
    schema: Schema
    rows: int
    fitted: Fitted
    bits_per_dim: float
    evaluations: Sequence[Evaluation]
    detectable: Sequence[Detectable]
    warnings: Sequence[Unfit]
    remarks: Sequence[str]


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Listener:
    """Callbacks that follow a training.

    Args:
        say: called with a line of text for users.
        on_step: called after each training step.
        doing: called with the current activity beside training steps, and the share of it that is done.
    """

    say: Callable[[str], None] = _ignore
    on_step: Callable[[StepReport], None] = _ignore
    doing: Callable[[str, float], None] = _ignore

    def with_step_callback(self, further: Callable[[StepReport], None]) -> Listener:
        """The same listener, with a further callback after each training step."""

        def on_step(report: StepReport) -> None:
            self.on_step(report)
            further(report)

        return replace(self, on_step=on_step)
