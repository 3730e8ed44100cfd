"""Why a role has lost its source: a reason for metrics, and words for people."""

from __future__ import annotations

from kafka.errors import (
    AuthorizationError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    InvalidProducerEpochError,
    KafkaTimeoutError,
    LogTruncationError,
    OffsetOutOfRangeError,
    ProducerFencedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
)

from driftwatch.errors import RegistryError
from driftwatch.stream.attempts import last_failure
from driftwatch.stream.events import LossReason


class Unready(Exception):  # noqa: N818 - a state, waited out
    """Something in the cluster is not ready yet; the role tries again."""


RIGHTS: dict[type[AuthorizationError], str] = {
    TopicAuthorizationFailedError: "a topic",
    GroupAuthorizationFailedError: "the consumer group",
    TransactionalIdAuthorizationFailedError: "the transactional id",
    ClusterAuthorizationFailedError: "the cluster",
}
"""What the broker may deny a role access to."""


FENCED = (ProducerFencedError, InvalidProducerEpochError)
"""Why the broker refuses a producer; its later requests fail with an error that holds the first one."""


def reason_of(error: Exception) -> LossReason:
    """The reason under which a loss is counted."""
    match error:
        case AuthorizationError():
            return "authorization"
        case RegistryError():
            return "registry"
        case OffsetOutOfRangeError() | LogTruncationError():
            return "gone"
        case Unready() | UnknownTopicOrPartitionError() | UnknownTopicIdError():
            return "topic"
    return "unreachable"


def words_of(error: Exception) -> str:
    """A loss in one line, for people."""
    if isinstance(error, AuthorizationError):
        denied = next((what for kind, what in RIGHTS.items() if isinstance(error, kind)), "something")
        named = ", ".join(map(str, error.args[0])) if error.args and isinstance(error.args[0], set | list) else ""
        return f"the broker denies access to {denied}{f' ({named})' if named else ''}: docs/operating.md lists the ACLs"
    if any(isinstance(each, FENCED) for each in (error, *error.args)):
        return (
            "the broker has given up this daemon's transaction: it took too long, or another daemon has the same "
            "source.instance"
        )
    words = " ".join((str(error) or type(error).__name__).split())
    if isinstance(error, KafkaTimeoutError) and (why := last_failure()):
        return f"{words}; the last attempt to connect: {why}"
    return words
