"""Which transactions are open, according to the brokers."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort")


def open_transactions(bootstrap: str) -> set[str]:
    """The transactional ids; empty if the brokers do not answer."""
    try:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000)) as admin:
            by_broker = admin.list_transactions(state_filters=OPEN)
    except (KafkaError, OSError):
        return set()
    return {each.transactional_id for listed in by_broker.values() for each in listed}
