"""All steps of one scale of an image flow as one kernel, for scoring on a GPU (`scale.cu`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.gpu.compiled import Kernel, architecture_of, compile_for, source_of
from driftwatch.kernels.steps import StepWeights, constant_log_det, steps_of

SOURCES = ("instructions.cu", "scale.cu")
HIDDEN, TAPS = 64, 9
ROWS = (256, 128)
"""Pixels that a block of threads may hold, best first."""

FEW_CHANNELS = 4
"""Up to so many, a warp best multiplies four tiles: benchmarks/NOTES.md. With more of them registers run out."""

NEEDED = {2: 128, 4: 168}
"""Registers of a thread, by its warp's tiles, with which it need not put them aside in memory."""

REGISTERS = 65_536
"""Of a multiprocessor, of every GPU since 2012."""

RESERVED = 1_024
"""Bytes of a multiprocessor's memory that each block takes beside what it asks for."""


@dataclass(frozen=True)
class ScaleShape:
    """What a scale's kernel is compiled for.

    Args:
        height: of the squeezed image.
        width: likewise.
        channels: likewise, a multiple of four.
        steps: of the flow.
        split: whether half of the channels leave after them.
        rows: pixels that a block of threads holds, whole samples.
        tiles: of 16 pixels that a warp multiplies: the more, the less often weights are read from shared memory.
    """

    height: int
    width: int
    channels: int
    steps: int
    split: bool
    rows: int
    tiles: int

    @property
    def half(self) -> int:
        """Channels that condition, and those that are moved."""
        return self.channels // 2

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.rows // (16 * self.tiles) * 32

    @property
    def samples(self) -> int:
        """Held by a block."""
        return self.rows // (self.height * self.width)

    @property
    def depth(self) -> int:
        """Of the first convolution: factors of one output, filled up to whole tiles."""
        return -(-TAPS * self.half // 16) * 16

    @property
    def chunk(self) -> int:
        """Outputs of the last convolution that are computed at once."""
        return 8 if self.channels % 8 == 0 else 4

    @property
    def given(self) -> int:
        """What a pixel gives to its neighbours of a chunk, filled up to whole tiles."""
        return -(-TAPS * self.chunk // 8) * 8

    @property
    def words(self) -> int:
        """Of one step's weights, 4 bytes each."""
        chunks = self.channels // self.chunk
        plain = self.channels * (self.channels + 2) + 2 * HIDDEN
        return plain + HIDDEN * (self.depth + HIDDEN + chunks * self.given) // 2

    @property
    def shared(self) -> int:
        """Bytes that a block shares: what is given, channels, conditioning channels and weights."""
        return 4 * (self.rows * (self.given + 4 + self.channels + self.half // 2) + self.words)

    def blocks(self, memory: int) -> int:
        """How many a multiprocessor is to hold that has so many bytes to share."""
        return max(1, min(memory // (self.shared + RESERVED), REGISTERS // (NEEDED[self.tiles] * self.threads)))

    def constants(self, memory: int) -> dict[str, int]:
        """That `scale.cu` leaves open, for a multiprocessor with so many bytes to share."""
        return {
            "HEIGHT": self.height,
            "WIDTH": self.width,
            "CHANNELS": self.channels,
            "STEPS": self.steps,
            "SPLIT": int(self.split),
            "ROWS": self.rows,
            "TILES": self.tiles,
            "BLOCKS": self.blocks(memory),
            "SHARED": self.shared,
        }


def shape_of(flow: ImageFlow, scale: int, shared: int) -> ScaleShape | None:
    """The shape of a scale's kernel where a block may share so many bytes; None if there is no kernel for it."""
    height, width = (side >> scale + 1 for side in flow.padded)
    channels = flow.image_shape[0] * 2 ** (scale + 2)
    if flow.hidden != HIDDEN:
        return None
    tiles = 4 if channels <= FEW_CHANNELS else 2
    for rows in ROWS:
        shape = ScaleShape(height, width, channels, flow.steps, scale < flow.scales - 1, rows, tiles)
        if height * width <= rows and shape.shared <= shared:
            return shape
    return None


class ScaleKernel:
    """One scale on a GPU.

    Args:
        shape: of its kernel.
        binary: compiled for that shape and this GPU.
        weights: of each step and the split, as `packed` gives them, ``(steps, words)``, on the GPU.
        log_det: of all 1x1 convolutions, for one sample.
    """

    def __init__(self, shape: ScaleShape, binary: bytes, weights: Tensor, log_det: float) -> None:
        self.shape, self.log_det = shape, log_det
        self._weights = weights
        self._kernel = Kernel("scale", binary, threads=shape.threads, shared=shape.shared, device=weights.device)

    def __call__(self, x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `driftwatch.flows.image.Scale`."""
        shape, count = self.shape, len(x)
        grid = (count, shape.height, shape.width)
        leaving = x.new_empty((*grid, shape.half if shape.split else shape.channels))
        staying = x.new_empty((*grid, shape.half) if shape.split else (*grid, 0))
        log_det = log_det + self.log_det
        blocks = -(-count // shape.samples)
        self._kernel(blocks, x.contiguous(), self._weights, leaving, staying, log_det, count)
        return leaving, staying, log_det


def kernels_of(flow: ImageFlow, device: torch.device) -> dict[int, ScaleKernel]:
    """The kernels of a folded flow's scales. Of more pixels than a block of threads can hold there is none."""
    gpu = torch.cuda.get_device_properties(device)
    found = [(scale, shape_of(flow, scale, gpu.shared_memory_per_block_optin)) for scale in range(flow.scales)]
    shapes = {scale: shape for scale, shape in found if shape}
    constants = [tuple(shape.constants(gpu.shared_memory_per_multiprocessor).items()) for shape in shapes.values()]
    with ThreadPoolExecutor() as pool:  # a second each
        binaries = pool.map(partial(binary_of, architecture_of(device)), constants)
    return {
        scale: ScaleKernel(shape, binary, step_weights(flow, scale, shape), constant_log_det(flow, scale))
        for (scale, shape), binary in zip(shapes.items(), binaries, strict=True)
    }


@lru_cache(maxsize=64)
def binary_of(architecture: str, constants: tuple[tuple[str, int], ...]) -> bytes:
    """The kernel for an architecture; references of one shape share it."""
    return compile_for(architecture, source_of(SOURCES), dict(constants))


def step_weights(flow: ImageFlow, scale: int, shape: ScaleShape) -> Tensor:
    """The weights of each step of a folded flow's scale and of its split, ``(steps, words)``."""
    return torch.stack([packed(shape, step) for step in steps_of(flow, scale)]).contiguous()


def packed(shape: ScaleShape, step: StepWeights) -> Tensor:
    """A step's weights as the kernel reads them, ``(words,)`` float32; factors of products are pairs of float16."""
    first, middle, last = step.convolutions
    matrix, shift = step.mix or (first.new_zeros(shape.channels, shape.channels), first.new_zeros(shape.channels))
    half, chunk = shape.half, shape.chunk
    # Of each chunk the shifts first, then the log-scales that go with them.
    order = torch.arange(shape.channels).view(2, -1, chunk // 2).transpose(0, 1).flatten().to(last.device)
    gathering = first.new_zeros(shape.depth, HIDDEN)
    gathering[: TAPS * half] = first.permute(2, 3, 1, 0).reshape(TAPS * half, HIDDEN)
    giving = last.new_zeros(HIDDEN, shape.channels // chunk, shape.given)
    taps = last[order].view(-1, chunk, HIDDEN, TAPS).permute(2, 0, 3, 1)
    giving[:, :, : TAPS * chunk] = taps.reshape(HIDDEN, -1, TAPS * chunk)
    return torch.cat(
        [
            matrix.flatten(),
            shift,
            step.biases[0],
            step.biases[1],
            step.biases[2][order],
            _tiles(gathering, deep=1).flatten(),
            _tiles(middle[:, :, 0, 0].T, deep=2).permute(2, 0, 3, 1, 4).flatten(),
            _tiles(giving.flatten(1), deep=2).permute(2, 0, 3, 1, 4).flatten(),
        ]
    ).contiguous()


def _tiles(factors: Tensor, *, deep: int) -> Tensor:
    """Factors ``(K, N)`` in tiles of 16x8 as a warp's lanes hold them, pairs of float16 in one float32.

    Returns:
        ``(K / 16 / deep, deep, N / 8, lanes, 2)``.
    """
    k, n = factors.shape
    halves = factors.half().view(k // 16 // deep, deep, 2, 4, 2, n // 8, 8)
    lanes = halves.permute(0, 1, 5, 6, 3, 2, 4).contiguous()
    return lanes.view(torch.float32).reshape(k // 16 // deep, deep, n // 8, 32, 2)
