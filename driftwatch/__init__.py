"""driftwatch: a streaming monitor that tells when a deployed model's inputs have drifted."""

__version__ = "0.1.0"
