"""The public Python API, all of which is found in ``driftwatch`` itself: see docs/python.md."""
