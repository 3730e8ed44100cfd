"""Schemas of samples, which convert the contents of messages and files to arrays."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Annotated, Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from driftwatch.data.cells import Codes, codes_of, digest
from driftwatch.data.tables import coerce_table, is_rows
from driftwatch.errors import DataError, DeadLetterReason, MessageError

Samples = NDArray[np.floating]
Coerced = NDArray[np.floating | np.uint8]
"""Samples as they pass through a stream: images of bytes stay bytes, a quarter of the memory of floats."""

COLOURS = frozenset({1, 3, 4})

_NUMBERS = (int, float, np.ndarray, np.generic, type(None))

DIGEST_BYTES = 8
MOST_KNOWN = 100_000
"""Known values of a column. A manifest has room for ten such columns."""

MOST_CLASSES = 1_000
MOST_COLUMNS = 4_096

LARGEST = 1e100
"""Largest absolute value. Larger ones, such as the largest float, are not measurements: programs write them for missing
or failed ones. Their squares are infinite."""


def as_floats(samples: Coerced) -> Samples:
    """Coerced samples as floats: bytes become float32, everything else is floats already."""
    return samples.astype(np.float32) if samples.dtype == np.uint8 else samples  # type: ignore[return-value]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageSchema(_Schema):
    """Images of one size; `low` and `high` bound their pixel values.

    For float images they are the range of the reference. Values beyond it by up to the range's width are accepted:
    detecting drift is the detectors' task, and only values on an entirely different scale are refused.
    """

    kind: Literal["image"] = "image"
    channels: Annotated[int, Field(ge=1, le=64)]
    height: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    dtype: Literal["uint8", "float32"] = "uint8"
    low: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    high: Annotated[float, Field(allow_inf_nan=False)] = 255.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} is not below high {self.high:g}")
        if self.dtype == "uint8" and not 0 <= self.low < self.high <= 255:
            raise ValueError("uint8 values lie in 0 to 255")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: ``(C, H, W)``."""
        return self.channels, self.height, self.width

    def describe(self) -> str:
        """A description in a few words."""
        return f"{self.channels}x{self.height}x{self.width} {self.dtype} image"

    def bounded(self, values: Samples) -> Samples:
        """Computed pixel values, clipped and rounded to valid ones."""
        values = np.clip(values, self.low, self.high)
        return (np.rint(values) if self.dtype == "uint8" else values).astype(np.float32)

    def coerce(self, value: Any, *, where: str = "") -> Coerced:
        """Images as raw values ``(N, C, H, W)`` of `dtype`; an array that is one already is not copied.

        Accepts ``(N, C, H, W)``, ``(N, H, W, C)``, ``(N, H, W)`` for one channel, flat ``(N, C*H*W)``, or one sample
        without ``N``.

        Raises:
            MessageError: the shape does not fit, or values are not finite or out of range.
        """
        array = _numbers(value, where)
        shaped = self._shaped(array)
        if shaped is None:
            c, h, w = self.shape
            _refuse(
                "shape",
                f"has shape {array.shape}",
                where,
                f"expected (N, {c}, {h}, {w}), (N, {h}, {w}{f', {c}' if c > 1 else ''}) or (N, {c * h * w})",
            )
        _require_samples(shaped, where)
        _require_finite(shaped, where)
        leeway = self.high - self.low if self.dtype == "float32" else 0.0
        with np.errstate(over="ignore"):
            values = shaped if self.dtype == "uint8" else shaped.astype(np.float32, order="C")
        low, high = float(values.min()), float(values.max())
        if low < self.low - leeway or high > self.high + leeway:
            _refuse("schema", f"values lie in [{low:g}, {high:g}]", where, f"expected [{self.low:g}, {self.high:g}]")
        if self.dtype == "uint8" and shaped.dtype.kind == "f" and not bool((shaped == np.rint(shaped)).all()):
            hint = "; multiply by 255?" if high <= 1.0 else ""
            _refuse("schema", "values are not whole numbers", where, f"expected 0 to 255{hint}")
        return np.ascontiguousarray(values, dtype=self.dtype)

    def _shaped(self, array: NDArray[Any]) -> NDArray[Any] | None:
        c, h, w = self.shape
        single = {(h, w, c): (2, 0, 1), (c, h, w): (0, 1, 2)}  # if both fit, channels come first
        if array.ndim == 4 and array.shape[1:] in single:
            channel, *sides = single[array.shape[1:]]
            return array.transpose(0, channel + 1, *(side + 1 for side in sides))
        if array.ndim == 3 and array.shape in single:
            return array.transpose(single[array.shape])[None]
        flat = c * h * w
        fits = array.shape[1:] == (flat,) or array.shape == (flat,) or (c == 1 and array.shape[-2:] == (h, w))
        return array.reshape(-1, c, h, w) if fits and array.ndim <= 3 else None


