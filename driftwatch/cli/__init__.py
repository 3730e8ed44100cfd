"""The ``driftwatch`` command. Importing it is quick: each command imports what it needs when it runs."""

import signal
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:2] == ["run"]:
        # It asks a daemon to look again, however early it comes: until somebody listens it waits, and ends nothing.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        from driftwatch.cli.app import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        # As services have it that only show a sidecar what they are asked: docs/client.md.
        sys.stderr.write(
            f"driftwatch: error: {error.name} is not installed, and without it there is driftwatch.client alone "
            "(install driftwatch with what it needs, without --no-deps)\n"
        )
        sys.exit(2)
    run()
