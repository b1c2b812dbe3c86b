"""Fitted models as JSON values and numpy arrays: never a pickle.

An artifact is a dict of JSON values, numpy arrays and further artifacts. `pack` writes it as one
`npz` file whose entry `json` holds the values, with each array named by its path.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from zhiyin.core.errors import InputError

FORMAT = 1
_ARRAY = "__array__"


def pack(artifact: Mapping[str, Any]) -> bytes:
    """The artifact as the bytes of an `npz` file; equal artifacts give equal bytes."""
    arrays: dict[str, np.ndarray] = {}
    body = {"format": FORMAT, "content": _strip(artifact, "", arrays)}
    text = json.dumps(body, sort_keys=True, ensure_ascii=False, allow_nan=False)
    out = io.BytesIO()
    np.savez_compressed(
        out,
        allow_pickle=False,
        json=np.frombuffer(text.encode(), dtype=np.uint8),
        **{name: arrays[name] for name in sorted(arrays)},
    )
    return out.getvalue()


def unpack(content: bytes) -> dict[str, Any]:
    """The artifact that `pack` wrote.

    Raises
    ------
    InputError
        If the content is no artifact, or of a newer format.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        body = json.loads(arrays.pop("json").tobytes())
        version = int(body["format"])
    except (ValueError, KeyError, OSError, EOFError, TypeError) as error:
        raise InputError("this is no model artifact") from error
    if version > FORMAT:
        raise InputError(
            f"the model artifact has format {version}, this version reads up to {FORMAT}",
            hint="update zhiyin, or train the model again",
        )
    return _fill(body["content"], arrays)


def version_of(artifact: Mapping[str, Any]) -> str:
    """Twelve hex digits that name the content of an artifact."""
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_strip(artifact, "", arrays), sort_keys=True)
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}|{array.dtype.str}|{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:12]


def _strip(value: Any, path: str, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, np.ndarray):
        name = path or "root"
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return {
            key: _strip(item, f"{path}.{key}".strip("."), arrays) for key, item in named.items()
        }
    if isinstance(value, list | tuple):
        listed = cast("Sequence[Any]", value)
        return [_strip(item, f"{path}.{i}".strip("."), arrays) for i, item in enumerate(listed)]
    return value


def _fill(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        if set(named) == {_ARRAY}:
            return arrays[named[_ARRAY]]
        return {key: _fill(item, arrays) for key, item in named.items()}
    if isinstance(value, list):
        return [_fill(item, arrays) for item in cast("list[Any]", value)]
    return value
