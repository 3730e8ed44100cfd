"""Kernels for CPUs with vector units, put together here and compiled by LLVM."""
