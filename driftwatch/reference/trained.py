"""What a training comes to, and whom it tells what it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from driftwatch.data.schema import Schema
from driftwatch.locations import Location
from driftwatch.reference.detectable import Detectable
from driftwatch.reference.evaluation import Evaluation
from driftwatch.reference.fitness import Unfit
from driftwatch.reference.training import Fitted, Told


@dataclass(frozen=True)
class Trained:
    """What a training came to.

    Args:
        path: of the bundle, or its URL.
        version: of the bundle.
        schema: of one sample.
        rows: in the data.
        fitted: how training went.
        bits_per_dim: of calibration samples, in full precision.
        evaluations: of the combined detector on built-in shifts.
        detectable: the smallest shifts that it detects.
        warnings: why it may be unfit.
        remarks: on the usual windows, if there are too few held-out samples for them.
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


def _hear_nothing(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Listener:
    """Whom a training tells what it does.

    Args:
        say: in a line, for people.
        tell: after each training step.
        doing: what goes on beside training, and the share of it that is done.
    """

    say: Callable[[str], None] = _hear_nothing
    tell: Callable[[Told], None] = _hear_nothing
    doing: Callable[[str, float], None] = _hear_nothing

    def beside(self, tell: Callable[[Told], None]) -> Listener:
        """The same, with another who is told after each training step."""

        def tell_both(told: Told) -> None:
            self.tell(told)
            tell(told)

        return replace(self, tell=tell_both)
