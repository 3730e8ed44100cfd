"""Apache Kafka for the tests and for trying things out: one node, started from jars that Maven resolves."""

from tests.broker.broker import KafkaBroker, start_broker

__all__ = ["KafkaBroker", "start_broker"]
