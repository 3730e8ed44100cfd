"""Why a role has lost its source, in a word for metrics and in words for people."""

from __future__ import annotations

from kafka.errors import (
    AuthorizationError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaTimeoutError,
    LogTruncationError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailedError,
    UnknownTopicIdError,
    UnknownTopicOrPartitionError,
)

from driftwatch.errors import RegistryError
from driftwatch.stream.attempts import last_failure
from driftwatch.stream.events import LossReason


class Unready(Exception):  # noqa: N818 - a state, waited out
    """Something in the cluster is not there yet; the role tries again."""


RIGHTS: dict[type[AuthorizationError], str] = {
    TopicAuthorizationFailedError: "a topic",
    GroupAuthorizationFailedError: "the consumer group",
    TransactionalIdAuthorizationFailedError: "the transactional id",
    ClusterAuthorizationFailedError: "the cluster",
}
"""What the broker may deny a role."""


def reason_of(error: Exception) -> LossReason:
    """Under which name a loss is counted."""
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
    """A loss as it is told, in one line."""
    if isinstance(error, AuthorizationError):
        denied = next((what for kind, what in RIGHTS.items() if isinstance(error, kind)), "something")
        named = ", ".join(map(str, error.args[0])) if error.args and isinstance(error.args[0], set | list) else ""
        return f"the broker denies {denied}{f' ({named})' if named else ''}: docs/operating.md lists the ACLs needed"
    told = " ".join((str(error) or type(error).__name__).split())
    if isinstance(error, KafkaTimeoutError) and (why := last_failure()):
        return f"{told}; the last attempt to connect: {why}"
    return told
