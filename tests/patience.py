"""How long tests wait for what should happen soon."""

PATIENCE_S = 300.0
"""So long that only what never happens fails: on a loaded machine, tests took five times as long as alone."""
