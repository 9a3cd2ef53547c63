"""Codecs by annotation."""

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from math import isnan, nan
from typing import Annotated, Any, Literal, NewType
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keel.cache.codec import TAGGED, Undecodable, Unencodable, codec_for
from tests.keel.cache.data import (
    Account,
    Aliased,
    Anything,
    Currency,
    Fill,
    Lot,
    Ordinary,
    Page,
    Point,
    Quote,
    Secretive,
    Shape,
    Side,
    TaxLot,
    Trade,
)
from tests.keel.cache.values import VALUES, kinds

SELF_DESCRIBING = b"\xc1"
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=-5)))
ACCOUNT = Account(id=UUID(int=7), balance=Decimal("1.10"), opened=date(2026, 1, 1), at=AT, tags={"a", "b"})
UserId = NewType("UserId", int)

ROUND_TRIPS: list[tuple[Any, object]] = [
    (int, 7),
    (None, None),
    (bytes, b"\xc1\x00"),
    (UserId, UserId(7)),
    (Literal["a", "b"], "b"),
    (Annotated[int, msgspec.Meta(ge=0)], 7),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("1E+2")),
    (datetime, AT),
    (datetime | None, None),
    (time, time(1, 2, 3, tzinfo=timezone(timedelta(hours=1)))),
    (list[timedelta], [timedelta(days=-1, microseconds=3)]),
    (dict[UUID, date], {UUID(int=1): date(2026, 1, 1)}),
    (dict[datetime, Decimal], {AT: Decimal("0.10")}),
    (tuple[int, str], (1, "a")),
    (tuple[Decimal, ...], (Decimal("1.0"), Decimal(2))),
    (set[Side], {Side.BUY, Side.SELL}),
    (frozenset[UUID], frozenset({UUID(int=1)})),
    (Currency, Currency.EUR),
    (Point, Point(1, "a")),
    (Quote, {"symbol": "ES", "price": Decimal("1.10")}),
    (Quote, {"symbol": "ES"}),
    (Trade, Trade(UUID(int=1), Side.SELL, Decimal("1.50"), AT, [Point(1)])),
    (list[Lot], [Lot(1, Decimal("1.0"))]),
    (Fill | None, Fill(Decimal("1.10"), frozenset({"a"}))),
    (Account, ACCOUNT),
    (Account, ACCOUNT.model_copy(update={"children": [ACCOUNT]})),
    (dict[str, Account | None], {"a": ACCOUNT, "b": None}),
    (tuple[Account, Secretive], (ACCOUNT, Secretive(open=1))),
    (Page[Lot], Page[Lot](items=[Lot(1, Decimal("1.0"))])),
    (Aliased, Aliased(netAmount=Decimal("1.0"), n="x")),
]


@pytest.mark.parametrize(("annotation", "value"), ROUND_TRIPS)
def test_a_value_of_the_type_comes_back_equal_and_needs_no_description(annotation: object, value: object) -> None:
    codec = codec_for(annotation)
    data = codec.encode(value)
    back = codec.decode(data)
    assert (back, kinds(back)) == (value, kinds(value))
    assert codec is not TAGGED
    assert data[:1] != SELF_DESCRIBING
    assert type(back) is type(value)


