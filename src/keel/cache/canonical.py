"""One text for each value that can be an argument: equal values of one type have the same, all others differ.

Types tell values apart: `1`, `True`, `1.0`, `"1"` and `Decimal("1")` make five keys. Every part begins with a letter
for its type, and what may hold anything carries its length, so that no value can imitate another.
"""

import dataclasses
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from pydantic import BaseModel

from keel.cache.schema import is_namedtuple, name_of

DIGEST_BYTES: Final = 16
OWN_KEY: Final = "__cache_key__"
"""A method by which a class says what its objects are known by in keys: it returns any value that has a text."""


def digest(text: str) -> str:
    """BLAKE2b-128 of a text, in hexadecimal."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()


def canonical(value: object) -> str:
    """The text of a value; raises TypeError for what has none."""
    write = WRITERS.get(type(value))
    return write(value) if write is not None else _instance(value)


def canonical_all(values: Iterable[object]) -> str:
    """The texts of several values, in their order."""
    return "".join([WRITERS.get(type(value), _instance)(value) for value in values])


def _counted(kind: str, text: str) -> str:
    return f"{kind}{len(text)}:{text}"


def _instance(value: object) -> str:
    """Of a class that is not built in: its name, and what is in it."""
    kind = type(value)
    return f"o{_counted('', name_of(kind))}{_content(kind, value)}"


def _content(kind: type, value: object) -> str:
    own = getattr(kind, OWN_KEY, None)
    if own is not None:
        return canonical(own(value))
    if isinstance(value, type):
        return _counted("c", name_of(value))
    if isinstance(value, Enum):
        name: str | None = value.name  # none for some combinations of flags
        return canonical(value.value if name is None else name)
    fields = _fields(kind, value)
    return _derived(kind, value) if fields is None else canonical_all(fields)


def _fields(kind: type, value: Any) -> Iterable[object] | None:  # noqa: ANN401 - any object
    """What an object consists of; None for one that is not known to be mere data."""
    if issubclass(kind, BaseModel):
        return [*(getattr(value, name) for name in kind.model_fields), value.__pydantic_extra__]
    if issubclass(kind, msgspec.Struct):
        return [getattr(value, name) for name in kind.__struct_fields__]
    if dataclasses.is_dataclass(kind):
        return [getattr(value, each.name) for each in dataclasses.fields(kind)]
    return tuple(value) if is_namedtuple(kind) else None


def _derived(kind: type, value: object) -> str:
    """Of a class that extends a built-in one: UserId(str), say."""
    for base, write in WRITERS.items():
        if issubclass(kind, base):
            return write(str.__str__(value) if isinstance(value, str) else value)
    raise TypeError(f"{name_of(kind)} cannot be part of a cache key")


def _list(value: Iterable[object]) -> str:
    return f"l{canonical_all(value)};"


def _tuple(value: tuple[object, ...]) -> str:
    return f"t{canonical_all(value)};"


def _set(value: Iterable[object]) -> str:
    return f"e{''.join(sorted(map(canonical, value)))};"


def _dict(value: dict[object, object]) -> str:
    return f"m{''.join(sorted(canonical(key) + canonical(each) for key, each in value.items()))};"


def _zone(zone: tzinfo | None) -> str:
    return "" if zone is None else str(zone)


def _datetime(value: datetime) -> str:
    return _counted("w", f"{value.isoformat()}/{value.fold}/{_zone(value.tzinfo)}")


def _time(value: time) -> str:
    return _counted("h", f"{value.isoformat()}/{value.fold}/{_zone(value.tzinfo)}")


WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "n",
    bool: lambda value: "y" if value else "z",
    int: lambda value: f"i{value:x};",  # hexadecimal, as Python refuses to write long numbers in decimal
    str: lambda value: f"s{len(value)}:{value}",
    float: lambda value: f"f{float.hex(value)};",
    bytes: lambda value: f"b{value.hex()};",
    Decimal: lambda value: f"d{Decimal.__str__(value)};",
    UUID: lambda value: f"u{value.hex}",
    datetime: _datetime,
    date: lambda value: f"a{value.isoformat()};",
    time: _time,
    timedelta: lambda value: f"v{value.days}.{value.seconds}.{value.microseconds};",
    ZoneInfo: lambda value: _counted("k", str(value)),
    timezone: lambda value: _counted("k", str(value)),
    tuple: _tuple,
    list: _list,
    set: _set,
    frozenset: _set,
    dict: _dict,
}
"""By exact type; `bool` stands before `int` and `datetime` before `date`: each of the first is one of the second."""


def canonical_receiver(receiver: object) -> str:
    """Of the `self` or `cls` of a method: its class, and what that says its objects are known by."""
    kind = receiver if isinstance(receiver, type) else type(receiver)
    own = None if receiver is kind else getattr(kind, OWN_KEY, None)
    return _counted("r", name_of(kind)) + ("" if own is None else canonical(own(receiver)))
