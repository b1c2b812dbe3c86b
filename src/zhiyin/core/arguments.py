"""Arguments of the Python API that must be numbers: what is none is refused in words."""

from __future__ import annotations

import math
from numbers import Integral, Number, Real
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zhiyin.core.errors import InvalidParameter

_SHOWN = 60
Float = TypeVar("Float", np.float64, np.float32)


def check_whole(
    name: str, value: object, *, least: int | None = None, most: int | None = None
) -> int:
    """The value, where it is a whole number within bounds.

    Raises
    ------
    InvalidParameter
        If it is a text, a fraction, a truth value or missing, or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InvalidParameter(
            f"{name} is {show(value)}, it must be a whole number",
            hint=_say("a whole number", least, most, f"{name}={_example(value, least)}"),
        )
    number = int(value)
    _check_bounds(name, number, least, most)
    return number


def check_number(
    name: str, value: object, *, least: float | None = None, most: float | None = None
) -> float:
    """The value, where it is a finite number within bounds.

    Raises
    ------
    InvalidParameter
        If it is a text, a truth value, missing or infinite, or out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InvalidParameter(
            f"{name} is {show(value)}, it must be a number", hint=_say("a number", least, most)
        )
    number = float(value)
    _check_bounds(name, number, least, most)
    return number


def check_numbers(name: str, values: ArrayLike, dtype: type[Float] = np.float64) -> NDArray[Float]:
    """The values as an array of any shape, theirs where it is of this type already; whether they
    are finite is not looked at.

    Raises
    ------
    InvalidParameter
        If one is a text or missing by None, or rows are of different lengths.
    """
    hint = f"hand in numbers: pandas.to_numeric({name}) makes them of texts"
    try:
        made = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise InvalidParameter(f"{name} has rows of different lengths", hint=hint) from error
    if made.dtype.kind not in "biuf" and made.size:
        odd = next((one for one in made.ravel().tolist() if not _is_real(one)), None)
        if odd is not None or made.dtype.kind != "O":
            raise InvalidParameter(f"{name} holds {show(odd)}, which is no number", hint=hint)
        if any(one is None for one in made.ravel().tolist()):
            raise InvalidParameter(f"{name} holds None, which is no number", hint=hint)
    return made.astype(dtype, copy=False)


def show(value: object) -> str:
    """A value as an error tells it: what kind of thing it is, short."""
    if isinstance(value, str):
        return f"{value[:_SHOWN]!r}, a text"
    if value is None or isinstance(value, bool | Number):
        return repr(value)
    return f"of type {type(value).__name__}"


def _is_real(value: object) -> bool:
    return value is None or isinstance(value, Real)


def _check_bounds(name: str, value: float, least: float | None, most: float | None) -> None:
    if least is not None and value < least:
        raise InvalidParameter(f"{name} is {value}, it must be at least {least}")
    if most is not None and value > most:
        raise InvalidParameter(f"{name} is {value}, it must be at most {most}")


def _example(value: object, least: int | None) -> str:
    if isinstance(value, str) and value.strip().isdecimal():
        return str(int(value))
    return str(10 if least is None else max(10, least))


def _say(what: str, least: float | None, most: float | None, example: str = "") -> str:
    bounds = [] if least is None else [f"at least {least}"]
    bounds += [] if most is None else [f"at most {most}"]
    said = " ".join([what, *(["of", " and ".join(bounds)] if bounds else [])])
    return f"{said}, say {example}" if example else said
