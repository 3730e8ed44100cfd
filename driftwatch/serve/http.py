"""The HTTP server for metrics, health and status, in its own thread."""

from __future__ import annotations

import errno
import socket
import threading
from pathlib import Path
from typing import Any

import orjson
import uvicorn
import xxhash
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from driftwatch.config import TlsConfig
from driftwatch.errors import SourceError
from driftwatch.serve.certificate import RenewedCertificate
from driftwatch.serve.handshakes import TlsServer
from driftwatch.serve.health import Health
from driftwatch.serve.metrics import Metrics
from driftwatch.serve.protocol import BoundedProtocol
from driftwatch.serve.status import Status

START_S = 10.0
STOP_S = 2.0
KEEP_ALIVE_S = 120
"""Longer than clients keep idle connections (Go: 90 s), or they may post on one that is just being closed."""

STATIC = Path(__file__).with_name("static")
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
"""Sent with every response. Browsers may cache it but must revalidate: an unchanged status then costs nothing."""

COMPRESSED_FROM_BYTES = 1_000


class Listener:
    """Serves an application in its own thread.

    Args:
        host: to listen on.
        port: to listen on; 0 for any that is free.
        app: to serve.
        name: the section of the configuration with these settings.
        tls: the certificate to present; None for plain HTTP.
    """

    def __init__(self, host: str, port: int, app: ASGIApp, *, name: str, tls: TlsConfig | None = None) -> None:
        self._host, self._requested_port = host, port
        self._app = app
        self._name = name
        self._tls = tls
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = port

    @property
    def url(self) -> str:
        """Its address, without a trailing slash."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def start(self) -> None:
        """Listen, and start to serve.

        Raises:
            SourceError: the port is in use, or the host is not an address of this machine.
            ConfigError: the certificate cannot be used.
        """
        certificate = RenewedCertificate(self._tls, self._name) if self._tls is not None else None
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._host, self._requested_port))
        except OSError as error:
            listening.close()
            raise SourceError(
                f"cannot listen on {self._host}:{self._requested_port}: {error.strerror}",
                where=self._name,
                remedy=(
                    f"set {self._name}.port to a free port, or 0 for any"
                    if error.errno in (errno.EADDRINUSE, errno.EACCES)
                    else f"set {self._name}.host to an address of this machine, or 0.0.0.0 for all"
                ),
            ) from None
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http=BoundedProtocol,
            ws="none",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        config.load()
        self._server = TlsServer(config, certificate.context) if certificate is not None else uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listening]}, name="http", daemon=True
        )
        listening.listen()
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(STOP_S)


class HttpServer(Listener):
    """Serves the daemon's metrics, health and status.

    Args:
        host: to listen on.
        port: to listen on; 0 for any that is free.
        metrics: for ``/metrics``.
        health: for ``/healthz`` and ``/readyz``.
        status: for ``/api/status`` and the page.
        intake: handles every POST, if given.
    """

    def __init__(
        self, host: str, port: int, metrics: Metrics, health: Health, status: Status, intake: ASGIApp | None = None
    ) -> None:
        app = _app(metrics, health, status)
        super().__init__(host, port, _with_intake(app, intake) if intake else app, name="server")


def _with_intake(app: ASGIApp, intake: ASGIApp) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        posted = scope["type"] == "http" and scope["method"] == "POST"
        await (intake if posted else app)(scope, receive, send)

    return served


def _app(metrics: Metrics, health: Health, status: Status) -> ASGIApp:
    def show_metrics(request: Request) -> Response:
        body, content_type = metrics.render(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    def checked(ok: bool, report: dict[str, Any]) -> Response:
        return JSONResponse(report, 200 if ok else 503)

    def show_status(request: Request) -> Response:
        content = status.to_json(request.query_params.get("stream"))
        body = orjson.dumps({**content, "health": health.ready()[1]})
        tag = f'W/"{xxhash.xxh3_64_hexdigest(body)}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"etag": tag})
        return Response(body, media_type="application/json", headers={"etag": tag})

    app = Starlette(
        routes=[
            Route("/metrics", show_metrics),
            Route("/healthz", lambda _: checked(*health.alive())),
            Route("/readyz", lambda _: checked(*health.ready())),
            Route("/api/status", show_status),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/", lambda _: FileResponse(STATIC / "index.html")),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=4)],
    )
    return _with_headers(app)


def _with_headers(app: ASGIApp) -> ASGIApp:
    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await app(scope, receive, answer)

    return served
