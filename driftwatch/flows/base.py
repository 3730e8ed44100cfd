"""The interface of every flow: an exact diffeomorphism whose latent consists of blocks of sub-vectors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

import torch
from torch import Tensor, nn

LOG_2PI = math.log(2 * math.pi)

Noise = Literal["random", "content"]


@dataclass(frozen=True)
class BlockSpec:
    """One block of the latent, cut into sub-vectors (METHOD.md, "Symbols").

    Args:
        name: what the block describes, as shown to users in alerts.
        vectors: ``P``, how many sub-vectors one sample contributes.
        dim: ``l``, the number of dimensions of each.
    """

    name: str
    vectors: int
    dim: int


class Flow(nn.Module, ABC):
    """A diffeomorphism ``z = f(x)`` with a tractable log-determinant."""

    blocks: tuple[BlockSpec, ...]
    batch_invariant = False
    """Whether a sample's latent is the same to the bit in batches of any size."""

    @property
    def dim(self) -> int:
        """The number of latent dimensions ``d``."""
        return sum(block.vectors * block.dim for block in self.blocks)

    @abstractmethod
    def architecture(self) -> dict[str, Any]:
        """The JSON-able arguments from which `build_flow` makes an untrained copy."""

    @abstractmethod
    def prepare(self, raw: Tensor, *, generator: torch.Generator | None = None, noise: Noise = "random") -> Tensor:
        """Turn raw samples into the input of `forward`: pad images and dequantize integers.

        Args:
            raw: samples in their own units, ``(N, *sample_shape)``.
            generator: of the random noise; torch's default generator if None.
            noise: ``"random"`` draws fresh noise (training); ``"content"`` derives it from each sample's own
                values, so that a sample has one score wherever and whenever it is scored.
        """

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Map samples to latents.

        Args:
            x: prepared samples, ``(N, ...)``.

        Returns:
            The latents, one ``(N, P_s, l_s)`` tensor for each block, and ``log |det df/dx|`` in nats, ``(N,)``.
        """

    @abstractmethod
    def inverse(self, latents: tuple[Tensor, ...]) -> Tensor:
        """Map latents back to prepared samples; the exact inverse of `forward`."""

    @abstractmethod
    def initialise(self, x: Tensor) -> None:
        """Set data-dependent parameters from one batch of prepared samples."""

    def log_prob(self, x: Tensor) -> Tensor:
        """The log-density of prepared samples under the flow, in nats, ``(N,)``."""
        latents, log_det = self.forward(x)
        return standard_normal_log_prob(latents) + log_det

    def bits_per_dim(self, x: Tensor) -> Tensor:
        """The negative log-likelihood in bits per dimension, ``(N,)``."""
        return -self.log_prob(x) / (self.dim * math.log(2))


def device_of(flow: Flow) -> torch.device:
    """The device that a flow is on."""
    return next(chain(flow.parameters(), flow.buffers())).device


def standard_normal_log_prob(latents: tuple[Tensor, ...]) -> Tensor:
    """The log-density of latents under ``N(0, I)``, in nats, ``(N,)``.

    >>> standard_normal_log_prob((torch.zeros(1, 1, 2),)).item()  # -log(2 pi)
    -1.8378770351409912
    """
    total = torch.zeros(latents[0].shape[0], dtype=latents[0].dtype, device=latents[0].device)
    for z in latents:
        if z.is_cuda:  # one pass over memory instead of three
            flat = z.flatten(1)
            total = total - 0.5 * (torch.linalg.vector_norm(flat, dim=1).square() + flat.shape[1] * LOG_2PI)
        else:
            total = total - 0.5 * (z.square() + LOG_2PI).flatten(1).sum(1)
    return total


def content_noise(x: Tensor) -> Tensor:
    """Uniform noise in ``[0, 1)`` that depends only on each row's own values.

    A score must depend neither on the batch in which a sample arrives nor on how often it is read again after a crash,
    so dequantization noise at scoring time is a hash of the sample.

    Args:
        x: rows of finite values, ``(N, D)``.

    Returns:
        Noise with the shape and type of `x`.

    >>> x = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])
    >>> u = content_noise(x)
    >>> bool((u[0] == u[1]).all()), bool((u[0] == u[2]).any())
    (True, False)
    """
    bits: Any = x.to(torch.float32).view(torch.int32).to(torch.int64)
    index: Any = torch.arange(1, x.shape[1] + 1, device=x.device, dtype=torch.int64)
    if not x.is_cuda:  # NumPy's integer arithmetic is twice as fast on a CPU
        bits, index = bits.numpy(), index.numpy()
    key = _mix(bits * 0x9E3779B1 + index * 0x85EBCA77).sum(1, keepdims=True)
    mixed = torch.as_tensor(_mix(_mix(key) + index * 0x9E3779B97F4A7C1) & 0xFFFFFF)
    return (mixed.to(torch.float64) / float(1 << 24)).to(x.dtype)


def _mix(v: Any) -> Any:
    """A 64-bit finaliser in wrapping integer arithmetic (constants as in the splitmix64 generator)."""
    for shift, below, factor in ((30, 0x3FFFFFFFF, -0x40A7B892E31B1A47), (27, 0x1FFFFFFFFF, -0x6B2FB644ECCEEE15)):
        w = v >> shift
        w &= below
        w ^= v
        w *= factor
        v = w
    return v ^ ((v >> 31) & 0x1FFFFFFFF)