def test_an_offset_is_kept_through_msgspec_and_pydantic() -> None:
    assert str(codec_for(datetime).decode(codec_for(datetime).encode(AT))) == str(AT)
    account = codec_for(Account).decode(codec_for(Account).encode(ACCOUNT))
    assert isinstance(account, Account)
    assert account.at is not None
    assert account.at.isoformat() == AT.isoformat()


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Lot, TaxLot(1, Decimal(1), wash=True)),
        (Sequence[int], (1, 2)),
        (list[int], (1, 2)),
        (int, True),
        (int, 2**70),
        (str, "\ud800"),
        (dict[str, int], {1: 2}),
        (datetime, datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin"))),
        (datetime, datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))),
        (datetime, datetime(2026, 7, 1, tzinfo=ZoneInfo("UTC"))),
        (datetime, datetime(2026, 7, 1, tzinfo=timezone(timedelta(hours=1), "CET"))),
        (set[datetime], {datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Berlin"))}),
        (list[Trade], [Trade(UUID(int=1), Side.BUY, Decimal(1), AT.astimezone(ZoneInfo("Europe/Berlin")), [])]),
        (Account, ACCOUNT.model_copy(update={"at": AT.astimezone(ZoneInfo("Europe/Berlin"))})),
        (list[float], [1, 2.5]),
        (dict[str, Decimal], {"a": 1}),
        (tuple[float, ...], (1,)),
        (str, Side.BUY),
        (AbstractSet[int], frozenset({1})),
        (Account, ACCOUNT.model_copy(update={"side": "other"})),
        (Account, Lot(1, Decimal(1))),
        (Secretive, Secretive.model_validate({"open": 1, "more": {1, 2}})),
        (Aliased, Aliased(netAmount=Decimal(1), hidden="kept")),
    ],
)
def test_what_the_annotation_would_lose_is_described_and_kept(annotation: object, value: object) -> None:
    codec = codec_for(annotation)
    data = codec.encode(value)
    assert data[:1] == SELF_DESCRIBING
    assert codec.decode(data) == value
    assert kinds(codec.decode(data)) == kinds(value)
    assert sorted(repr(codec.decode(data))) == sorted(repr(value))  # sets have their members in any order


def test_what_only_the_annotation_can_write_is_written_so_even_where_it_comes_back_plainer() -> None:
    codec = codec_for(Mapping[str, int])
    back = codec.decode(codec.encode(Counter(a=1)))
    assert (back, type(back)) == ({"a": 1}, dict)


def test_nan_survives_a_typed_codec() -> None:
    codec = codec_for(list[float])
    back = codec.decode(codec.encode([nan, 1.5]))
    assert isinstance(back, list)
    assert isnan(back[0])


@pytest.mark.parametrize(
    "annotation",
    [
        Any,
        object,
        "int",
        list,
        dict[str, Any],
        dict[str, object],
        Anything,
        Ordinary,
        Shape,
        Callable[[int], str],
        int | str | datetime,
        Lot | Point | Trade,
        list["Missing"],  # type: ignore[name-defined]  # noqa: F821 - a name that stands for nothing
        dict[str, Account | Any],
        list[Account | Fill],
    ],
)
def test_a_type_that_says_too_little_is_described_by_its_values(annotation: object) -> None:
    codec = codec_for(annotation)
    assert codec is TAGGED
    assert codec.decode(codec.encode({"a": Decimal("1.0")})) == {"a": Decimal("1.0")}


@given(VALUES)
def test_whatever_is_returned_against_the_annotation_comes_back_equal(value: object) -> None:
    for annotation in (list[int], dict[str, Decimal], Account, Trade, tuple[datetime, ...]):
        codec = codec_for(annotation)
        assert codec.decode(codec.encode(value)) == value


def test_what_no_codec_can_write_is_refused() -> None:
    with pytest.raises(Unencodable, match="return builtins"):
        codec_for(Lot).encode(Ordinary())


@given(st.binary(max_size=100))
def test_bytes_of_anything_else_are_undecodable_and_nothing_worse(garbage: bytes) -> None:
    for codec in (TAGGED, codec_for(Trade), codec_for(Lot), codec_for(Account)):
        for data in (garbage, SELF_DESCRIBING + garbage):
            with suppress(Undecodable):
                codec.decode(data)


def test_fields_that_were_set_are_the_ones_that_are_set_again() -> None:
    codec = codec_for(Account)
    back = codec.decode(codec.encode(ACCOUNT))
    assert isinstance(back, Account)
    assert back.model_dump(exclude_unset=True) == ACCOUNT.model_dump(exclude_unset=True)


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    annotations = "Account, Trade, Fill, Slim, Point, Quote, Side, Currency, list[Account], dict[str, Lot] | None"
    program = (
        "from tests.keel.cache.data import *\nfrom keel.cache.codec import codec_for\n"
        f"print([codec_for(each).fingerprint for each in ({annotations})])"
    )

    def run(seed: str) -> str:
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}).stdout

    assert run("1") == run("2") != ""


def test_an_enum_with_another_member_has_another_fingerprint() -> None:
    one, two = Enum("E", {"A": "a"}), Enum("E", {"A": "a", "B": "b"})
    assert codec_for(one).fingerprint != codec_for(two).fingerprint
