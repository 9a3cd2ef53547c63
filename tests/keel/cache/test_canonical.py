"""Canonical texts: one for each value, and none that another value has."""

import dataclasses
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Any, NamedTuple, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from keel.cache.canonical import canonical, canonical_all, canonical_receiver

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.text(alphabet="s1:;lt", max_size=6)
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.datetimes()
    | st.times()
    | st.timedeltas()
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.dictionaries(st.text(), inner)
    ),
    max_leaves=12,
)


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any two values
    """Equal, and of equal types all the way down; decimals and signed zeros by what is written of them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(each, other[key]) for key, each in one.items())
    return repr(one) == repr(other)


@given(_VALUES, _VALUES)
def test_values_have_the_same_text_if_and_only_if_they_are_the_same(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) is _same(one, other)


@given(st.lists(_LEAVES, max_size=4), st.lists(_LEAVES, max_size=4))
def test_no_two_lists_of_values_run_into_one_another(one: list[object], other: list[object]) -> None:
    assert (canonical_all(one) == canonical_all(other)) is _same(one, other)


@given(st.dictionaries(st.text(), st.integers()), st.sets(st.integers() | st.text()))
def test_order_does_not_count_where_there_is_none(pairs: dict[str, int], members: set[object]) -> None:
    assert canonical(pairs) == canonical(dict(reversed(pairs.items())))
    assert canonical(members) == canonical({*reversed(list(members))})


class Side(Enum):
    BUY = 1
    SELL = 2


class Other(Enum):
    BUY = 1


class Level(IntEnum):
    ONE = 1


class Kind(StrEnum):
    ONE = "1"


class Marks(Flag):
    A = 1
    B = 2


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")

    a: int


class Struct(msgspec.Struct):
    a: int


class Point(NamedTuple):
    a: int


@dataclasses.dataclass
class Data:
    a: int


class UserId(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "somebody else"


class Named:
    def __init__(self, name: str) -> None:
        self.name = name

    def __cache_key__(self) -> str:
        return self.name


AccountId = NewType("AccountId", int)


def test_each_class_has_texts_of_its_own() -> None:
    values = [
        1, "1", Side.BUY, Side.SELL, Other.BUY, Level.ONE, Kind.ONE, Marks.A, Marks.A | Marks.B, Model(a=1), Model(a=2),
        Model(a=1, b=2), Struct(1), Struct(2), Point(1), (1,), Data(1), Data(2), {"a": 1}, UserId("1"), UserId("2"),
        Named("1"), Named("2"), Data, Struct,
    ]  # fmt: skip
    assert len({canonical(each) for each in values}) == len(values)
    assert canonical(Data(1)) == canonical(Data(1))
    assert canonical(AccountId(1)) == canonical(1)


def test_times_of_one_moment_in_different_zones_differ() -> None:
    moments = [
        datetime(2026, 1, 1, 12, tzinfo=UTC),
        datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 1, 1, 13, tzinfo=ZoneInfo("Europe/Berlin")),
        datetime(2026, 1, 1, 12),  # noqa: DTZ001 - naive on purpose
        datetime(2026, 1, 1, 12, fold=1),  # noqa: DTZ001 - the same
        time(12),
        time(12, tzinfo=UTC),
        date(2026, 1, 1),
        ZoneInfo("Europe/Berlin"),
        UTC,
        "2026-01-01",
    ]
    assert len({canonical(each) for each in moments}) == len(moments)


def test_numbers_of_any_length_have_texts() -> None:
    assert canonical(10**5000) != canonical(10**5000 + 1)
    assert canonical(float("nan")) == canonical(float("nan"))
    assert canonical(Decimal("1.0")) != canonical(Decimal("1.00"))
    assert canonical(UUID(int=1)) != canonical(1)


@pytest.mark.parametrize("value", [object(), [object()], lambda: 1, {1: open}])
def test_what_is_no_data_has_no_text(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be part of a cache key"):
        canonical(value)


def test_receivers_are_known_by_their_class_and_by_what_it_says() -> None:
    texts = {canonical_receiver(each) for each in (Named("a"), Named("b"), Named, Data(1), Struct(1))}
    assert len(texts) == 5
    assert canonical_receiver(Data(1)) == canonical_receiver(Data(2)) == canonical_receiver(Data)
