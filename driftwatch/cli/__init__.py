"""The ``driftwatch`` command. Importing it is quick: each command imports what it needs when it runs."""

from driftwatch.cli.app import app, main

__all__ = ["app", "main"]
