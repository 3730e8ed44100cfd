"""Binary tensors of KServe V2: bytes after the JSON object, as Triton's clients send them unless told otherwise.

References:
    Open Inference Protocol (V2), binary tensor data extension.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from driftwatch.errors import MessageError

V2_TYPES = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
SIZE = "binary_data_size"
LENGTH = struct.Struct("<I")
LONGEST_HEAD = 1 << 20
"""Bytes of JSON that may precede the tensors: thousands of columns."""


def read_binary(value: bytes) -> Any:
    """The parsed JSON at the beginning of a body, its tensors with the ``data`` that follow it.

    Where the JSON ends is seen from the JSON: the header ``Inference-Header-Content-Length``, which states it, is lost
    where requests are logged. None if the body is something else.

    Raises:
        MessageError: the bytes are not what the JSON says.
    """
    head = value[:LONGEST_HEAD]
    if f'"{SIZE}"'.encode() not in head:
        return None
    try:
        # As many characters as bytes, whatever the texts are; their values are parsed below.
        _, end = json.JSONDecoder().raw_decode(head.decode("latin-1"))
        body = orjson.loads(value[:end])
    except (ValueError, RecursionError):
        return None
    tensors = body.get("inputs", body.get("outputs")) if isinstance(body, dict) else None
    for tensor in tensors if isinstance(tensors, list) else ():
        parameters = tensor.get("parameters") if isinstance(tensor, dict) else None
        size = parameters.get(SIZE) if isinstance(parameters, dict) else None
        if size is None:
            continue
        where = f"input {tensor.get('name')!r}"[:100]
        if type(size) is not int or not 0 <= size <= len(value) - end:
            raise MessageError(
                f"has {SIZE} {size!r} but {len(value) - end} bytes follow"[:200], reason="malformed", where=where
            )
        tensor["data"] = _data(value[end : end + size], tensor.get("datatype"), where)
        end += size
    if end != len(value):
        raise MessageError(f"has {len(value) - end} bytes that are no tensor's", reason="malformed")
    return body


def _data(part: bytes, datatype: Any, where: str) -> NDArray[Any] | list[str]:
    if datatype == "BYTES":
        return _texts(part, where)
    if not isinstance(datatype, str) or datatype not in V2_TYPES:
        raise MessageError(f"datatype {datatype!r} is not known"[:200], reason="schema", where=where)
    dtype = np.dtype("uint8" if datatype == "BOOL" else V2_TYPES[datatype]).newbyteorder("<")
    if len(part) % dtype.itemsize:
        raise MessageError(f"has {len(part)} bytes, which are no {datatype}", reason="malformed", where=where)
    return np.frombuffer(part, dtype)


def _texts(part: bytes, where: str) -> list[str]:
    """Texts of a tensor: each is its length as a 32-bit number, and its bytes."""
    texts, at = [], 0
    try:
        while at < len(part):
            start = at + LENGTH.size
            at = start + LENGTH.unpack_from(part, at)[0]
            texts.append(part[start:at].decode())
    except struct.error:
        at = -1
    except UnicodeDecodeError:
        raise MessageError("has bytes that are no UTF-8", reason="schema", where=where) from None
    if at != len(part):
        raise MessageError("has a text that is cut off", reason="malformed", where=where)
    return texts
