"""What the service tells, as frozen dataclasses that take no harm from what they do not know."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T", bound="Record")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """The base of them all; `raw` is the JSON as it came, with fields that a later release added."""

    raw: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_json(cls: type[T], data: Mapping[str, Any]) -> T:
        """Read what was parsed of JSON; fields that are missing have their default."""
        hints = _hints(cls)
        names = [field.name for field in dataclasses.fields(cls) if field.name != "raw" and field.name in data]
        return cls(**{name: _read(hints[name], data[name]) for name in names}, raw=data)


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _read(hint: Any, value: Any) -> Any:
    """A value as its field has it; what does not fit stays as it came, for a later release may say more."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return value if value is None else _read(next(part for part in parts if part is not type(None)), value)
    if isinstance(value, list) and origin is tuple:
        return tuple(_read(parts[0], item) for item in value)
    if isinstance(value, Mapping):
        if origin is Mapping:
            return {key: _read(parts[1], item) for key, item in value.items()}
        if isinstance(hint, type) and issubclass(hint, Record):
            return hint.from_json(value)
    return value
