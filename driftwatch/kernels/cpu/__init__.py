"""Kernels for CPUs with vector units: LLVM code generated here, and compiled by llvmlite."""
