"""S3 over HTTP on this machine: a real server that keeps its objects in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "drift"


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """A running server with an empty bucket; yields the environment in which clients find it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "whatever",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        with pytest.MonkeyPatch.context() as patch:
            enter(patch, environment)
            import s3fs

            s3fs.S3FileSystem().mkdir(BUCKET)
        yield environment
    finally:
        server.stop()


def enter(patch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    """Make this process's clients use an environment, and forget any other."""
    import s3fs

    for name, value in environment.items():
        patch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
