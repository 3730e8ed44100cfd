"""Checks that panes hold exactly what their recorded shares say of the log that they were cut from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from driftwatch.stream.log import Record
from driftwatch.stream.panes import Pane
from driftwatch.stream.sampling import in_share, watched


def check_shares(
    panes: Sequence[Pane], log: Sequence[Record], rows: Callable[[Record], int], step: int, fraction: float = 1.0
) -> None:
    """Assert that the panes of one stream in one partition hold exactly the samples of its messages.

    Args:
        panes: in order.
        log: the stream's messages in the partition.
        rows: the number of samples in a message.
        step: samples in a pane.
        fraction: of all samples to watch.
    """
    at = (0, 0)
    for pane, later in zip(panes, [*(pane.share.since for pane in panes[1:]), None], strict=True):
        due = [
            (record.offset, int(row))
            for record in log
            if in_share(record, pane.share)
            for row in watched(record, rows(record), fraction)
            if (record.offset, row) >= max(at, (pane.share.since, 0))
        ]
        assert (due[0], due[pane.n - 1]) == (pane.first, pane.last)
        at = (pane.last[0], pane.last[1] + 1)
        changes = later is not None and later > pane.share.since
        assert pane.n == step or changes or later is None, "short panes end where a share ends"
        assert not changes or pane.last[0] < later