class VectorSchema(_Schema):
    """Vectors of numbers, such as embeddings."""

    kind: Literal["vector"] = "vector"
    dim: Annotated[int, Field(ge=1, le=65_536)]
    integer: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: ``(dim,)``."""
        return (self.dim,)

    def describe(self) -> str:
        """A description in a few words."""
        return f"vector of {self.dim} {'whole numbers' if self.integer else 'numbers'}"

    def coerce(self, value: Any, *, where: str = "") -> Samples:
        """Vectors ``(N, dim)``, float64; also accepts a single one without ``N``.

        Raises:
            MessageError: the shape does not fit, or values are not finite.
        """
        array = _numbers(value, where)
        if array.shape == (self.dim,):
            array = array[None]
        if array.ndim != 2 or array.shape[1] != self.dim:
            _refuse("shape", f"has shape {array.shape}", where, f"expected (N, {self.dim})")
        _require_samples(array, where)
        _require_finite(array, where)
        return array.astype(np.float64)


class Column(_Schema):
    """A column of a table. A category is one of `categories`, or one of the known others; any other value is unseen.

    Its code is its index in `categories`; the codes of classes of others follow, and that of unseen values is the last.
    `others` has the digests of each class, ascending and of eight bytes each, in base64, since the values may be many
    and long. The first class has the commonest.
    """

    name: str
    kind: Literal["numeric", "category"]
    categories: tuple[str, ...] = ()
    others: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=MOST_CLASSES)] = ()

    @field_validator("others")
    @classmethod
    def _digests(cls, others: tuple[str, ...]) -> tuple[str, ...]:
        sizes = [len(base64.b64decode(each, validate=True)) for each in others]
        if any(size % DIGEST_BYTES for size in sizes):
            raise ValueError("others are not digests of eight bytes each")
        if sum(sizes) > MOST_KNOWN * DIGEST_BYTES:
            raise ValueError(f"others are more than {MOST_KNOWN:,}")
        return others

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.categories and self.kind == "numeric":
            raise ValueError(f"column {self.name!r} is numeric, but has categories")
        if self.others and self.kind == "numeric":
            raise ValueError(f"column {self.name!r} is numeric, but has others")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError(f"column {self.name!r} has a category twice")
        return self

    @cached_property
    def codes(self) -> Codes:
        """The codes of its values."""
        others = [np.frombuffer(base64.b64decode(each), dtype="<u8").tolist() for each in self.others]
        return codes_of(self.categories, others)

    @property
    def unseen(self) -> int:
        """The code of values that the reference does not know."""
        return len(self.categories) + len(self.others)

    @model_serializer(mode="wrap")
    def _plain(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Omits `others` if there are none, as older versions of driftwatch expect."""
        return {key: value for key, value in dump(self).items() if key != "others" or value}


def digests(texts: Iterable[str]) -> str:
    """The digests of the values of a class, as `Column.others` stores them."""
    found = np.unique(np.array([digest(text) for text in texts], dtype="<u8"))
    return base64.b64encode(found.tobytes()).decode()


