"""``driftwatch`` in processes of its own, forked from one that has imported the libraries already.

PyTorch and the other libraries take three seconds of a core to import, which is most of what a short command takes, and
a test run has dozens of them. driftwatch itself is imported anew in each, and runs from its ``__main__`` on. Python's
own start is left out, so `test_demo`, `test_train_command` and the chaos run do without this.
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
"""Those that a daemon imports, if that takes a tenth of a second."""

PR_SET_CHILD_SUBREAPER = 36
"""Of Linux's prctl.h."""

READ_AT_THE_START = ("PYTHON", "LD_", "OMP_", "MALLOC_", "GLIBC_")
"""How variables begin that a process which has started already does not heed."""

REQUEST_BYTES = 1 << 20
POLL_S = 0.01


@dataclass
class Forked:
    """A process, with what of `subprocess.Popen` is needed here."""

    args: Sequence[str]
    pid: int
    returncode: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def poll(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        with self._lock:
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
            return self.returncode

    def wait(self, timeout: float) -> int:
        """Likewise, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        pause, deadline = threading.Event(), time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            pause.wait(POLL_S)
        return code

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)


def fork(
    arguments: Sequence[str], output: IO[bytes], *, environment: Mapping[str, str], cwd: Path | None = None
) -> Forked:
    """Starts ``driftwatch``.

    Args:
        arguments: of the command.
        output: of both kinds goes there.
        environment: all of it; what is read at a process's start is to be as it was when the first of all was forked.
        cwd: its working directory; None for this process's own.
    """
    told = {"arguments": arguments, "environment": dict(environment), "cwd": str(cwd or Path.cwd())}
    with _asking:
        forker, heeded = _forker()
        assert _read_at_the_start(environment) == heeded, "this needs a process that starts anew"
        socket.send_fds(forker, [json.dumps(told).encode()], [output.fileno()])
        return Forked(["driftwatch", *arguments], int(forker.recv(REQUEST_BYTES)))


def run(*arguments: str | Path, timeout: float = 600.0) -> str:
    """What ``driftwatch`` writes, of either kind; it has to succeed within so many seconds."""
    with tempfile.TemporaryFile() as output:
        process = fork(list(map(str, arguments)), output, environment=os.environ)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        output.seek(0)
        told = output.read().decode()
    assert code == 0, told
    return told


_asking = threading.Lock()


@functools.cache
def _forker() -> tuple[socket.socket, dict[str, str]]:
    """The way to the process that forks others, which is started where it is first needed and ends with this one.

    Beside it is what it has read of the environment at its start.
    """
    # Whoever is left by the one that forked it becomes this process's child, and can be waited for.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        command = [sys.executable, "-m", "tests.forked", str(its.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[its.fileno()])

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours, _read_at_the_start(os.environ)


def _read_at_the_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_THE_START)}


def _serve(asked: socket.socket) -> list[str] | None:
    """Forks a process for each that is asked for. In that one it gives the command's arguments; None at the end."""
    while True:
        request, fds, *_ = socket.recv_fds(asked, REQUEST_BYTES, 1)
        if not request:
            return None
        own, told = os.pipe()
        between = os.fork()
        if not between:
            forked = os.fork()
            if forked:
                os.write(told, str(forked).encode())
                os._exit(0)
            break
        os.waitpid(between, 0)
        asked.send(os.read(own, REQUEST_BYTES))
        for each in (own, told, *fds):
            os.close(each)
    for standard in (1, 2):
        os.dup2(fds[0], standard)
    for each in (own, told, *fds):
        os.close(each)
    asked.close()
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
    gc.freeze()  # so that no process that is forked goes through it all, and makes a copy of it
    gc.enable()
    assert not any(name.partition(".")[0] == "driftwatch" for name in sys.modules)
    given = _serve(socket.socket(fileno=int(sys.argv[1])))
    if given is not None:
        sys.argv[1:] = given
        runpy.run_module("driftwatch", run_name="__main__", alter_sys=True)
