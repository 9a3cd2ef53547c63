"""Values that say themselves what they are: MessagePack, with an extension for each type that it lacks."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec.msgpack import Ext
from pydantic_core import TzInfo

from keel.cache.instances import Undecodable, Unencodable, put_together, taken_apart
from keel.cache.schema import name_of

FORMAT: Final = "tagged-1"
"""To be changed with anything below that changes how bytes are read."""


class _Tag:
    """Codes of the extensions."""

    INT: Final = 1
    TUPLE: Final = 2
    SET: Final = 3
    FROZENSET: Final = 4
    DICT: Final = 5
    DECIMAL: Final = 6
    DATETIME: Final = 7
    DATE: Final = 8
    TIME: Final = 9
    TIMEDELTA: Final = 10
    UUID: Final = 11
    BYTEARRAY: Final = 12
    COMPLEX: Final = 13
    SURROGATES: Final = 14
    INSTANCE: Final = 15


_ATOMS: Final = frozenset({type(None), bool, int, float, str, bytes})
_SAFE: Final = frozenset({type(None), bool, float, bytes})
_TEXT: Final = frozenset({str})
_ENCODER: Final = msgspec.msgpack.Encoder()


def encode(value: object) -> bytes:
    """The bytes of a value; raises Unencodable for what could not be read back as what it is."""
    try:
        if _is_plain(value):
            try:
                return _ENCODER.encode(value)
            except (OverflowError, UnicodeEncodeError):
                pass  # an int of more than 64 bits, or half a surrogate pair: these have tags
        return _ENCODER.encode(_tagged(value))
    except RecursionError:
        raise Unencodable("a value that contains itself, or is nested too deeply, cannot be cached") from None


def decode(data: bytes | memoryview) -> object:
    """The value of bytes that `encode` made; raises Undecodable for any other."""
    try:
        return _DECODER.decode(data)
    except Exception as error:
        raise Undecodable(f"not a value that can be read here: {error}") from error


def _is_plain(value: object) -> bool:
    """Whether MessagePack alone gives it back as what it is: atoms, lists, dicts of atoms, and nothing derived."""
    kind = type(value)
    if kind is list:
        return _all_plain(cast("list[object]", value))
    if kind is dict:
        whole = cast("dict[object, object]", value)
        return _ATOMS.issuperset(map(type, whole)) and _all_plain(whole.values())
    return kind in _ATOMS


def _all_plain(values: Iterable[object]) -> bool:
    atoms = _ATOMS
    for each in values:  # noqa: SIM110 - takes two thirds of the time of all() over a generator
        if type(each) not in atoms and not _is_plain(each):
            return False
    return True


def _tagged(value: object) -> object:
    """The value in atoms, lists, dicts and extensions."""
    kind = type(value)
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value)
    return _ext(_Tag.INSTANCE, _all_tagged(taken_apart(value)))


def _ext(tag: int, payload: object) -> Ext:
    return Ext(tag, _ENCODER.encode(payload))


def _all_tagged(values: Iterable[object]) -> list[object]:
    return [each if type(each) in _SAFE else _tagged(each) for each in values]


def _same(value: object) -> object:
    return value


def _int(value: int) -> object:
    if -(1 << 63) <= value < 1 << 64:
        return value
    return Ext(_Tag.INT, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _str(value: str) -> object:
    if value.isascii():
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return Ext(_Tag.SURROGATES, value.encode("utf-8", "surrogatepass"))
    return value


def _dict(value: dict[Any, object]) -> object:
    if _TEXT.issuperset(map(type, value)) and all(map(str.isascii, value)):
        return dict(zip(value, _all_tagged(value.values()), strict=True))
    return _ext(_Tag.DICT, _all_tagged(each for pair in value.items() for each in pair))


def _datetime(value: datetime) -> object:
    return _ext(_Tag.DATETIME, [value.replace(tzinfo=None).isoformat(), value.fold, zone_of(value)])


def _time(value: time) -> object:
    return _ext(_Tag.TIME, [value.replace(tzinfo=None).isoformat(), value.fold, zone_of(value)])


def _timedelta(value: timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def zone_of(moment: datetime | time) -> object:
    """None, the key of a ZoneInfo, or a fixed offset with its name if it was given one; raises Unencodable."""
    zone = moment.tzinfo
    if zone is None:
        return None
    if type(zone) is ZoneInfo and zone.key:
        return zone.key
    if type(zone) in (timezone, TzInfo):
        offset = cast("timedelta", zone.utcoffset(None))
        name, usual = zone.tzname(None), timezone(offset).tzname(None)
        return [*_timedelta(offset), None if name == usual or type(zone) is TzInfo else name]
    raise Unencodable(
        f"a time zone of {name_of(type(zone))} cannot be cached: use zoneinfo.ZoneInfo or datetime.timezone"
    )


def _read(code: int, data: memoryview) -> object:
    return _READERS[code](data)


_DECODER: Final = msgspec.msgpack.Decoder(ext_hook=_read)


def _inner(data: memoryview) -> Any:  # noqa: ANN401 - what it may be, the caller finds out
    return _DECODER.decode(data)


def _read_dict(data: memoryview) -> object:
    flat = _inner(data)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _read_datetime(data: memoryview) -> object:
    text, fold, zone = _inner(data)
    return datetime.fromisoformat(text).replace(fold=fold, tzinfo=_read_zone(zone))


def _read_time(data: memoryview) -> object:
    text, fold, zone = _inner(data)
    return time.fromisoformat(text).replace(fold=fold, tzinfo=_read_zone(zone))


def _read_zone(zone: Any) -> tzinfo | None:  # noqa: ANN401 - whatever was in the bytes
    if zone is None:
        return None
    if isinstance(zone, str):
        return ZoneInfo(zone)
    *offset, name = zone
    offset = timedelta(*offset)
    return timezone(offset) if name is None else timezone(offset, name)


_WRITERS: Final[dict[type, Callable[[Any], object]]] = {
    type(None): _same,
    bool: _same,
    float: _same,
    bytes: _same,
    int: _int,
    str: _str,
    list: _all_tagged,
    dict: _dict,
    tuple: lambda value: _ext(_Tag.TUPLE, _all_tagged(value)),
    set: lambda value: _ext(_Tag.SET, _all_tagged(value)),
    frozenset: lambda value: _ext(_Tag.FROZENSET, _all_tagged(value)),
    bytearray: lambda value: Ext(_Tag.BYTEARRAY, bytes(value)),
    complex: lambda value: _ext(_Tag.COMPLEX, [value.real, value.imag]),
    Decimal: lambda value: Ext(_Tag.DECIMAL, str(value).encode()),
    UUID: lambda value: Ext(_Tag.UUID, value.bytes),
    datetime: _datetime,
    date: lambda value: Ext(_Tag.DATE, value.isoformat().encode()),
    time: _time,
    timedelta: lambda value: _ext(_Tag.TIMEDELTA, _timedelta(value)),
}
_READERS: Final[dict[int, Callable[[memoryview], object]]] = {
    _Tag.INT: lambda data: int.from_bytes(data, "big", signed=True),
    _Tag.SURROGATES: lambda data: bytes(data).decode("utf-8", "surrogatepass"),
    _Tag.TUPLE: lambda data: tuple(_inner(data)),
    _Tag.SET: lambda data: set(_inner(data)),
    _Tag.FROZENSET: lambda data: frozenset(_inner(data)),
    _Tag.DICT: _read_dict,
    _Tag.BYTEARRAY: bytearray,
    _Tag.COMPLEX: lambda data: complex(*_inner(data)),
    _Tag.DECIMAL: lambda data: Decimal(bytes(data).decode("ascii")),
    _Tag.UUID: lambda data: UUID(bytes=bytes(data)),
    _Tag.DATETIME: _read_datetime,
    _Tag.DATE: lambda data: date.fromisoformat(bytes(data).decode("ascii")),
    _Tag.TIME: _read_time,
    _Tag.TIMEDELTA: lambda data: timedelta(*_inner(data)),
    _Tag.INSTANCE: lambda data: put_together(*_inner(data)),
}
