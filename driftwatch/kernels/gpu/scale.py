"""GPU kernels for image flows: all steps of one scale in one kernel (`scale.cu`)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from driftwatch.flows.image import ImageFlow
from driftwatch.kernels.gpu.compiled import HOPPER, Constants, Kernel, architecture_of, binary_of, kernel_for
from driftwatch.kernels.steps import StepWeights, constant_log_det, steps_of

BY_WARPS = ("warp_instructions.cu", "pixels.cu", "warps.cu")
BY_GROUPS = ("warp_instructions.cu", "group_instructions.cu", "pixels.cu", "groups.cu")
HIDDEN, TAPS = 64, 9
ROWS = (256, 128)
"""Pixels per block of threads, best first, for samples with no more pixels than that."""

MANY_ROWS = (512, 1_024)
"""Pixels per block for larger samples."""

FEW_CHANNELS = 4
"""Up to so many channels, four tiles per warp are fastest (benchmarks/NOTES.md); with more, registers run out."""

WARPS = 8
"""Most warps per block."""

GROUP_WARPS, GROUP_ROWS = 4, 64
"""Warps of a Hopper warp group, and the pixels that it multiplies at once."""

NEEDED = {1: 96, 2: 128, 4: 168}
"""Registers per thread, by tiles per warp, that avoid spilling to memory."""

REGISTERS = 65_536
"""Registers per multiprocessor, on every GPU since 2012."""

RESERVED = 1_024
"""Bytes of shared memory that each block takes in addition to what it requests."""


@dataclass(frozen=True)
class ScaleShape:
    """Parameters that a scale's kernel is compiled for.

    Args:
        height: of the squeezed image.
        width: of the squeezed image.
        channels: of the squeezed image, a multiple of four.
        steps: of the flow.
        split: whether half of the channels leave after the steps.
        patch: side of the patches that are the sub-vectors of what leaves.
        rows: pixels per block of threads, which holds whole samples.
        tiles: of 16 pixels that a warp multiplies at once; with more, it reads weights less often.
        passes: in which a warp multiplies all its pixels.
        by_groups: whether warps multiply in Hopper's groups of four, or each by itself.
    """

    height: int
    width: int
    channels: int
    steps: int
    split: bool
    patch: int
    rows: int
    tiles: int
    passes: int
    by_groups: bool

    @property
    def half(self) -> int:
        """Number of conditioning channels, and of transformed ones."""
        return self.channels // 2

    @property
    def left(self) -> int:
        """Number of channels that leave after the scale."""
        return self.half if self.split else self.channels

    @property
    def threads(self) -> int:
        """Threads per block."""
        return self.rows // (16 * self.tiles * self.passes) * 32

    @property
    def pixels(self) -> int:
        """Pixels per sample."""
        return self.height * self.width

    @property
    def group(self) -> int:
        """Number of threads that hold whole samples."""
        own = GROUP_WARPS * 32
        return own if self.by_groups and self.pixels <= self.rows * own // self.threads else self.threads

    @property
    def samples(self) -> int:
        """Samples per block."""
        groups = self.threads // self.group
        return groups * (self.rows // groups // self.pixels)

    @property
    def depth(self) -> int:
        """Depth of the first convolution's product: factors of one output and two for its bias, in whole tiles."""
        return -(-(TAPS * self.half + 2) // 16) * 16

    @property
    def chunk(self) -> int:
        """Outputs of the last convolution that are computed at once."""
        return 8 if self.channels % 8 == 0 else 4

    @property
    def given(self) -> int:
        """Contributions of a pixel to its neighbours in one chunk, in whole tiles."""
        return -(-TAPS * self.chunk // 8) * 8

    @property
    def words(self) -> int:
        """Size of one step's weights, in 4-byte words."""
        chunks = self.channels // self.chunk
        plain = self.channels * (self.channels + 2) + HIDDEN
        return plain + HIDDEN * (self.depth + HIDDEN + chunks * self.given) // 2

    @property
    def shared(self) -> int:
        """Bytes of shared memory per block: contributions, channels, conditioning channels and weights."""
        plane = self.rows * self.chunk // 2 + (16 if self.chunk == 4 else 0)
        cells = self.samples * (self.height + 2) * (self.width + 2)
        kept = -(-(cells * self.half // 2) // 4) * 4
        return 4 * (self.words + self.rows * self.channels + TAPS * plane + kept)

    def blocks(self, memory: int) -> int:
        """Blocks that a multiprocessor with `memory` bytes of shared memory should hold."""
        return max(1, min(memory // (self.shared + RESERVED), REGISTERS // (NEEDED[self.tiles] * self.threads)))

    def constants(self, memory: int) -> Constants:
        """The constants that `scale.cu` requires, for a multiprocessor with `memory` bytes of shared memory."""
        return (
            ("HEIGHT", self.height),
            ("WIDTH", self.width),
            ("CHANNELS", self.channels),
            ("STEPS", self.steps),
            ("SPLIT", int(self.split)),
            ("PATCH", self.patch),
            ("ROWS", self.rows),
            ("TILES", self.tiles),
            ("PASSES", self.passes),
            ("GROUP", self.group),
            ("BLOCKS", self.blocks(memory)),
            ("SHARED", self.shared),
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """Sources to include before `scale.cu`."""
        return BY_GROUPS if self.by_groups else BY_WARPS


def shape_of(flow: ImageFlow, scale: int, shared: int, *, by_groups: bool = False) -> ScaleShape | None:
    """The shape of a scale's kernel, given the bytes of shared memory per block; None if no kernel fits."""
    height, width = (side >> scale + 1 for side in flow.padded)
    channels = flow.image_shape[0] * 2 ** (scale + 2)
    if flow.hidden != HIDDEN:
        return None
    for rows in ROWS if height * width <= max(ROWS) else MANY_ROWS:
        tiles, passes = _work_of_a_warp(rows, height * width, channels, by_groups=by_groups)
        split, patch = scale < flow.scales - 1, flow.patches[scale]
        shape = ScaleShape(height, width, channels, flow.steps, split, patch, rows, tiles, passes, by_groups)
        if shape.pixels <= rows and shape.shared <= shared:
            return shape
    return None


def _work_of_a_warp(rows: int, pixels: int, channels: int, *, by_groups: bool) -> tuple[int, int]:
    """Tiles per warp, and passes, chosen so that a group holds whole samples if it can."""
    if by_groups:
        return 1, 2 if pixels <= 2 * GROUP_ROWS else 4
    tiles = 4 if channels <= FEW_CHANNELS else 2
    return tiles, max(1, rows // (16 * tiles * WARPS))


class ScaleKernel:
    """One scale on a GPU.

    Args:
        shape: of its kernel.
        kernel: compiled for that shape.
        weights: of each step and the split, as returned by `packed`, ``(steps, words)``, on the GPU.
        log_det: of all 1x1 convolutions, for one sample.
    """

    def __init__(self, shape: ScaleShape, kernel: Kernel, weights: Tensor, log_det: float) -> None:
        self.shape, self.log_det = shape, log_det
        self._kernel, self._weights = kernel, weights

    def __call__(self, x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `driftwatch.flows.image.Scale`; the first scale takes raw pixels minus the least pixel value."""
        if x.dtype != torch.float32:
            raise TypeError(f"a scale's kernel takes float32, not {x.dtype}")
        shape, count = self.shape, len(x)
        leaving = x.new_empty((count, shape.pixels // shape.patch**2, shape.left * shape.patch**2))
        staying = x.new_empty((count, shape.height, shape.width, shape.channels - shape.left))
        log_det = log_det + self.log_det
        blocks = -(-count // shape.samples)
        self._kernel(blocks, x.contiguous(), self._weights, leaving, staying, log_det, count)
        return leaving, staying, log_det


def kernels_of(flow: ImageFlow, device: torch.device) -> dict[int, ScaleKernel]:
    """The kernels of a folded flow's scales.

    A scale has none if a sample has more pixels than a block of threads can hold, or weights overflow float16.
    """
    gpu, architecture = torch.cuda.get_device_properties(device), architecture_of(device)
    room, memory = gpu.shared_memory_per_block_optin, gpu.shared_memory_per_multiprocessor
    shapes = {}
    for scale in range(flow.scales):
        shape = shape_of(flow, scale, room, by_groups=architecture == HOPPER)
        if shape and fits(flow, scale):
            shapes[scale] = shape
    with ThreadPoolExecutor() as pool:  # compiling takes a second each; the results are cached for use below
        list(pool.map(partial(_compile, architecture, memory), shapes.values()))
    found = {}
    for scale, shape in shapes.items():
        constants, weights = shape.constants(memory), step_weights(flow, scale, shape)
        kernel = kernel_for(
            device, "scale", threads=shape.threads, shared=shape.shared, constants=constants, parts=shape.parts
        )
        if kernel:
            found[scale] = ScaleKernel(shape, kernel, weights, constant_log_det(flow, scale))
    return found


def _compile(architecture: str, memory: int, shape: ScaleShape) -> None:
    binary_of(architecture, "scale", shape.constants(memory), shape.parts)


def fits(flow: ImageFlow, scale: int) -> bool:
    """Whether float16 can hold all factors of a scale's products: weights, and the first convolution's bias."""
    largest = torch.finfo(torch.float16).max
    factors = [each for step in steps_of(flow, scale) for each in (*step.convolutions, step.biases[0])]
    return all(bool((each.abs() <= largest).all()) for each in factors)


def step_weights(flow: ImageFlow, scale: int, shape: ScaleShape) -> Tensor:
    """The weights of each step of a folded flow's scale and of its split, ``(steps, words)``.

    The very first step takes raw pixels minus the least pixel value, between ``0`` and the flow's span.
    """
    steps = list(steps_of(flow, scale))
    if scale == 0:
        steps[0] = _from_pixels(steps[0], flow.high - flow.low + flow.noise_width)
    return torch.stack([packed(shape, step) for step in steps]).contiguous()


def _from_pixels(step: StepWeights, span: float) -> StepWeights:
    """The same step for inputs between ``0`` and `span` instead of -0.5 and 0.5."""
    if step.mix is None:
        return step
    matrix, shift = (each.double() for each in step.mix)
    mix = (matrix / span).float(), (shift - 0.5 * matrix.sum(1)).float()
    return replace(step, mix=mix)


def packed(shape: ScaleShape, step: StepWeights) -> Tensor:
    """A step's weights as the kernel reads them, ``(words,)`` float32; factors of products are pairs of float16."""
    first, middle, last = step.convolutions
    matrix, shift = step.mix or (first.new_zeros(shape.channels, shape.channels), first.new_zeros(shape.channels))
    half, chunk = shape.half, shape.chunk
    # Each chunk consists of shifts, followed by their log-scales.
    order = torch.arange(shape.channels).view(2, -1, chunk // 2).transpose(0, 1).flatten().to(last.device)
    gathering = first.new_zeros(shape.depth, HIDDEN)
    gathering[: TAPS * half] = first.permute(2, 3, 1, 0).reshape(TAPS * half, HIDDEN)
    rounded = step.biases[0].half().float()
    gathering[TAPS * half] = rounded
    gathering[TAPS * half + 1] = step.biases[0] - rounded
    giving = last.new_zeros(HIDDEN, shape.channels // chunk, shape.given)
    taps = last[order].view(-1, chunk, HIDDEN, TAPS).permute(2, 0, 3, 1)
    giving[:, :, : TAPS * chunk] = taps.reshape(HIDDEN, -1, TAPS * chunk)
    return torch.cat(
        [
            matrix.flatten(),
            shift,
            step.biases[1],
            step.biases[2][order],
            _tiles(gathering),
            _tiles(middle[:, :, 0, 0].T),
            *(_tiles(each) for each in giving.unbind(1)),
        ]
    ).contiguous()


def _tiles(factors: Tensor) -> Tensor:
    """Factors ``(K, N)`` in tiles of 8x8, the summed dimension last, with pairs of float16 in one float32.

    Returns:
        ``(K / 16, N / 8, upper and lower, 8, 4)``, flat.
    """
    k, n = factors.shape
    halves = factors.half().view(k // 16, 2, 8, n // 8, 8)
    return halves.permute(0, 3, 1, 4, 2).contiguous().view(torch.float32).flatten()
