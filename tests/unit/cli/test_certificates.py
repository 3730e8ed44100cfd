"""Unusable certificates are reported at the start, with the key and the file: retries would not help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from driftwatch.cli.certificates import require_certificates
from driftwatch.config import DaemonConfig
from driftwatch.errors import ConfigError

KAFKA = {"kind": "kafka", "bootstrap_servers": ["broker:9093"], "topic": "samples"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate issued by it, its key in clear and encrypted, and the key of another certificate."""
    folder, authority = tmp_path_factory.mktemp("certificates"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    own, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(folder / "own.pem")
    own.private_key_pem.write_to_path(folder / "own.key")
    other.private_key_pem.write_to_path(folder / "other.key")
    key = load_pem_private_key(own.private_key_pem.bytes(), None)
    secret = BestAvailableEncryption(b"open sesame")
    (folder / "locked.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    return folder


def config(source: dict[str, Any]) -> DaemonConfig:
    forwards = {} if "forward" in source else {"streams": [{"name": "a", "reference": "a"}]}
    return DaemonConfig.model_validate({"source": source, **forwards})


def in_folder(folder: Path, names: dict[str, str]) -> dict[str, str]:
    return {key: name if key == "ssl_password" else str(folder / name) for key, name in names.items()}


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"ssl_cafile": "ca.pem"},
        {"ssl_cafile": "ca.pem", "ssl_certfile": "own.pem", "ssl_keyfile": "own.key"},
        {"ssl_certfile": "own.pem", "ssl_keyfile": "locked.key", "ssl_password": "open sesame"},
    ],
)
def test_usable_certificates_are_accepted(files: Path, names: dict[str, str]) -> None:
    require_certificates(config({**KAFKA, "security": {"protocol": "SSL", **in_folder(files, names)}}))


@pytest.mark.parametrize(
    ("names", "key", "message"),
    [
        ({"ssl_cafile": "none.pem"}, "ssl_cafile", "none.pem cannot be read: No such file"),
        ({"ssl_cafile": "."}, "ssl_cafile", "cannot be read: Is a directory"),
        ({"ssl_cafile": "own.key"}, "ssl_cafile", "own.key holds no certificates to trust"),
        ({"ssl_certfile": "own.pem", "ssl_keyfile": "none.key"}, "ssl_keyfile", "none.key cannot be read: No such"),
        ({"ssl_certfile": "own.key", "ssl_keyfile": "own.key"}, "ssl_certfile", "are not a certificate and its key"),
        ({"ssl_certfile": "own.pem", "ssl_keyfile": "other.key"}, "ssl_keyfile", "other.key is not the key of"),
        ({"ssl_certfile": "own.pem", "ssl_keyfile": "locked.key"}, "ssl_keyfile", "locked.key is encrypted"),
        (
            {"ssl_certfile": "own.pem", "ssl_keyfile": "locked.key", "ssl_password": "open barley"},
            "ssl_keyfile",
            "the pass phrase does not fit",
        ),
    ],
)
def test_an_unusable_file_is_reported_with_its_key(files: Path, names: dict[str, str], key: str, message: str) -> None:
    security = {"protocol": "SSL", **in_folder(files, names)}
    forward = {"bootstrap_servers": ["broker:9093"], "topic": "samples", "security": security}
    for source, place in (
        ({**KAFKA, "security": security}, "source.security"),
        ({"kind": "http", "forward": forward}, "source.forward.security"),
    ):
        with pytest.raises(ConfigError) as caught:
            require_certificates(config(source))
        assert str(caught.value).startswith(f"{place}.{key}: ")
        assert message in str(caught.value)
        assert "barley" not in str(caught.value)


def test_a_listener_does_not_prompt_for_a_pass_phrase(files: Path) -> None:
    tls = {"certfile": str(files / "own.pem"), "keyfile": str(files / "locked.key")}
    with pytest.raises(ConfigError, match=r"source\.tls\.keyfile: .*locked\.key is encrypted.*openssl pkey"):
        require_certificates(config({"kind": "http", "port": 0, "tls": tls}))


def test_the_authority_of_an_authorization_server_is_checked_too(files: Path) -> None:
    oauth = {"token_url": "https://x/", "client_id": "me", "client_secret": "pw", "ca_file": str(files / "own.key")}
    security = {"protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "oauth": oauth}
    with pytest.raises(ConfigError, match=r"source\.security\.oauth: ca_file: .*own\.key holds no cert"):
        require_certificates(config({**KAFKA, "security": security}))


def test_packages_for_aws_are_required_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = config({**KAFKA, "security": {"protocol": "SASL_SSL", "sasl_mechanism": "AWS_MSK_IAM"}})
    require_certificates(watched)
    monkeypatch.setattr("driftwatch.cli.certificates.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"sasl_mechanism: AWS_MSK_IAM needs botocore .*driftwatch\[aws\]"):
        require_certificates(watched)
