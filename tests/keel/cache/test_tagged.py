"""Values that say themselves what they are."""

import math
import sys
import types
from collections import OrderedDict, defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext
from pydantic_core import TzInfo

from keel.cache.instances import Undecodable, Unencodable
from keel.cache.tagged import decode, encode
from tests.keel.cache import data
from tests.keel.cache.data import (
    Aliased,
    Anything,
    Counted,
    Incomplete,
    Lot,
    Mutable,
    Ordinary,
    Page,
    Point,
    Secretive,
    Side,
    Slim,
    TaxLot,
    Trade,
)
from tests.keel.cache.values import VALUES, kinds


def again(value: object) -> Any:  # noqa: ANN401 - whatever it was
    return decode(encode(value))


@given(VALUES)
def test_every_value_comes_back_as_what_it_was(value: object) -> None:
    back = again(value)
    assert back == value
    assert kinds(back) == kinds(value)


@given(st.binary(max_size=200))
def test_bytes_of_anything_else_are_undecodable_and_nothing_worse(garbage: bytes) -> None:
    with suppress(Undecodable):
        decode(garbage)


@given(VALUES, st.data())
def test_damaged_bytes_are_undecodable_and_nothing_worse(value: object, draw: st.DataObject) -> None:
    damaged = bytearray(encode(value))
    damaged[draw.draw(st.integers(0, len(damaged) - 1))] ^= draw.draw(st.integers(1, 255))
    with suppress(Undecodable):
        decode(bytes(damaged))


@given(st.integers(-1, 20), st.binary(max_size=50) | VALUES.map(encode))
def test_an_extension_around_anything_is_undecodable_and_nothing_worse(code: int, inner: bytes) -> None:
    with suppress(Undecodable):
        decode(msgspec.msgpack.encode(Ext(code, inner)))


@pytest.mark.parametrize(
    "value",
    [
        2**64,
        -(2**63) - 1,
        {2**70: 1},
        "half a pair: \ud800",
        {"\ud800": 1},
        {"a": (1, [2, {3}])},
        Decimal("1E+2"),
        Decimal("1.10"),
        math.inf,
        datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        time(1, 2, tzinfo=timezone(timedelta(hours=1))),
        Trade(UUID(int=1), Side.BUY, Decimal("1.50"), datetime(2026, 1, 1), [Point(1)]),  # noqa: DTZ001 - naive on purpose
        Counted(5),
        TaxLot(1, Decimal(1), wash=True),
        Slim(1),
        Anything((1, Side.SELL)),
        Aliased(netAmount=Decimal("1.0"), n="x"),
    ],
)
def test_what_is_easily_lost_is_kept(value: object) -> None:
    back = again(value)
    assert (back, kinds(back)) == (value, kinds(value))
    assert repr(back) == repr(value)


def test_nan_stays_nan() -> None:
    assert math.isnan(again([math.nan])[0])
    assert again(Decimal("sNaN123")).is_snan()
    assert again(complex(math.nan, 1)).imag == 1


def test_a_model_keeps_what_was_set_and_what_is_private() -> None:
    model = Secretive.model_validate({"open": 1, "more": (2,)})
    model._hidden = 3
    back = again(model)
    assert back == model
    assert (back._hidden, back.model_fields_set, back.model_extra) == (3, {"open", "more"}, {"more": (2,)})


def test_a_time_zone_of_pydantic_comes_back_as_its_offset() -> None:
    back = again(datetime(2026, 1, 1, tzinfo=TzInfo(3600)))
    assert back.isoformat() == "2026-01-01T00:00:00+01:00"
    assert type(back.tzinfo) is timezone


class Elsewhere(tzinfo):
    def utcoffset(self, at: datetime | None, /) -> timedelta:  # noqa: ARG002 - the same at all times
        return timedelta(hours=1)

    def dst(self, at: datetime | None, /) -> None:
        """It has none."""

    def tzname(self, at: datetime | None, /) -> None:
        """It has none."""


