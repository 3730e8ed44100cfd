"""The errors that a user can meet: what happened, where, and the remedy, in one line."""

from __future__ import annotations

from typing import Literal

DeadLetterReason = Literal[
    "malformed",
    "schema",
    "shape",
    "non_finite",
    "unknown_stream",
    "unknown_reference",
    "unknown_schema",
    "too_large",
    "refused",
    "unsupported_format",
    "empty",
]


class DriftwatchError(Exception):
    """Base of all errors that driftwatch raises on purpose.

    Args:
        what: what is wrong, with the offending value.
        where: the file, option, topic or field in which it was found.
        remedy: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.remedy:
            text = f"{text} ({self.remedy})"
        return " ".join(text.split())


class UsageError(DriftwatchError):
    """A command was called in a way that it does not support."""

    exit_code = 2


class ConfigError(DriftwatchError):
    """A configuration file cannot be used."""

    exit_code = 2


class DataError(DriftwatchError):
    """A data set cannot be read or written, or does not fit the reference."""


class BundleError(DriftwatchError):
    """A reference bundle is missing, damaged, or has another format version."""


class TrainingError(DriftwatchError):
    """A reference cannot be fitted to the given data."""


class SourceError(DriftwatchError):
    """The source of the stream cannot be reached or read."""


class RegistryError(SourceError):
    """The schema registry gives no usable answer; messages that need one are read again once it does."""


class SinkError(DriftwatchError):
    """An alert cannot be delivered."""


class MessageError(DriftwatchError):
    """One message of a stream cannot be used; it goes to the dead-letter topic.

    Args:
        what: what is wrong, with the offending value.
        reason: the bounded label under which it is counted.
        where: the field or position in the message.
        remedy: what its sender can do about it.
        row: the row at fault, if it is one; `what` then begins with ``row N`` or ``sample N``.
    """

    def __init__(
        self, what: str, *, reason: DeadLetterReason, where: str = "", remedy: str = "", row: int | None = None
    ) -> None:
        self.reason: DeadLetterReason = reason
        self.row = row
        super().__init__(what, where=where, remedy=remedy)
