"""Which transactions are open, as the brokers tell it."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

OPEN = ("Ongoing", "PrepareCommit", "PrepareAbort")


def open_transactions(bootstrap: str) -> set[str]:
    """Transactional ids; none if the brokers do not say."""
    try:
        with closing(KafkaAdminClient(bootstrap_servers=bootstrap, bootstrap_timeout_ms=2_000)) as admin:
            told = admin.list_transactions(state_filters=OPEN)
    except (KafkaError, OSError):
        return set()
    return {each.transactional_id for listed in told.values() for each in listed}
