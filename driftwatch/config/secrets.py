"""Passwords in configurations."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr


def check_sendable(text: str) -> str:
    """Return a text unchanged if it can be a password or a user's name.

    Raises:
        ValueError: it is empty, like an unset variable, or has the line break that secret files end with; brokers and
            servers would only report it as wrong.
    """
    if not text:
        raise ValueError("is empty")
    if text != text.strip("\r\n"):
        raise ValueError("begins or ends with a line break, which would be part of it: remove it")
    return text


def _check_secret(secret: SecretStr) -> SecretStr:
    check_sendable(secret.get_secret_value())
    return secret


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
"""A password, never shown."""

UserName = Annotated[str, AfterValidator(check_sendable)]
"""The user that a password belongs to."""
