"""Passwords, as configurations state them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, SecretStr


def check_sendable(text: str) -> str:
    """Passes on what can be part of a password or a user's name.

    Raises:
        ValueError: it is empty, as of a variable that is set to nothing, or has the line break that files of secrets
            end with: brokers and servers would only say that it is wrong.
    """
    if not text:
        raise ValueError("is empty")
    if text != text.strip("\r\n"):
        raise ValueError("begins or ends with a line break, which would be part of it: take it off")
    return text


def _check_secret(secret: SecretStr) -> SecretStr:
    check_sendable(secret.get_secret_value())
    return secret


Secret = Annotated[SecretStr, AfterValidator(_check_secret)]
"""A password, never shown."""

UserName = Annotated[str, AfterValidator(check_sendable)]
"""Who a password is of."""
