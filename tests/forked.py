"""Runs ``driftwatch`` in processes that are forked from one that has already imported the libraries.

Importing PyTorch and the other libraries takes three seconds of a core, which is most of the time of a short command,
and a test run has dozens of them. driftwatch itself is imported anew in each process, and runs from its ``__main__``.
Python's own start is skipped, so `test_demo`, `test_train_command` and the chaos run do not use this.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    "torch",
    "scipy.ndimage",
    "scipy.optimize",
    "kafka",
    "pyarrow.parquet",
    "llvmlite.binding",
    "safetensors.torch",
    "pydantic",
    "structlog",
    "rich.progress",
    "httpx",
    "uvicorn",
    "prometheus_client",
    "cloudevents.core.v1.event",
    "PIL.Image",
)
"""The libraries of a daemon that take at least a tenth of a second to import."""

PR_SET_CHILD_SUBREAPER = 36
"""From Linux's prctl.h."""

READ_AT_START = ("PYTHON", "LD_", "OMP_", "MALLOC_", "GLIBC_")
"""Prefixes of variables that are read only when a process starts, and so have no effect on a forked one."""

REQUEST_BYTES = 1 << 20
POLL_S = 0.01


@dataclass
class Forked:
    """A process, with the part of the interface of `subprocess.Popen` that is needed here."""

    args: Sequence[str]
    pid: int
    returncode: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def poll(self) -> int | None:
        """The exit code, or minus the signal that killed it; None while it runs."""
        with self._lock:
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the exit code.

        Raises:
            subprocess.TimeoutExpired: it is still running.
        """
        pause, deadline = threading.Event(), time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            pause.wait(POLL_S)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has exited."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it at once."""
        self.send_signal(signal.SIGKILL)


def fork(
    arguments: Sequence[str], output: IO[bytes], *, environment: Mapping[str, str], cwd: Path | None = None
) -> Forked:
    """Start ``driftwatch``.

    Args:
        arguments: of the command.
        output: receives both standard output and standard error.
        environment: all variables; those that are read at a process's start must not have changed since the first fork.
        cwd: the working directory; None for this process's own.
    """
    request = {"arguments": arguments, "environment": dict(environment), "cwd": str(cwd or Path.cwd())}
    with _one_at_a_time:
        forker, effective = _forker()
        assert _read_at_start(environment) == effective, "these variables need a process that is started, not forked"
        socket.send_fds(forker, [json.dumps(request).encode()], [output.fileno()])
        return Forked(["driftwatch", *arguments], int(forker.recv(REQUEST_BYTES)))


def run(*arguments: str | Path, timeout: float = 600.0) -> str:
    """Run ``driftwatch`` and return its output, standard error included; it must succeed within `timeout` seconds."""
    with tempfile.TemporaryFile() as output:
        process = fork(list(map(str, arguments)), output, environment=os.environ)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        output.seek(0)
        text = output.read().decode()
    assert code == 0, text
    return text


_one_at_a_time = threading.Lock()


@functools.cache
def _forker() -> tuple[socket.socket, dict[str, str]]:
    """The socket to the process that forks others, and the variables that it read at its start.

    It is started when it is first needed, and ends with this process.
    """
    # Orphans of the forking process become children of this one, which can then wait for them.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, "-m", "tests.forked", str(its.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()])

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, _read_at_start(os.environ)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


def _serve(requests: socket.socket) -> list[str] | None:
    """Fork a process for each request; returns the command's arguments in the forked one, and None at the end."""
    while True:
        request, fds, *_ = socket.recv_fds(requests, REQUEST_BYTES, 1)
        if not request:
            return None
        read_end, write_end = os.pipe()
        between = os.fork()
        if not between:
            forked = os.fork()
            if forked:
                os.write(write_end, str(forked).encode())
                os._exit(0)
            break
        os.waitpid(between, 0)
        requests.send(os.read(read_end, REQUEST_BYTES))
        for each in (read_end, write_end, *fds):
            os.close(each)
    for standard in (1, 2):
        os.dup2(fds[0], standard)
    for each in (read_end, write_end, *fds):
        os.close(each)
    requests.close()
    wanted = json.loads(request)
    os.chdir(wanted["cwd"])
    sys.path[0] = wanted["cwd"]
    os.environ.clear()
    os.environ.update(wanted["environment"])
    arguments: list[str] = wanted["arguments"]
    return arguments


if __name__ == "__main__":
    gc.disable()
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # so that no forked process traverses these objects, which would copy their pages
    gc.enable()
    assert not any(name.partition(".")[0] == "driftwatch" for name in sys.modules)
    arguments = _serve(socket.socket(fileno=int(sys.argv[1])))
    if arguments is not None:
        sys.argv[1:] = arguments
        runpy.run_module("driftwatch", run_name="__main__", alter_sys=True)
