"""Actnorm and an invertible linear map of the channels in one step, so that couplings reach all dimensions.

Reference:
    Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions" (arXiv 1807.03039), section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from driftwatch.flows.linear import linear


class InvertibleMix(nn.Module):
    """``y = W diag(exp s) (x + b)`` on the last axis of ``(N, ..., C)``, with ``W = P L U``."""

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64))[0]
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        dtype = torch.get_default_dtype()
        self.register_buffer("permutation", permutation.to(dtype))
        self.register_buffer("sign", diagonal.sign().to(dtype))
        self.log_diagonal = nn.Parameter(diagonal.abs().log().to(dtype))
        self.lower = nn.Parameter(lower.tril(-1).to(dtype))
        self.upper = nn.Parameter(upper.triu(1).to(dtype))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the channels of ``(N, ..., C)``; the log-determinant is one scalar, the same for all samples."""
        positions = math.prod(x.shape[1:-1])
        log_det = positions * self.log_det_per_position()
        if len(x) * positions < x.shape[-1]:  # with fewer rows than channels, three thin products cost less than W
            y = linear((x + self.bias) * self.log_scale.exp(), self._upper())
            return linear(linear(y, self._lower()), self.permutation), log_det
        return linear(x, *self.affine()), log_det

    def affine(self) -> tuple[Tensor, Tensor]:
        """Matrix ``(C, C)`` and shift ``(C,)`` of the whole map."""
        weight = self.permutation @ self._lower() @ self._upper() * self.log_scale.exp()
        return weight, weight @ self.bias

    def log_det_per_position(self) -> Tensor:
        """``log |det|`` of the map of one position's channels, nats."""
        return self.log_diagonal.sum() + self.log_scale.sum()

    def inverse(self, y: Tensor) -> Tensor:
        """The inverse of `forward`."""
        columns: Tensor = self.permutation.T @ y.reshape(-1, y.shape[-1]).T
        columns = torch.linalg.solve_triangular(self._lower(), columns, upper=False, unitriangular=True)
        columns = torch.linalg.solve_triangular(self._upper(), columns, upper=True)
        return columns.T.view_as(y) * (-self.log_scale).exp() - self.bias

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Set the actnorm so that each channel of `x` has mean 0 and variance 1 before mixing."""
        rows = x.reshape(-1, x.shape[-1])
        self.bias.copy_(-rows.mean(0))
        self.log_scale.copy_(-(rows.std(0) + 1e-6).log())

    @torch.no_grad()
    def set_matrix(self, matrix: Tensor) -> None:
        """Set ``W`` to an invertible ``(C, C)`` matrix."""
        permutation, lower, upper = torch.linalg.lu(matrix)
        diagonal = upper.diagonal()
        self.permutation.copy_(permutation)
        self.sign.copy_(diagonal.sign())
        self.log_diagonal.copy_(diagonal.abs().log())
        self.lower.copy_(lower.tril(-1))
        self.upper.copy_(upper.triu(1))

    def _lower(self) -> Tensor:
        return self.lower.tril(-1) + torch.eye(len(self.lower), dtype=self.lower.dtype, device=self.lower.device)

    def _upper(self) -> Tensor:
        return self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
