"""What a person says beside a file, from the options of the command line to the reader's own."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal, DecimalException
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from typer import BadParameter

from tradesense.brokers.contract import DateOrder, Options, Question
from tradesense.brokers.mapping import FIELDS
from tradesense.domain.money import MAX_MAGNITUDE, plain


def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadParameter(f"{name!r} is no time zone; use a name like America/New_York or Europe/Berlin") from error


def day(text: str) -> date:
    """The day written as 2026-01-31."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadParameter(f"{text!r} is no day; write it as 2026-01-31") from error


def column_mapping(pairs: Sequence[str]) -> dict[str, str] | None:
    """`field=column` for each pair; None where there is none."""
    mapping: dict[str, str] = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or field not in FIELDS:
            raise BadParameter(f"{pair!r} maps nothing; write FIELD=COLUMN with FIELD one of {', '.join(FIELDS)}")
        mapping[field] = column
    return mapping or None


def balances(texts: Sequence[str]) -> dict[str, Decimal]:
    """Starting balances by currency, from `10000` (of the only currency, under the empty name) or `USD=10000`."""
    found: dict[str, Decimal] = {}
    for given in texts:
        currency, _, amount = given.rpartition("=")
        try:
            balance = Decimal(amount.strip().replace(",", ""))
        except DecimalException:
            balance = Decimal("NaN")
        if not balance.is_finite() or abs(balance) >= MAX_MAGNITUDE:
            raise BadParameter(f"{given!r} is no balance; write 10000 or USD=10000")
        found[currency.strip().upper()] = plain(balance)
    return found


def reading_options(
    timezone: str | None, the_date: str | None, date_order: str | None, mapping: Sequence[str], currency: str | None
) -> Options:
    """The reader's options; times without a zone are UTC where no zone is given."""
    return Options(
        timezone=zone(timezone or "UTC"),
        date=day(the_date) if the_date else None,
        date_order=DateOrder(date_order) if date_order else None,
        mapping=column_mapping(mapping),
        currency=currency,
    )


def import_options(
    timezone: str | None,
    the_date: str | None,
    date_order: str | None,
    mapping: Sequence[str],
    duplicates: str | None,
    *,
    skip_errors: bool,
) -> dict[str, Any]:
    """The options of an import, as the API takes them; what was not said is left out."""
    said = {
        "timezone": zone(timezone).key if timezone else None,
        "date": day(the_date).isoformat() if the_date else None,
        "date_order": date_order,
        "mapping": column_mapping(mapping),
        "suspected_duplicates": duplicates,
        "skip_errors": skip_errors or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def answer(question: Question) -> str:
    """How the command line answers a question."""
    name = "duplicates" if question.field == "suspected_duplicates" else question.field.replace("_", "-")
    option, choices = f"--{name}", ", ".join(question.options)
    if question.field == "mapping":
        return f"{option} FIELD=COLUMN, once for each field; the columns are {choices}"
    return f"{option}, one of {choices}" if choices else option