class TableSchema(_Schema):
    """Rows of a table."""

    kind: Literal["table"] = "table"
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=MOST_COLUMNS)]

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names):
            raise ValueError(f"column {max(names, key=names.count)!r} is there twice")
        return self

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample: ``(columns,)``."""
        return (len(self.columns),)

    def describe(self) -> str:
        """A description in a few words."""
        return f"table row of {len(self.columns)} columns"

    def coerce(self, value: Any, *, where: str = "") -> Samples:
        """Rows ``(N, columns)``, float64: numbers as they are, categories as their index, NaN for missing.

        Accepts a list of rows by column name, a mapping of columns, an Arrow table or data frame, or rows in the order
        of the columns. In an array of numbers, categories are already given by index.

        Raises:
            MessageError: a column is missing or cannot be read.
        """
        array = coerce_table(value, self.columns, where)
        _require_samples(array, where)
        if bool((beyond := np.abs(array) > LARGEST).any()):
            row, place = map(int, np.argwhere(beyond)[0])
            held = f"row {row} holds {_too_large(array[row, place])} in column {self.columns[place].name!r}"
            remedy = f"send null for a missing value; {LARGEST:g} is the most"
            _refuse("non_finite", held, where, remedy, row=row)
        return array


Schema = Annotated[ImageSchema | VectorSchema | TableSchema, Field(discriminator="kind")]

_ADAPTER: TypeAdapter[Any] = TypeAdapter(Schema)


def same_samples(one: Schema, other: Schema) -> bool:
    """Whether samples of one schema are samples of the other; usual values, such as categories, may differ."""
    match one, other:
        case ImageSchema(), ImageSchema():
            return (one.shape, one.dtype) == (other.shape, other.dtype)
        case VectorSchema(), VectorSchema():
            return one.dim == other.dim
        case TableSchema(), TableSchema():
            return [(c.name, c.kind) for c in one.columns] == [(c.name, c.kind) for c in other.columns]
    return False


def parse_schema(data: Mapping[str, Any], *, where: str = "schema") -> Schema:
    """A schema from its JSON form.

    Raises:
        DataError: it is not valid.
    """
    try:
        schema: Schema = _ADAPTER.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"{place}: {first['msg']}", where=where) from None
    return schema


def image_of(shape: tuple[int, int, int], where: str, **more: Any) -> ImageSchema:
    """The schema of images in a data set.

    Args:
        shape: the shape of one, ``(C, H, W)``.
        where: the source, for error messages.
        more: `dtype`, `low` and `high`, if they are not bytes.

    Raises:
        DataError: they are too large.
    """
    c, h, w = shape
    try:
        return ImageSchema(channels=c, height=h, width=w, **more)
    except ValidationError:
        raise DataError(
            f"holds images of {c} channels and {h}x{w} pixels",
            where=where,
            remedy="64 channels and 4096x4096 pixels are the most, channels first or last; make them smaller",
        ) from None


def vector_of(dim: int, where: str, *, integer: bool) -> VectorSchema:
    """The schema of vectors in a data set.

    Raises:
        DataError: they are too long.
    """
    try:
        return VectorSchema(dim=dim, integer=integer)
    except ValidationError:
        raise DataError(
            f"holds vectors of {dim:,} numbers",
            where=where,
            remedy="65,536 are the most; give images as images, (N, C, H, W), or embeddings of them",
        ) from None


def table_of(columns: Sequence[Column], where: str) -> TableSchema:
    """The schema of rows in a data set.

    Raises:
        DataError: they have too many columns.
    """
    if len(columns) > MOST_COLUMNS:
        raise DataError(
            f"has {len(columns):,} columns",
            where=where,
            remedy=f"{MOST_COLUMNS:,} are the most; give numbers as vectors, an array (N, D), or leave columns out",
        )
    return TableSchema(columns=tuple(columns))


def _refuse(reason: DeadLetterReason, what: str, where: str, remedy: str, row: int | None = None) -> NoReturn:
    raise MessageError(what, reason=reason, where=where, remedy=remedy, row=row)


def _numbers(value: Any, where: str) -> NDArray[Any]:
    if isinstance(value, Mapping) or is_rows(value) or hasattr(value, "column_names"):
        _refuse("schema", "holds named columns", where, "expected an array of numbers")
    if not isinstance(value, np.ndarray):
        # Straight to float: where NumPy may choose, one long text makes every element of the array as long.
        try:
            return np.asarray(value, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            kind = _not_a_number(value)
        if kind:
            _refuse("schema", f"holds a {kind}", where, "expected an array of numbers")
        _refuse("shape", "rows are not all of one length", where, "send a rectangular array")
    if value.dtype.kind not in "biuf":
        _refuse("schema", f"holds {value.dtype} values", where, "expected an array of numbers")
    return value


def _not_a_number(value: Any) -> str:
    """The type of a value in nested lists that is no number, or nothing if all are."""
    items = [value]
    while items:  # level by level: one by one, millions of lists take seconds
        kinds = dict.fromkeys(map(type, items))
        nested = tuple(kind for kind in kinds if issubclass(kind, list | tuple))
        if odd := [kind for kind in kinds if not issubclass(kind, (*nested, *_NUMBERS))]:
            return odd[0].__name__
        items = list(chain.from_iterable(item for item in items if isinstance(item, nested)))
    return ""


def _require_samples(array: NDArray[Any], where: str) -> None:
    if array.size == 0:
        _refuse("empty", "holds no samples", where, "send at least one")


def _require_finite(array: NDArray[Any], where: str) -> None:
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array) if array.dtype.itemsize <= 4 else np.abs(array) <= LARGEST
    if not bool(finite.all()):
        first = tuple(np.argwhere(~finite)[0])
        what = _too_large(array[first]) if np.isfinite(array[first]) else "null, NaN or an infinite value"
        held = f"sample {first[0]} holds {what}"
        remedy = f"every value must be finite, and {LARGEST:g} at most"
        _refuse("non_finite", held, where, remedy, row=int(first[0]))


def _too_large(value: Any) -> str:
    return "an infinite value" if np.isinf(value) else f"{value:g}"
