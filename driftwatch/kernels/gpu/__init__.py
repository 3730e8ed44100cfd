"""Kernels for NVIDIA's GPUs, in CUDA C++."""
