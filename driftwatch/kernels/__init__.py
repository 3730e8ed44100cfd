"""Kernels of our own for NVIDIA's GPUs."""
