"""All steps of one scale of an image flow as one kernel, for scoring on a GPU (`scale.cu`)."""

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
"""Pixels that a block of threads may hold, best first, where samples have no more."""

MANY_ROWS = (512, 1_024)
"""Where they have more."""

FEW_CHANNELS = 4
"""Up to so many, a warp by itself best multiplies four tiles (benchmarks/NOTES.md): with more, registers run out."""

WARPS = 8
"""Of a block, at most."""

GROUP_WARPS, GROUP_ROWS = 4, 64
"""Of a group that Hopper's tensor cores work for, and the pixels that it multiplies at once."""

NEEDED = {1: 96, 2: 128, 4: 168}
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
        patch: the side of those patches that are sub-vectors of what leaves.
        rows: pixels that a block of threads holds, whole samples.
        tiles: of 16 pixels that a warp multiplies at once: the more, the less often it reads weights.
        passes: in which it does so.
        by_groups: whether warps multiply by groups of four, as Hopper's tensor cores want it, or each by itself.
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
        """Channels that condition, and those that are moved."""
        return self.channels // 2

    @property
    def left(self) -> int:
        """Channels that leave after the scale."""
        return self.half if self.split else self.channels

    @property
    def threads(self) -> int:
        """Of a block."""
        return self.rows // (16 * self.tiles * self.passes) * 32

    @property
    def pixels(self) -> int:
        """Of a sample."""
        return self.height * self.width

    @property
    def group(self) -> int:
        """Threads that hold whole samples."""
        own = GROUP_WARPS * 32
        return own if self.by_groups and self.pixels <= self.rows * own // self.threads else self.threads

    @property
    def samples(self) -> int:
        """Held by a block."""
        groups = self.threads // self.group
        return groups * (self.rows // groups // self.pixels)

    @property
    def depth(self) -> int:
        """Of the first convolution: factors of one output and two of its bias, filled up to whole tiles."""
        return -(-(TAPS * self.half + 2) // 16) * 16

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
        plain = self.channels * (self.channels + 2) + HIDDEN
        return plain + HIDDEN * (self.depth + HIDDEN + chunks * self.given) // 2

    @property
    def shared(self) -> int:
        """Bytes that a block shares: what is given, channels, conditioning channels and weights."""
        plane = self.rows * self.chunk // 2 + (16 if self.chunk == 4 else 0)
        cells = self.samples * (self.height + 2) * (self.width + 2)
        kept = -(-(cells * self.half // 2) // 4) * 4
        return 4 * (self.words + self.rows * self.channels + TAPS * plane + kept)

    def blocks(self, memory: int) -> int:
        """How many a multiprocessor is to hold that has so many bytes to share."""
        return max(1, min(memory // (self.shared + RESERVED), REGISTERS // (NEEDED[self.tiles] * self.threads)))

    def constants(self, memory: int) -> Constants:
        """That `scale.cu` leaves open, for a multiprocessor with so many bytes to share."""
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
        """Sources that `scale.cu` takes for granted."""
        return BY_GROUPS if self.by_groups else BY_WARPS


def shape_of(flow: ImageFlow, scale: int, shared: int, *, by_groups: bool = False) -> ScaleShape | None:
    """The shape of a scale's kernel where a block may share so many bytes; None if there is no kernel for it."""
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
    """The tiles that it multiplies at once, and how many times: so that a group holds whole samples, if it can."""
    if by_groups:
        return 1, 2 if pixels <= 2 * GROUP_ROWS else 4
    tiles = 4 if channels <= FEW_CHANNELS else 2
    return tiles, max(1, rows // (16 * tiles * WARPS))


class ScaleKernel:
    """One scale on a GPU.

    Args:
        shape: of its kernel.
        kernel: compiled for that shape.
        weights: of each step and the split, as `packed` gives them, ``(steps, words)``, on the GPU.
        log_det: of all 1x1 convolutions, for one sample.
    """

    def __init__(self, shape: ScaleShape, kernel: Kernel, weights: Tensor, log_det: float) -> None:
        self.shape, self.log_det = shape, log_det
        self._kernel, self._weights = kernel, weights

    def __call__(self, x: Tensor, log_det: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `driftwatch.flows.image.Scale`; the first scale takes pixels above the lowest value, as they are."""
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

    There is none for more pixels than a block of threads can hold, nor for weights that float16 does not.
    """
    gpu, architecture = torch.cuda.get_device_properties(device), architecture_of(device)
    room, memory = gpu.shared_memory_per_block_optin, gpu.shared_memory_per_multiprocessor
    shapes = {}
    for scale in range(flow.scales):
        shape = shape_of(flow, scale, room, by_groups=architecture == HOPPER)
        if shape and fits(flow, scale):
            shapes[scale] = shape
    with ThreadPoolExecutor() as pool:  # a second each; what is compiled here is found below
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
    """Whether float16 holds all factors of a scale's products: weights, and the first convolution's bias."""
    largest = torch.finfo(torch.float16).max
    factors = [each for step in steps_of(flow, scale) for each in (*step.convolutions, step.biases[0])]
    return all(bool((each.abs() <= largest).all()) for each in factors)


def step_weights(flow: ImageFlow, scale: int, shape: ScaleShape) -> Tensor:
    """The weights of each step of a folded flow's scale and of its split, ``(steps, words)``.

    The first step of all takes pixels above the lowest value, ``0`` to the flow's span, as they are.
    """
    steps = list(steps_of(flow, scale))
    if scale == 0:
        steps[0] = _from_pixels(steps[0], flow.high - flow.low + flow.noise_width)
    return torch.stack([packed(shape, step) for step in steps]).contiguous()


def _from_pixels(step: StepWeights, span: float) -> StepWeights:
    """The same step of what lies between ``0`` and `span`, and not between -0.5 and 0.5."""
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
    # Of each chunk the shifts first, then the log-scales that go with them.
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
    """Factors ``(K, N)`` in tiles of 8x8, the sums' dimension last, pairs of float16 in one float32.

    Returns:
        ``(K / 16, N / 8, upper and lower, 8, 4)``, flat.
    """
    k, n = factors.shape
    halves = factors.half().view(k // 16, 2, 8, n // 8, 8)
    return halves.permute(0, 3, 1, 4, 2).contiguous().view(torch.float32).flatten()
