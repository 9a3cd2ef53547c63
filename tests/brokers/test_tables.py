"""Columns by what they mean, and rows whose cells are read by name."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tradesense.brokers.contract import (
    DateOrder,
    Failed,
    Ignored,
    Imported,
    NeedsInput,
    Options,
    Outcome,
    Unreadable,
)
from tradesense.brokers.tables import Layout, Row, RowError, Table, fold, number, text, time
from tradesense.domain.money import ZERO

OPTIONS = Options(ZoneInfo("America/New_York"))
LAYOUT = Layout(
    time("at", "date/time", "datum"),
    text("symbol", "ticker", "symbol"),
    number("quantity", "qty", "no. of shares"),
    number("fee", "fee*", optional=True),
    number("change", "mutation", optional=True, offset=1),
)


def table(*rows: str, header: str = "Date/Time,Symbol,Qty,Fee", options: Options = OPTIONS) -> Table:
    cells = [(line, row.split(",")) for line, row in enumerate(rows, start=2)]
    return Table(header.split(","), lambda: cells, LAYOUT, options)


def first(*rows: str, header: str = "Date/Time,Symbol,Qty,Fee") -> Row:
    return next(table(*rows, header=header).rows())


@pytest.mark.parametrize(
    "name", ["Date/Time", "date_time", "DATETIME", " Date / Time ", "Date\u00a0Time", "date.time", "\ufeffDateTime"]
)
def test_spellings_of_one_name_fold_together(name: str) -> None:
    assert fold(name) == "datetime"


@pytest.mark.parametrize(
    ("name", "folded"), [("Größe", "große"), ("Quantité", "quantite"), ("MENGE", "menge"), ("数量", "数量")]
)
def test_names_of_other_languages_fold_too(name: str, folded: str) -> None:
    assert fold(name) == fold(folded)


def test_columns_are_located_by_any_synonym_in_any_order() -> None:
    assert LAYOUT.locate(["No. of Shares", "x", "DATUM", "ticker"]) == {"at": 2, "symbol": 3, "quantity": 0}


def test_the_first_synonym_is_preferred() -> None:
    assert LAYOUT.locate(["symbol", "ticker", "qty", "datum"]) == {"at": 3, "symbol": 1, "quantity": 2}


def test_a_synonym_with_a_star_is_a_beginning() -> None:
    found = LAYOUT.locate(["datum", "symbol", "qty", "Fees (EUR)"])
    assert found is not None
    assert found["fee"] == 3


def test_a_neighbour_without_a_name_is_reached_by_its_offset() -> None:
    row = first("2026-01-02,AAPL,1,EUR,-27.80", header="Datum,Symbol,Qty,Mutation,")
    assert row.number("change") == Decimal("-27.80")
    assert row.maps("change")


def test_a_header_lacking_a_required_column_is_none_and_says_so() -> None:
    assert LAYOUT.locate(["datum", "symbol"]) is None
    with pytest.raises(Unreadable, match=r"lacks a column for quantity \(qty, no\. of shares\); it has Datum, Symbol"):
        table(header="Datum,Symbol")


def test_cells_are_read_by_name() -> None:
    row = first("2026-01-02 10:00:00, AAPL ,3,")
    assert row.text("symbol") == row.required("symbol") == "AAPL"
    assert row.number("quantity") == 3
    assert row.moment("at").at == datetime(2026, 1, 2, 15, tzinfo=UTC)
    assert row.find_number("fee") is None
    assert row.amount("fee") == ZERO
    assert not row.has("fee")
    assert row.maps("fee")


def test_what_the_table_lacks_is_empty() -> None:
    row = first("2026-01-02,AAPL,3", header="Datum,Symbol,Qty")
    assert row.text("fee") == ""
    assert row.find_number("fee") is None
    assert row.find_moment("fee") is None
    with pytest.raises(RowError, match="no column for the fee"):
        row.number("fee")
    assert not row.maps("fee")


def test_a_cell_that_cannot_be_read_is_an_error_under_the_files_own_name() -> None:
    row = first("soon,,many,x")
    for attempt, column in (
        (lambda: row.moment("at"), "Date/Time"),
        (lambda: row.required("symbol"), "Symbol"),
        (lambda: row.number("quantity"), "Qty"),
        (lambda: row.amount("fee"), "Fee"),
    ):
        with pytest.raises(RowError) as refusal:
            attempt()
        assert refusal.value.column == column


def test_reading_text_as_a_time_is_a_mistake_of_the_importer() -> None:
    with pytest.raises(TypeError, match="no column of times"):
        first("2026-01-02,AAPL,3,").moment("symbol")


def converted(row: Row) -> Outcome:
    if row.text("symbol") == "skip":
        return Ignored(row.line, "skipped")
    row.number("quantity")
    row.moment("at")
    return Imported(row.line, ())


def outcomes(*rows: str) -> list[Outcome]:
    return list(table(*rows).outcomes(converted))


def test_every_row_has_one_outcome() -> None:
    assert outcomes("2026-01-02,AAPL,1,", "2026-01-02,skip,x,", "2026-01-02,AAPL,x,") == [
        Imported(2, ()),
        Ignored(3, "skipped"),
        Failed(4, "Qty", "'x' is not a number"),
    ]


def test_a_row_that_is_too_short_for_what_is_asked_of_it_has_failed() -> None:
    (failed,) = outcomes("2026-01-02,AAPL")
    assert isinstance(failed, Failed)
    assert failed.column == "Qty"
    assert "only 2 cells" in failed.message


def test_a_number_that_spills_into_another_cell_fails_its_row() -> None:
    (failed,) = outcomes("2026-01-02,AAPL,1,234,50")
    assert isinstance(failed, Failed)
    assert "needs quotes" in failed.message


def test_empty_cells_beyond_the_header_do_no_harm() -> None:
    assert outcomes("2026-01-02,AAPL,1,,, ") == [Imported(2, ())]


def test_times_around_a_change_of_clocks_are_warned_of_once() -> None:
    found = outcomes(*["2026-11-01 01:30:00,AAPL,1,"] * 3)
    warnings = [outcome.warning for outcome in found if isinstance(outcome, Imported)]
    assert warnings[0] is not None
    assert "America/New_York" in warnings[0]
    assert warnings[1:] == [None, None]


def styled(*quantities: str, header: str = "Datum;Symbol;Qty;Fee", semicolons: bool = True) -> list[Decimal]:
    rows = [(line, row.split(";")) for line, row in enumerate(quantities, start=2)]
    made = Table(header.split(";"), lambda: rows, LAYOUT, OPTIONS, semicolons=semicolons)
    return [row.number("quantity") for row in made.rows()]


def test_an_ambiguous_number_goes_with_the_others_of_its_column() -> None:
    assert styled("2026-01-02;A;1.234;", "2026-01-02;A;1,5;") == [Decimal(1234), Decimal("1.5")]
    assert styled("2026-01-02;A;1,234;", "2026-01-02;A;1.5;") == [Decimal(1234), Decimal("1.5")]


def test_an_undecided_column_goes_with_the_other_columns() -> None:
    assert styled("2026-01-02;A;1,234;0.5") == [Decimal(1234)]
    assert styled("2026-01-02;A;1.234;0,5") == [Decimal(1234)]


def test_a_lone_comma_is_decimal_only_where_semicolons_separate_cells() -> None:
    assert styled("2026-01-02;A;1,234;") == [Decimal("1.234")]
    assert styled("2026-01-02;A;1,234;", semicolons=False) == [Decimal(1234)]
    assert styled("2026-01-02;A;1.234;") == [Decimal("1.234")]


def test_columns_of_two_styles_are_each_read_by_their_own() -> None:
    rows = [(2, ["2026-01-02", "A", "419,22", "139.74"])]
    made = Table(["datum", "symbol", "qty", "fee"], lambda: rows, LAYOUT, OPTIONS)
    row = next(made.rows())
    assert (row.number("quantity"), row.number("fee")) == (Decimal("419.22"), Decimal("139.74"))


def test_an_ambiguous_date_is_asked_for_before_any_row_is_read() -> None:
    with pytest.raises(NeedsInput, match="date_order"):
        table("1/2/2026,A,1,")


def test_the_persons_answer_decides_what_the_column_leaves_open() -> None:
    options = Options(ZoneInfo("UTC"), date_order=DateOrder.DAY_FIRST)
    row = next(table("1/2/2026,A,1,", options=options).rows())
    assert row.moment("at").at == datetime(2026, 2, 1, tzinfo=UTC)
