"""``python -m tests.broker``: a broker to try things out with, until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from tests.broker.broker import start_broker


def main() -> None:
    """Runs a broker until it is told to stop."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with start_broker() as broker:
        sys.stdout.write(f"bootstrap={broker.bootstrap}\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            sys.stdout.write("stopping\n")


if __name__ == "__main__":
    main()
