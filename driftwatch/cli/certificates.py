"""Checks of certificates and keys before a daemon starts."""

from __future__ import annotations

import ssl
from importlib.util import find_spec

from driftwatch.config import DaemonConfig, HttpSource, KafkaSource, SecurityConfig
from driftwatch.config.certificates import own_certificate, trust
from driftwatch.config.http import tls_context
from driftwatch.errors import ConfigError


def require_certificates(config: DaemonConfig) -> None:
    """Refuse certificates that Kafka clients, or senders of samples, could not use: no retry would help.

    Raises:
        ConfigError: a certificate or key is missing or unusable.
    """
    source = config.source
    if isinstance(source, KafkaSource):
        _of_brokers(source.security, "source.security")
    if isinstance(source, HttpSource):
        if source.forward is not None:
            _of_brokers(source.forward.security, "source.forward.security")
        if source.tls is not None:
            own_certificate(
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
                source.tls.certfile,
                source.tls.keyfile,
                where=("source.tls.certfile", "source.tls.keyfile"),
            )


def _of_brokers(security: SecurityConfig, where: str) -> None:
    if security.sasl_mechanism == "AWS_MSK_IAM" and find_spec("botocore") is None:
        remedy = "pip install 'driftwatch[aws]'"
        raise ConfigError("AWS_MSK_IAM needs botocore", where=f"{where}.sasl_mechanism", remedy=remedy)
    if security.oauth is not None:
        tls_context(security.oauth.ca_file, f"{where}.oauth")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if security.ssl_cafile is not None:
        trust(context, security.ssl_cafile, f"{where}.ssl_cafile")
    if security.ssl_certfile is not None and security.ssl_keyfile is not None:
        own_certificate(
            context,
            security.ssl_certfile,
            security.ssl_keyfile,
            where=(f"{where}.ssl_certfile", f"{where}.ssl_keyfile"),
            password=security.ssl_password.get_secret_value() if security.ssl_password else None,
        )