class Text(str):
    __slots__ = ()


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value, ()]
    return value


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (Ordinary(), "return builtins, a dataclass"),
        ([Ordinary], "return builtins, a dataclass"),
        (OrderedDict(a=1), "return builtins, a dataclass"),
        ([defaultdict(int)], "return builtins, a dataclass"),
        (Text("a"), "return builtins, a dataclass"),
        (Mutable(), "return builtins, a dataclass"),
        (ValueError("no"), "return builtins, a dataclass"),
        (Incomplete(), "while it is incomplete"),
        (Lot.__new__(Lot), "while it is incomplete"),
        (Aliased.model_construct(), "while it is incomplete"),  # type: ignore[call-arg]
        (datetime(2026, 1, 1, tzinfo=Elsewhere()), "use zoneinfo.ZoneInfo"),
        (nested(5000), "nested too deeply"),
    ],
)
def test_what_cannot_come_back_is_refused_with_advice(value: object, advice: str) -> None:
    with pytest.raises(Unencodable, match=advice):
        encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(Unencodable, match="contains itself"):
        encode(loop)


def test_a_class_inside_a_function_is_refused() -> None:
    @dataclass
    class Local:
        x: int

    for value in (Local(1), Page[Decimal](items=[Decimal(1)])):
        with pytest.raises(Unencodable, match=r"at the top of a module, or annotate what the function returns"):
            encode(value)


def test_a_class_whose_fields_have_changed_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    written = encode(Lot(1, Decimal(1)))

    @dataclass
    class Changed:
        quantity: int
        price: float

    Changed.__module__, Changed.__qualname__ = Lot.__module__, "Lot"
    monkeypatch.setattr(data, "Lot", Changed)
    with pytest.raises(Undecodable, match="has changed"):
        decode(written)


def test_nothing_is_imported_and_no_lazy_attribute_is_asked_for() -> None:
    asked: list[str] = []
    module = types.ModuleType("lazy_module")
    vars(module)["__getattr__"] = asked.append
    sys.modules["lazy_module"] = module
    written = encode(Lot(1, Decimal(1)))
    name = b"tests.keel.cache.data:Lot"
    try:
        for other in (b"this_module_is_not_there:", b"lazy_module:Lot_________"):
            with pytest.raises(Undecodable, match="no class of that name"):
                decode(written.replace(name, other.ljust(len(name), b"_")))
    finally:
        del sys.modules["lazy_module"]
    assert asked == []
    assert "this_module_is_not_there" not in sys.modules


def _written(*parts: object) -> bytes:
    code = 15
    return msgspec.msgpack.encode(Ext(code, msgspec.msgpack.encode(parts)))


@pytest.mark.parametrize("name", ["builtins:eval", "builtins:str", "os:system", "decimal:Decimal", "", ":", "os"])
def test_a_name_that_is_no_data_is_never_called(name: str) -> None:
    with pytest.raises(Undecodable, match="no class of that name holds data"):
        decode(_written(name, "", "print('never')"))


def _described(value: object) -> list[Any]:
    outer: list[Ext] = []
    msgspec.msgpack.decode(encode(value), ext_hook=lambda code, inner: outer.append(Ext(code, bytes(inner))))
    return cast("list[Any]", msgspec.msgpack.decode(outer[0].data))


@pytest.mark.parametrize("more", [[], [{}], [1, 2, 3, 4, 5]])
@pytest.mark.parametrize("value", [Lot(1, Decimal(1)), Point(1), Secretive(open=1), Slim(1)])
def test_a_state_that_does_not_fit_its_class_is_undecodable(value: object, more: list[object]) -> None:
    name, expected, *_ = _described(value)
    with pytest.raises(Undecodable):
        decode(_written(name, expected, *more))


def test_a_model_with_fields_of_another_is_undecodable() -> None:
    name, expected, *_ = _described(Secretive(open=1))
    with pytest.raises(Undecodable, match="other fields"):
        decode(_written(name, expected, {"close": 1}, Ext(3, msgspec.msgpack.encode(["close"])), None, None))
