"""Types of what comes in and goes out: bounded, so that whatever passes fits both databases, and exact."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from tradesense.domain import money
from tradesense.domain.instruments import CURRENCY

INT64_MAX: Final = (1 << 63) - 1
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_EXACT_FLOAT_DIGITS: Final = 15
_AMOUNT: Final = rf"^-?[0-9]{{1,16}}(\.[0-9]{{1,{money.MAX_DECIMALS}}})?$"
_PLAIN: Final = re.compile(_AMOUNT)
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Body(BaseModel):
    """What a client sends; a field that nobody knows is an error, not silently lost."""

    model_config = ConfigDict(extra="forbid")


def _without_defaults(schema: dict[str, Any]) -> None:
    for each in schema["properties"].values():
        each.pop("default", None)


class Edit(Body):
    """What is to change. A field that is left out stays as it is, so its default means nothing and is not shown."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)


class View(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True)


Line = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
    ),
]
"""A name: one line of text, not empty, without control characters."""

Text = Annotated[str, StringConstraints(max_length=50_000, pattern=r"^[^\u0000]*$")]
"""Prose, as long as a person writes."""

Ratio = Annotated[float, Field(allow_inf_nan=False)]
"""A number of statistics; never of money."""


def _read_amount(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
    if isinstance(value, bool) or (isinstance(value, str) and not _PLAIN.fullmatch(value)):
        raise ValueError("a decimal number is wanted, such as 1234.56")
    if not isinstance(value, float):
        return value
    exact = Decimal(repr(value)).normalize()
    if len(exact.as_tuple().digits) > _EXACT_FLOAT_DIGITS:
        raise ValueError(f"a JSON number is exact to {_EXACT_FLOAT_DIGITS} digits; send the decimal as a string")
    return exact


def _bounded(value: Decimal) -> Decimal:
    if abs(value) > money.MAX_MAGNITUDE:
        raise ValueError(f"the number must lie within ±{money.MAX_MAGNITUDE:f}")
    _, digits, exponent = value.as_tuple()
    if len(digits) > money.MAX_SIGNIFICANT_DIGITS or not isinstance(exponent, int) or -exponent > money.MAX_DECIMALS:
        raise ValueError(f"at most {money.MAX_SIGNIFICANT_DIGITS} digits, {money.MAX_DECIMALS} of them decimals")
    return money.plain(value)


Amount = Annotated[
    Decimal,
    BeforeValidator(_read_amount),
    AfterValidator(_bounded),
    PlainSerializer(money.text, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _AMOUNT},
                {"type": "number", "minimum": -1e15, "maximum": 1e15},
            ],
            "examples": ["10000.00"],
        },
        mode="validation",
    ),
    WithJsonSchema({"type": "string", "pattern": _AMOUNT, "examples": ["10000"]}, mode="serialization"),
]
"""An exact decimal that comes in, as a string (or a JSON number of at most 15 digits): money, a price, a quantity."""


def _positive(value: Decimal) -> Decimal:
    if value <= 0:
        raise ValueError("the number must be greater than 0")
    return value


PositiveAmount = Annotated[Amount, AfterValidator(_positive)]
"""An `Amount` above zero."""

Money = Annotated[
    Decimal,
    PlainSerializer(money.text, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["1944.5"]}),
]
"""An exact decimal that goes out, as a string without an exponent: money, a price, a quantity."""


def _written_out(value: Any) -> Any:  # noqa: ANN401 - whatever JSON has
    """Refuse what pydantic takes for seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _ISO.match(value)):
        raise ValueError("the date must be written as in 2026-03-05")
    return value


def _sane_time(value: datetime) -> datetime:
    if not EARLIEST <= value < LATEST:
        raise ValueError(f"the time must lie from {EARLIEST.year} to {LATEST.year - 1}")
    return value.astimezone(UTC)


Timestamp = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_sane_time),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-05T14:30:00Z"]}),
]
"""A moment, in UTC once it is in."""

Day = Annotated[
    date,
    BeforeValidator(_written_out),
    Field(ge=EARLIEST.date(), lt=LATEST.date()),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-03-05"]}),
]
"""A day of the calendar."""


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("the time zone is not known; use an IANA name such as Europe/Berlin") from None
    return value


TimeZone = Annotated[
    str,
    StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$"),
    AfterValidator(_known_zone),
    Field(examples=["America/New_York"]),
]
"""The name of a time zone in the IANA database."""

Currency = Annotated[str, StringConstraints(pattern=CURRENCY), Field(examples=["USD"])]
"""A currency: ISO 4217, or the ticker of a coin."""

ShownCurrency = Annotated[str, WithJsonSchema({"type": "string", "pattern": CURRENCY, "examples": ["USD"]})]
"""A currency that goes out, as it stands: what was read before there was a rule for it is shown, too."""
