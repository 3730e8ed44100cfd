"""Benchmarks: accuracy on named data, and speed as ratios measured within one run."""
