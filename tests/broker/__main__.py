"""``python -m tests.broker``: runs a broker for experiments, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.broker.broker import is_free, start_broker

DEFAULT_PORT = 9092


def main() -> None:
    """Run a broker until interrupted."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with start_broker(DEFAULT_PORT if is_free(DEFAULT_PORT) else None) as broker:
        sys.stdout.write(f"Apache Kafka at {broker.bootstrap}; Ctrl-C ends it, and removes its data\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            sys.stdout.write("stopping\n")


if __name__ == "__main__":
    main()
