"""Descriptors of images in one GPU kernel (`describe.cu`)."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from driftwatch.kernels.gpu.compiled import kernel_for

THREADS = 256


@dataclass(frozen=True)
class Measured:
    """Parameters of the descriptors of images.

    Args:
        low: least pixel value.
        high: greatest pixel value.
        noise: unit of energies.
        faintest: energy added before taking logarithms.
        side: of the grid of means.
        intensities: bins of a histogram.
        most_colours: up to so many channels, each has its own histogram.
        orders: most orders of differences.
        levels: most levels of details.
    """

    low: float
    high: float
    noise: float
    faintest: float
    side: int
    intensities: int
    most_colours: int
    orders: int
    levels: int

    def constants(self, channels: int, height: int, width: int) -> dict[str, int]:
        """The constants that `describe.cu` requires."""
        size, counters = channels * height * width, self.kinds(channels) * self.intensities
        doubles = size + (size + 3) // 4 + 1 + self.energies(height, width) + THREADS // 32
        return {
            "CHANNELS": channels,
            "HEIGHT": height,
            "WIDTH": width,
            "SIDE": self.side,
            "KINDS": self.kinds(channels),
            "INTENSITIES": self.intensities,
            "ORDERS": self.orders,
            "LEVELS": self.levels,
            "THREADS": THREADS,
            "SHARED": 8 * doubles + -(-4 * counters // 8) * 8,
        }

    def kinds(self, channels: int) -> int:
        """Number of histograms."""
        return channels if channels <= self.most_colours else 1

    def energies(self, height: int, width: int) -> int:
        """Number of energies: of differences and their absolute values, of details, and of the remaining means."""
        shorter, levels = min(height, width), 0
        while levels < self.levels and shorter >> levels >= 2:
            levels += 1
        return 2 * sum(min(self.orders, side - 1) for side in (height, width)) + 3 * levels + 1


def measured(images: Tensor, what: Measured) -> tuple[Tensor, Tensor, Tensor] | None:
    """Layout, spectrum and intensities of images ``(N, C, H, W)``, ``(N, K)`` each; None without a kernel."""
    channels, height, width = images.shape[1:]
    constants = what.constants(channels, height, width)
    kernel = kernel_for(
        images.device, "describe", threads=THREADS, shared=constants["SHARED"], constants=tuple(constants.items())
    )
    if kernel is None:
        return None
    sizes = (channels * what.side**2, what.energies(height, width), what.kinds(channels) * what.intensities)
    layout, spectrum, intensity = (images.new_empty((len(images), size), dtype=torch.float64) for size in sizes)
    given = images.to(torch.float32).contiguous()
    kernel(len(given), given, layout, spectrum, intensity, *map(float, astuple(what)[:4]))
    return layout, spectrum, intensity
