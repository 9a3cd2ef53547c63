from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.json_schema import JsonSchemaMode

from tradesense.domain import money
from tradesense.http.types import (
    Amount,
    Currency,
    Day,
    Edit,
    Line,
    Money,
    PositiveAmount,
    Ratio,
    Text,
    Timestamp,
    TimeZone,
)


class Sent(BaseModel):
    """One of each."""

    amount: Amount = Decimal(0)
    positive: PositiveAmount = Decimal(1)
    money: Money = Decimal(0)
    ratio: Ratio = 0.0
    line: Line = "x"
    text: Text = ""
    at: Timestamp = datetime(2026, 1, 1, tzinfo=UTC)
    day: Day = date(2026, 1, 1)
    zone: TimeZone = "UTC"
    currency: Currency = "USD"


@pytest.mark.parametrize(
    ("field", "given_", "got"),
    [
        ("amount", "1234.50", Decimal("1234.5")),
        ("amount", 10000, Decimal(10000)),
        ("amount", 0.1, Decimal("0.1")),
        ("amount", "-0", Decimal(0)),
        ("amount", "1" + "0" * 15, Decimal(10**15)),
        ("amount", "0." + "0" * 23 + "1", Decimal("1e-24")),
        ("positive", "0.5", Decimal("0.5")),
        ("line", "  a name ", "a name"),
        ("text", "two\nlines", "two\nlines"),
        ("at", "2026-03-05T14:30:00+02:00", datetime(2026, 3, 5, 12, 30, tzinfo=UTC)),
        ("zone", "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("zone", "Etc/GMT+5", "Etc/GMT+5"),
        ("currency", "USDT", "USDT"),
    ],
)
def test_what_fits_is_taken(field: str, given_: object, got: object) -> None:
    assert getattr(Sent.model_validate({field: given_}), field) == got


@pytest.mark.parametrize(
    ("field", "given_"),
    [
        ("amount", "NaN"),
        ("amount", float("inf")),
        ("amount", True),
        ("amount", "1e5"),
        ("amount", "1_000"),
        ("amount", " 1 "),
        ("amount", "٣"),
        ("amount", "1" + "0" * 15 + ".1"),
        ("amount", "0." + "0" * 24 + "1"),
        ("amount", "123456789012345.123456789012"),
        ("amount", 0.1234567890123456),
        ("amount", 10**400),
        ("amount", None),
        ("positive", "0"),
        ("positive", "-1"),
        ("ratio", float("nan")),
        ("line", "   "),
        ("line", "two\nlines"),
        ("line", "a\0b"),
        ("line", "\ud800"),
        ("line", "x" * 201),
        ("text", "a\0b"),
        ("text", "\udfff"),
        ("at", "0001-01-01T00:00:00+23:59"),
        ("at", "9999-12-31T23:59:59-12:00"),
        ("at", "2026-01-01T00:00:00"),
        ("at", 1772720000),
        ("at", "1772720000"),
        ("day", 0),
        ("day", "0"),
        ("day", "1899-12-31"),
        ("day", "2200-01-01"),
        ("zone", "Mars"),
        ("zone", "Europe"),
        ("zone", "../../etc/passwd"),
        ("zone", "Europe/Berlin\0"),
        ("currency", "usd"),
        ("currency", "$"),
    ],
)
def test_what_does_not_fit_is_refused(field: str, given_: object) -> None:
    with pytest.raises(ValidationError) as refused:
        Sent.model_validate({field: given_})
    assert [error["loc"] for error in refused.value.errors()] == [(field,)]


@given(st.decimals(-(10**15), 10**15, allow_nan=False, places=10))
def test_amounts_come_in_and_go_out_to_the_last_digit(value: Decimal) -> None:
    sent = Sent(amount=Decimal(0)).model_validate({"amount": money.text(value), "money": money.text(value)})
    assert sent.model_dump()["amount"] == value
    assert sent.model_dump(mode="json")["amount"] == sent.model_dump(mode="json")["money"] == money.text(value)


@given(st.floats(-1e15, 1e15).map(lambda value: float(f"{value:.15g}")))
def test_a_json_number_of_15_digits_is_the_decimal_that_was_written(value: float) -> None:
    adapter: TypeAdapter[Decimal] = TypeAdapter(Amount)
    written = Decimal(repr(value))
    exponent = written.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -money.MAX_DECIMALS:
        assert adapter.validate_python(value) == written


def test_every_type_says_its_bounds_in_the_schema() -> None:
    modes: tuple[JsonSchemaMode, ...] = ("validation", "serialization")
    for mode in modes:
        schema: dict[str, Any] = Sent.model_json_schema(mode=mode)
        for name, field in schema["properties"].items():
            bounds = {"pattern", "maxLength", "maximum", "exclusiveMaximum", "format", "anyOf"}
            assert name == "ratio" or bounds & field.keys(), (name, field)


def test_the_schema_of_an_edit_shows_no_defaults() -> None:
    class Rename(Edit):
        name: Line = "unset"

    assert "default" not in Rename.model_json_schema()["properties"]["name"]
