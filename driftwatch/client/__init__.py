"""The caller's side: sends a driftwatch sidecar what a model is asked, without delaying the model.

Needs only Python's standard library, so that a model's service can install it by
``pip install --no-deps driftwatch``, without torch and the rest.
"""

from driftwatch.client.client import Client
from driftwatch.client.stats import Stats

__all__ = ["Client", "Stats"]
