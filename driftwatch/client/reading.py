"""Reads batches: arrays, tensors, lists, rows, data frames and bodies, distinguished by their methods.

No library is imported for that: an object counts as a tensor because it has a tensor's methods.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from driftwatch.client.observation import JSON, MERGED_BYTES, NPY, Observation

Choose = Callable[[int], list[int] | None]
"""Chooses samples: takes their number, and returns the indices of those to keep; None for all."""

PARSED_BYTES = 4 << 10
ACCEPTED = "an array, a tensor, a list of samples, rows by column name, a data frame, or bytes with content_type"
INTEGER_LIMIT = 1 << 63
LARGEST = 1e100
"""The largest number that the daemon reads: `driftwatch.data.schema.LARGEST`, which is too slow to import here."""

MISSING = frozenset({"NAType", "NaTType"})


def read(batch: Any, choose: Choose, content_type: str | None = None) -> Observation | None:
    """Read a batch into an observation, as a copy; None if it holds no samples, or none was chosen.

    Args:
        batch: samples along the first axis of an array, a tensor or a list; a single flat one counts as a sample.
        choose: which samples to keep.
        content_type: of bytes.

    Raises:
        TypeError: the type is not supported.
        ValueError: it holds something that no message can carry.
    """
    if isinstance(batch, bytes | bytearray | memoryview):
        return _read_body(bytes(batch), choose, content_type)
    if _is_tensor(batch):
        return _read_tensor(batch, choose)
    if (frame := _frame_rows(batch, choose)) is not None:
        return _read_rows(frame)
    if hasattr(batch, "iloc") or isinstance(batch, str):
        raise TypeError(f"a {type(batch).__name__} is not a batch: observe accepts {ACCEPTED}")
    if hasattr(batch, "__array__"):
        return _read_array(batch, choose)
    if hasattr(batch, "model_dump"):
        batch = batch.model_dump(mode="json")
    if isinstance(batch, Mapping):
        return _read_mapping(batch, choose)
    if isinstance(batch, Sequence):
        return _read_list(batch, choose)
    raise TypeError(f"a {type(batch).__name__} is not a batch: observe accepts {ACCEPTED}")


def _read_body(body: bytes, choose: Choose, content_type: str | None) -> Observation | None:
    """A complete message; small JSON ones are parsed, so that they can share a message with others."""
    if not body:
        return None
    if (content_type or "").partition(";")[0].strip().lower() == JSON and len(body) <= PARSED_BYTES:
        # Encoded afresh, not cut out: what the daemon cannot read must not spoil the messages of others.
        try:
            samples = _samples_of(json.loads(body.decode(), parse_constant=_refuse_constant))
            if samples is not None:
                return _read_list(samples, choose)
        except (ValueError, RecursionError):
            pass  # sent as it is; the daemon reports what is wrong with it
    return None if choose(1) == [] else Observation("body", body, content_type)


def _samples_of(body: Any) -> list[Any] | None:
    """The samples of a body, if they can be recognised without the schema; else None."""
    if isinstance(body, dict):
        if set(body) == {"instances"}:
            body = body["instances"]
        elif {"instances", "inputs", "specversion"}.isdisjoint(body) and not any(map(_is_list, body.values())):
            body = [body]
    if not isinstance(body, list) or not body or not isinstance(body[0], list | dict):
        return None
    return body if all(isinstance(each, type(body[0])) for each in body) else None


def _read_tensor(tensor: Any, choose: Choose) -> Observation | None:
    tensor = tensor.detach()
    if tensor.ndim > 1 and (kept := choose(len(tensor))) is not None:
        tensor = tensor[kept]
        choose = _all
    return _read_array(_on_host(tensor), choose)


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "cpu")


def _on_host(tensor: Any) -> Any:
    """A tensor as a NumPy array; NumPy has no bfloat16."""
    tensor = tensor.detach().cpu()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _read_array(value: Any, choose: Choose) -> Observation | None:
    import numpy as np  # already imported: the caller has an array

    array = np.asarray(value)
    if array.dtype.kind in "OUT":
        return _read_list(array.tolist(), choose)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"an array of {array.dtype} holds no numbers")
    if array.ndim == 0:
        raise ValueError("a single number is no batch: samples lie along the first axis")
    if array.ndim == 1:
        array = array[None]
    if array.size == 0:
        return None
    if (kept := choose(len(array))) is not None:
        if not kept:
            return None
        array = array[kept]
    # Values that are not finite, or too large, may be rejected: they must not take others with them.
    readable = array.dtype.kind != "f" or bool(np.isfinite(array).all() and np.float64(np.abs(array).max()) <= LARGEST)
    shares = array.nbytes <= MERGED_BYTES and readable
    dtype, shape = array.dtype.str, array.shape[1:]
    return Observation("array", array.tobytes(), NPY, dtype, shape, (dtype, shape) if shares else None)


def _frame_rows(value: Any, choose: Choose) -> list[Any] | None:
    """The rows of a pandas, polars or Arrow table; None for anything else."""
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        kept = choose(len(value))
        rows: list[Any] = (value if kept is None else value.iloc[kept]).to_dict("records")
    elif hasattr(value, "to_dicts") and hasattr(value, "columns"):
        kept = choose(len(value))
        rows = (value if kept is None else value[kept]).to_dicts()
    elif hasattr(value, "to_pylist") and hasattr(value, "num_rows"):
        kept = choose(value.num_rows)
        rows = (value if kept is None else value.take(kept)).to_pylist() if kept != [] else []
    else:
        return None
    return rows


def _read_mapping(batch: Mapping[str, Any], choose: Choose) -> Observation | None:
    """A row; or a KServe request or columns by name, which are sent as they are."""
    instances = batch.get("instances")
    if set(batch) == {"instances"} and isinstance(instances, list) and all(map(_is_list, instances)):
        return _read_list(instances, choose)
    if not batch or choose(1) == []:
        return None
    is_request = any(map(_is_list, batch.values()))
    return Observation("body", _dumps(batch).encode()) if is_request else _read_rows([batch])


def _read_list(batch: Sequence[Any], choose: Choose) -> Observation | None:
    if not batch:
        return None
    first = batch[0]
    if _is_tensor(first):
        batch = [_on_host(each) for each in batch]
        first = batch[0]
    if hasattr(first, "__array__"):
        import numpy as np  # already imported: the caller has arrays

        return _read_array(np.stack([np.asarray(each) for each in batch]), choose)
    if not (_is_list(first) or hasattr(first, "model_dump")):
        batch = [batch]  # the list holds the values of one sample
    if (kept := choose(len(batch))) is not None:
        batch = [batch[i] for i in kept]
    rows = [each.model_dump(mode="json") if hasattr(each, "model_dump") else each for each in batch]
    if rows and isinstance(rows[0], Mapping):
        return _read_rows(rows)
    return Observation("instances", _dumps(rows)[1:-1].encode(), kind=_kinds(rows)) if rows else None


def _read_rows(rows: list[Any]) -> Observation | None:
    if not rows:
        return None
    readable = all(isinstance(row, Mapping) and not any(map(_may_spoil, row.values())) for row in rows)
    # The daemon rejects a message in which a row lacks a key of another, or has a text in place of a number: such rows
    # must not take others with them.
    alike = readable and all(row.keys() == rows[0].keys() for row in rows)
    texts = (name for row in rows for name, value in row.items() if isinstance(value, str)) if alike else ()
    kind = (frozenset(rows[0]), frozenset(texts)) if alike else None
    return Observation("rows", _dumps(rows)[1:-1].encode(), kind=kind)


def _kinds(samples: list[Any]) -> tuple[type, ...] | None:
    """The types of the values in each of these flat samples; None if they are not flat, or differ."""
    found = {tuple(map(_kind, sample)) for sample in samples if isinstance(sample, list | tuple)}
    if len(found) != 1 or not all(isinstance(sample, list | tuple) for sample in samples):
        return None
    (kinds,) = found
    return None if any(_may_spoil(value) for sample in samples for value in sample) else kinds


def _kind(value: Any) -> type:
    return float if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else type(value)


def _may_spoil(value: Any) -> bool:
    """Whether the daemon may not accept a value as one cell, and reject everything in its message."""
    if isinstance(value, float):
        return abs(value) > LARGEST
    return abs(value) >= INTEGER_LIMIT if isinstance(value, int) else _is_list(value)


def _is_list(value: Any) -> bool:
    """Whether a value contains others; a text does not count, nor does an array without axes."""
    if isinstance(value, str | bytes):
        return False
    return getattr(value, "ndim", 1) > 0 and hasattr(value, "__len__")


def _dumps(value: Any) -> str:
    """JSON, with null for NaN."""
    try:
        return _JSON.encode(value)
    except ValueError:
        return _JSON.encode(_with_nulls(value))


def _with_nulls(value: Any) -> Any:
    if isinstance(value, float):
        if math.isinf(value):
            raise ValueError("an infinite value cannot be sent as JSON")
        return None if math.isnan(value) else value
    if isinstance(value, Mapping):
        return {name: _with_nulls(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nulls(each) for each in value]
    return value if value is None or isinstance(value, str | int) else _with_nulls(_plain(value))


def _plain(value: Any) -> Any:
    """The JSON value for a value of another type."""
    if type(value).__name__ in MISSING:
        return None
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "__float__"):
        return float(value)
    text: Any = type(value).__str__
    if text is object.__str__ or isinstance(value, bytes):
        raise TypeError(f"a {type(value).__name__} cannot be sent as JSON")
    return str(value)


_JSON = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, check_circular=False, default=_plain, separators=(",", ":")
)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _all(_: int) -> None:
    """Choose all samples."""


def addressed(observation: Observation, stream: str | None, headers: Mapping[str, str] | None) -> Observation:
    """An observation with its stream and headers.

    Raises:
        ValueError: one of them cannot be a header.
    """
    pairs = tuple((headers or {}).items())
    if stream == "" or not all(name.isascii() and name.replace("-", "").isalnum() for name, _ in pairs):
        raise ValueError("the stream is empty, or a header's name is invalid")
    for text in (stream, observation.content_type, *(value for _, value in pairs)):
        if text is not None and not text.isprintable():
            raise ValueError(f"{text[:80]!r} cannot be the value of a header")
    return replace(observation, stream=stream, headers=pairs)
