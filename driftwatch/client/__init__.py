"""The caller's side: shows a driftwatch sidecar what a model is asked, without holding the model up.

Needs nothing but Python's standard library, so that a model's service takes it in with
``pip install --no-deps driftwatch``: neither torch nor the rest comes with it.
"""

from driftwatch.client.client import Client
from driftwatch.client.stats import Stats

__all__ = ["Client", "Stats"]
