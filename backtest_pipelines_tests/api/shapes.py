"""Shapes of JSON: which members an object has, exactly, and of which kind each value is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

Shape = Callable[[Any], bool] | Mapping[str, Any] | list[Any]
"""A test of a value, the members of an object, or a list with the shape of each of its items."""


def differences(value: Any, shape: Shape, place: str = "$") -> list[str]:
    """Return where a value is not of a shape, in words."""
    if callable(shape):
        return [] if shape(value) else [f"{place} is {value!r}"]
    if isinstance(shape, list):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [one for number, item in enumerate(value) for one in differences(item, shape[0], f"{place}[{number}]")]
    if not isinstance(value, dict) or set(value) != set(shape):
        return [f"{place} is {value!r}, not an object of {sorted(shape)}"]
    return [one for name, part in shape.items() for one in differences(value[name], part, f"{place}.{name}")]


def parsed(text: bytes) -> Any:
    """Return JSON that holds numbers only: neither NaN nor infinity."""
    return json.loads(text, parse_constant=_refuse)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def is_true_or_false(value: Any) -> bool:
    return isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def is_count(value: Any) -> bool:
    return is_number(value) and isinstance(value, int)


def is_percent(value: Any) -> bool:
    return is_number(value) and value <= 100


def is_id(value: Any) -> bool:
    return is_count(value) and 1 <= value < 2**53


def is_time(value: Any) -> bool:
    """Whether it is ISO 8601, in UTC and with its zone."""
    return isinstance(value, str) and datetime.fromisoformat(value).utcoffset() == timedelta(0)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def is_nothing(value: Any) -> bool:
    return value is None


def one_of(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


def maybe(shape: Shape) -> Callable[[Any], bool]:
    return lambda value: value is None or differences(value, shape) == []


def each_of(shape: Shape) -> Callable[[Any], bool]:
    """An object of any names, whose values have the shape."""
    return lambda value: isinstance(value, dict) and all(differences(part, shape) == [] for part in value.values())


def _refuse(constant: str) -> None:
    raise AssertionError(constant)
