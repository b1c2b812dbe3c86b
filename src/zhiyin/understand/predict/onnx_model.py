"""A classifier that was made elsewhere and brought in as ONNX, run on the CPU."""

# pyright: reportAttributeAccessIssue=false, reportUnknownMemberType=false
# (onnxruntime has no types)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zhiyin.core.errors import InputError
from zhiyin.core.extras import load_extra

MAX_BYTES = 32 * 2**20
_KINDS = {"tensor(float)": np.float32, "tensor(double)": np.float64}
_HINT = "export it with one 2-D float input and probabilities as a plain tensor (zipmap off)"


class OnnxModel:
    """A classifier in ONNX; `columns` are the places of its inputs among the features.

    Missing values reach it as NaN; where it gives no number for a row without any value, they
    become 0 before.
    """

    def __init__(self, content: bytes, columns: Sequence[int]) -> None:
        self.content, self.columns = content, tuple(columns)
        self._session, self._input, self._output = _open(content)
        self._kind = _KINDS[self._input.type]
        width = self._input.shape[1]
        if isinstance(width, int) and width != len(self.columns):
            raise InputError(
                f"the model takes {width} features, {len(self.columns)} are named",
                hint="name its features in the order in which it was trained",
            )
        with np.errstate(all="ignore"):
            empty = self._run(np.full((1, len(self.columns)), np.nan, self._kind))
        self._fills = not bool(np.isfinite(empty).all())
        tried = np.linspace(-9, 9, 16 * len(self.columns)).reshape(16, -1).astype(self._kind)
        said, rest = self._run(tried), self._rest(tried)
        if said.shape != (16,) or not ((said >= 0) & (said <= 1)).all() or not rest:
            raise InputError("the model gives no probability from 0 to 1 for each row", hint=_HINT)

    def fit(
        self, features: np.ndarray, labels: np.ndarray, *, rng: np.random.Generator
    ) -> OnnxModel:
        """Itself: what was brought in stays as it is."""
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """P(label = 1) for (n, d) features; (n,) float64."""
        mine = features[:, list(self.columns)].astype(self._kind)
        return self._run(np.nan_to_num(mine) if self._fills else mine)

    def to_artifact(self) -> dict[str, Any]:
        return {
            "model": "onnx", "content": np.frombuffer(self.content, np.uint8),
            "columns": list(self.columns),
        }  # fmt: skip

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> OnnxModel:
        return cls(np.asarray(artifact["content"], np.uint8).tobytes(), artifact["columns"])

    def _run(self, rows: np.ndarray) -> np.ndarray:
        made = self._raw(rows)
        return made[:, -1] if made.ndim == 2 and made.shape[1] in (1, 2) else made

    def _rest(self, rows: np.ndarray) -> bool:
        """Whether two columns are the two classes."""
        made = self._raw(rows)
        return made.shape[-1] != 2 or bool(np.allclose(made.sum(axis=-1), 1, atol=1e-3))

    def _raw(self, rows: np.ndarray) -> np.ndarray:
        made = self._session.run([self._output.name], {self._input.name: rows})[0]
        return np.asarray(made, np.float64)


def _open(content: bytes) -> tuple[Any, Any, Any]:
    """A session, its input, and the output that holds probabilities."""
    runtime = load_extra("onnxruntime", "onnx")
    if len(content) > MAX_BYTES:
        raise InputError(
            f"the model has {len(content)} bytes, more than {MAX_BYTES}", hint="bring a smaller one"
        )
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors come as exceptions
    try:
        session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (RuntimeError, ValueError, *_failures(runtime)) as error:
        raise InputError("this is no ONNX model that can be run", hint=_HINT) from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in _KINDS or len(inputs[0].shape) != 2:
        raise InputError("the model does not take one table of floats", hint=_HINT)
    tables = [one for one in session.get_outputs() if one.type in _KINDS]
    if not tables:
        raise InputError("the model gives no tensor of probabilities", hint=_HINT)
    return session, inputs[0], tables[-1]


def _failures(runtime: Any) -> tuple[type[Exception], ...]:
    state = runtime.capi.onnxruntime_pybind11_state
    return tuple(
        one for one in vars(state).values() if isinstance(one, type) and issubclass(one, Exception)
    )
