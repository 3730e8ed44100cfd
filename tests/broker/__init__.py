"""Apache Kafka for the tests and for experiments: one node or three, started from jars that Maven resolves."""

from tests.broker.broker import KafkaBroker, start_broker
from tests.broker.nodes import start_nodes

__all__ = ["KafkaBroker", "start_broker", "start_nodes"]
