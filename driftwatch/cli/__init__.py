"""The ``driftwatch`` command. Importing it is fast: each command imports what it needs when it runs."""

import signal
import sys

from driftwatch.cpus import limit_threads

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:2] == ["run"]:
        # SIGHUP asks a daemon to reload. Until a handler is installed it must stay pending, not end the process.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    limit_threads()
    try:
        from driftwatch.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        # Services that only use driftwatch.client install it without dependencies: docs/client.md.
        sys.stderr.write(
            f"driftwatch: error: {error.name} is not installed, and without it only driftwatch.client can be used "
            "(install driftwatch with its dependencies, without --no-deps)\n"
        )
        sys.exit(2)
    run()
