"""JSON into frozen dataclasses by their own types, checked: numbers finite, texts and lists of bounded length."""

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

MAX_CHARS = 1000  # of a text
MAX_ITEMS = 1000  # of a list or an object, where its field's metadata names no other as `most`
MAX_NUMBER = 2**53

Read = TypeVar("Read")


def read_typed(kind: type[Read], value: Any, *, place: str = "", most: int = MAX_ITEMS) -> Read:
    """Return `value`, which came of JSON, as a `kind`: a dataclass, or what its fields may be.

    Keys that a dataclass does not have are left out, fields that JSON lacks take their default.

    Raises:
        ValueError: naming the place, for anything that cannot be a `kind`.
    """
    origin = get_origin(kind)
    if is_dataclass(kind):
        return _read_dataclass(kind, value, place)
    if origin in (Union, types.UnionType):
        (inner,) = [part for part in get_args(kind) if part is not types.NoneType]
        return None if value is None else read_typed(inner, value, place=place, most=most)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, place, most)
    if origin is Mapping:
        _check(isinstance(value, dict) and len(value) <= most, place, f"an object of at most {most} entries")
        inner = get_args(kind)[1]
        return {_text(key, place): read_typed(inner, each, place=place) for key, each in value.items()}
    if kind is str:
        return _text(value, place)
    if kind is bool:
        _check(isinstance(value, bool), place, "true or false")
        return value
    _check(kind in (int, float) and isinstance(value, int | kind) and not isinstance(value, bool), place, "a number")
    _check(abs(value) <= MAX_NUMBER and math.isfinite(value), place, "a finite number")
    return kind(value)


def plain(value: Any) -> Any:
    """Return what JSON would make of `value`: lists for tuples."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _read_dataclass(kind: Any, value: Any, place: str) -> Any:
    _check(isinstance(value, dict), place, "an object")
    known = {}
    for name, hint, most in _fields(kind):
        if name in value:
            known[name] = read_typed(hint, value[name], place=f"{place}.{name}".lstrip("."), most=most)
    try:
        return kind(**known)
    except TypeError as error:
        raise ValueError(f"{place or 'it'} lacks a field: {str(error)[-80:]}") from error


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any, int], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, hints[each.name], each.metadata.get("most", MAX_ITEMS)) for each in fields(kind))


def _read_tuple(parts: tuple[Any, ...], value: Any, place: str, most: int) -> tuple[Any, ...]:
    has_any_length = parts[-1] is Ellipsis
    length = f"at most {most}" if has_any_length else str(len(parts))
    fits = isinstance(value, list | tuple) and (len(value) <= most if has_any_length else len(value) == len(parts))
    _check(fits, place, f"a list of {length}")
    hints = parts[:1] * len(value) if has_any_length else parts
    return tuple(read_typed(hint, each, place=place, most=most) for hint, each in zip(hints, value, strict=True))


def _text(value: Any, place: str) -> str:
    _check(isinstance(value, str) and len(value) <= MAX_CHARS, place, f"a text of at most {MAX_CHARS} characters")
    return value


def _check(holds: bool, place: str, expected: str) -> None:
    if not holds:
        raise ValueError(f"{place or 'it'} is not {expected}")
