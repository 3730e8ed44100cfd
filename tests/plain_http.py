"""HTTP without TLS, to servers on this machine.

httpx reads every certificate that it trusts for each client that it makes, and for each request without a client, also
if there is no TLS: 58 ms of a core, where the request itself takes 3. Tests that wait for a daemon ask it many times.
"""

from __future__ import annotations

import functools
import ssl

import httpx

from tests.patience import PATIENCE_S

UNTRUSTING = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate."""

_OPTIONS = {"verify": UNTRUSTING, "timeout": PATIENCE_S}
get = functools.partial(httpx.get, **_OPTIONS)
post = functools.partial(httpx.post, **_OPTIONS)
put = functools.partial(httpx.put, **_OPTIONS)
Client = functools.partial(httpx.Client, **_OPTIONS)
