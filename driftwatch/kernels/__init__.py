"""Kernels of our own, compiled where they run."""
