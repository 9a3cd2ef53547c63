"""Values to bytes and back, never by pickle: by the annotation of what is cached, or self-describing.

Bytes of a type carry no names, so they are short and quick; the type's fingerprint belongs into the key instead. Every
value is read back as soon as it is written: what the annotation does not give back as it was (a subclass with fields of
its own, a tuple where a list was promised, 1 where it says float, a time zone that is more than an offset, NaN) is
written self-describing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec
from msgspec import inspect
from pydantic import BaseModel, TypeAdapter
from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError

from keel.cache import tagged
from keel.cache.instances import Undecodable, Unencodable, fields_of
from keel.cache.schema import Schema

__all__ = ["TAGGED", "Codec", "Undecodable", "Unencodable", "codec_for"]

_SELF_DESCRIBING: Final = b"\xc1"  # the one byte that begins neither MessagePack nor JSON
_LEAVES: Final = frozenset({type(None), bool, int, float, str, bytes, Decimal, UUID, date, timedelta})
"""Types of which equal values are the same."""
_FORMAT: Final = "1"
"""To be changed with anything below that changes how bytes are read."""


class Codec(Protocol):
    """Writes values as bytes and reads them."""

    @property
    def fingerprint(self) -> str:
        """Of the type; belongs into the key, so that who has another version of the type reads none of these bytes."""

    def encode(self, value: object) -> bytes:
        """The bytes of a value; raises Unencodable for what could not be read back as what it is."""

    def decode(self, data: bytes) -> object:
        """The value of bytes that `encode` made; raises Undecodable for any other."""


@dataclass(frozen=True, slots=True)
class _Tagged:
    """For values of which nothing is known: each comes back as what it was."""

    fingerprint: str

    def encode(self, value: object) -> bytes:
        return tagged.encode(value)

    def decode(self, data: bytes) -> object:
        return tagged.decode(data)


TAGGED: Final[Codec] = _Tagged(tagged.FORMAT)
"""For values of which nothing is known: each comes back as what it was."""


@dataclass(frozen=True, slots=True)
class _Typed:
    """For values of a known type."""

    fingerprint: str
    write: Callable[[Any], bytes]
    read: Callable[[bytes], object]

    def encode(self, value: object) -> bytes:
        equal = None
        with suppress(Exception):  # the value is not of the type: whatever its classes raise then
            data = self.write(value)
            back = self.read(data)
            if back == value:
                equal = data
                if _is_same(back, value):
                    return data
        try:
            return _SELF_DESCRIBING + tagged.encode(value)
        except Unencodable:
            if equal is None:
                raise
            return equal

    def decode(self, data: bytes) -> object:
        if data[:1] == _SELF_DESCRIBING:
            return tagged.decode(memoryview(data)[1:])
        try:
            return self.read(data)
        except Exception as error:
            raise Undecodable(f"not a value of the type: {error}") from error


def _is_same(one: object, other: object) -> bool:
    """Whether equal values are of the same types, and their times of the same zones, throughout."""
    kind = type(one)
    if kind is not type(other) or kind in _LEAVES:
        return kind is type(other)
    if isinstance(one, datetime | time) and isinstance(other, datetime | time):
        return tagged.zone_of(one) == tagged.zone_of(other)
    if isinstance(one, set | frozenset) and isinstance(other, set | frozenset):
        others = {each: each for each in other}
        return all(_is_same(each, others[each]) for each in one)
    return _all_same(_within(one), _within(other))


def _within(value: Any) -> Iterable[object]:  # noqa: ANN401 - any object
    """What a value holds."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    kind: Any = type(value)
    return value if isinstance(value, list | tuple) else [getattr(value, name) for name in _names(kind)]


@lru_cache(maxsize=1024)
def _names(kind: Any) -> tuple[str, ...]:  # noqa: ANN401 - a class, of which mypy doubts that it has a hash
    return fields_of(kind) or ()


def _all_same(some: Iterable[object], others: Iterable[object]) -> bool:
    return all(map(_is_same, some, others))


def codec_for(annotation: object) -> Codec:
    """The codec for what a function says it returns.

    msgspec's where msgspec can tell all of the type apart, Pydantic's where there is a Pydantic model in it, else
    `TAGGED`: for `Any`, `object`, a bare `list` or `dict`, an annotation that is still a string, and any other class.
    Not for the hot path: it takes milliseconds. Names that an annotation refers to must be defined by now.
    """
    if isinstance(annotation, str):
        return TAGGED
    schema = Schema(annotation)
    if any(issubclass(each, BaseModel) for each in schema.classes):
        return _by_pydantic(annotation, schema) or TAGGED
    return _by_msgspec(annotation, schema) or TAGGED


def _by_msgspec(annotation: object, schema: Schema) -> Codec | None:
    try:
        kinds = {type(each) for each in _parts(inspect.type_info(annotation), set())}
    except (TypeError, NameError, AttributeError):  # msgspec knows no such type, or a name in it stands for nothing
        return None
    if kinds & {inspect.AnyType, inspect.CustomType, inspect.RawType, inspect.ExtType}:
        return None
    if kinds & {inspect.DateTimeType, inspect.TimeType}:  # MessagePack would give them back in UTC
        return _Typed(
            f"j{_FORMAT}{schema.fingerprint}", msgspec.json.Encoder().encode, msgspec.json.Decoder(annotation).decode
        )
    return _Typed(
        f"m{_FORMAT}{schema.fingerprint}", msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder(annotation).decode
    )


def _parts(node: object, seen: set[int]) -> Iterator[object]:
    """All types in a description by msgspec, which may go round in circles."""
    if isinstance(node, tuple):
        for each in node:
            yield from _parts(each, seen)
    elif isinstance(node, inspect.Type | inspect.Field) and id(node) not in seen:
        seen.add(id(node))
        yield node
        for name in node.__struct_fields__:
            yield from _parts(getattr(node, name), seen)


def _by_pydantic(annotation: Any, schema: Schema) -> Codec | None:  # noqa: ANN401 - an annotation is anything
    """Only the fields that were set are written, so that those are the ones that are set in what comes back."""
    if schema.is_open:
        return None
    with suppress(PydanticUserError, PydanticUndefinedAnnotation):
        adapter: TypeAdapter[Any] = TypeAdapter(annotation)
        return _Typed(
            f"p{_FORMAT}{schema.fingerprint}",
            lambda value: adapter.dump_json(
                value, by_alias=False, exclude_unset=True, round_trip=True, warnings="error"
            ),
            lambda data: adapter.validate_json(data, by_alias=False, by_name=True),
        )
    return None
