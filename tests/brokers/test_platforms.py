"""Tradovate, NinjaTrader, TopstepX, Tradervue, TradeZella and DAS: what is particular to each."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.cases import CASES, NEW_YORK, Case
from tradesense.brokers import registry
from tradesense.brokers.contract import NeedsInput, Options
from tradesense.brokers.documents import Document
from tradesense.brokers.option_names import read_option_name, third_friday
from tradesense.brokers.reading import Entry, Reading
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Right

Rewrite = Callable[..., Reading]


def case(name: str) -> Case:
    return next(one for one in CASES if one.format == name)


def entries(name: str) -> list[Entry]:
    one = case(name)
    reading, _ = registry.read_file(Document.open(one.path), None, one.options)
    with reading:
        return list(reading.fills())


@pytest.fixture
def rewritten(tmp_path: Path) -> Rewrite:
    """Read a format's fixture after some replacements in its text."""

    def read(name: str, *changes: tuple[str, str], options: Options | None = None) -> Reading:
        one = case(name)
        text = one.path.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / one.fixture
        path.write_text(text)
        return registry.read_file(Document.open(path), name, options or one.options)[0]

    return read


def money(found: list[Entry]) -> Decimal:
    """What the fills paid and received before costs."""
    return sum(
        (
            (entry.fill.price * entry.fill.quantity * entry.fill.instrument.multiplier)
            * (1 if entry.fill.side is Side.SELL else -1)
            for entry in found
        ),
        Decimal(0),
    )


def test_tradovate_orders_are_the_filled_ones(rewritten: Rewrite) -> None:
    with rewritten("tradovate/orders") as reading:
        assert reading.ignored == {"canceled": 1, "rejected": 1}
        found = list(reading.fills())
    assert money(found) == (Decimal("6003.5") + Decimal("5999.75") - 2 * Decimal("6001.25")) * 50
    assert {entry.fill.account for entry in found} == {"DEMO1"}
    assert str(found[0].fill.at) == "2026-02-03 14:30:05+00:00"


def test_a_working_tradovate_order_waits_for_the_next_export(rewritten: Rewrite) -> None:
    with rewritten("tradovate/orders", (" Filled,", " Working,")) as reading:
        assert reading.ignored["still working"] == 3


def test_a_cancelled_tradovate_order_counts_with_what_was_filled(rewritten: Rewrite) -> None:
    with rewritten("tradovate/orders", (" Filled,", " Canceled,")) as reading:
        assert reading.executions == 3


def test_a_filled_tradovate_order_without_its_quantity_has_failed(rewritten: Rewrite) -> None:
    with rewritten("tradovate/orders", (" Canceled,", " Filled,")) as reading:
        (error,) = reading.errors
    assert (error.line, error.column) == (3, "filledQty")


def test_tradovate_performance_pairs_open_with_what_came_first() -> None:
    found = entries("tradovate/performance")
    assert [entry.fill.side for entry in found] == [Side.BUY, Side.SELL, Side.BUY, Side.SELL, Side.SELL, Side.BUY]
    assert money(found) == Decimal("112.50") - 75 + 1515


def test_tradovate_pairs_of_one_second_open_with_the_older_fill(rewritten: Rewrite) -> None:
    same = ("02/03/2026 11:05:00", "02/03/2026 11:20:00")
    with rewritten("tradovate/performance", same) as reading:
        assert [entry.fill.side for entry in reading.fills()][4:] == [Side.SELL, Side.BUY]


def test_a_fill_that_closes_two_others_is_told_apart_by_its_pairs() -> None:
    assert len({entry.identity for entry in entries("tradovate/performance")}) == 6


def test_a_stated_profit_that_is_not_ours_is_a_warning_that_names_both(rewritten: Rewrite) -> None:
    with rewritten("topstepx/trades", ("40.000000000", "-40.000000000")) as reading:
        (warned,) = reading.warnings
    assert warned.line == 3
    assert "-40.000000000" in warned.message
    assert "40 before costs, 39.03 after" in warned.message


def test_a_stated_profit_before_or_after_costs_agrees(rewritten: Rewrite) -> None:
    for name in ("topstepx/trades", "ninjatrader/grid", "tradovate/performance"):
        with rewritten(name) as reading:
            assert reading.warnings == []


def test_the_costs_of_a_round_trip_are_halved_and_add_up(rewritten: Rewrite) -> None:
    with rewritten("topstepx/trades", ("1.44", "0.000000000003")) as reading:
        entry, exit_, *_ = reading.fills()
    assert entry.fill.fees == Decimal("1E-12")
    assert entry.fill.fees + exit_.fill.fees == Decimal("0.000000000003")
    assert (entry.fill.commission, exit_.fill.commission) == (Decimal("0.25"), Decimal("0.25"))


def test_an_exit_before_its_entry_has_failed(rewritten: Rewrite) -> None:
    with rewritten("topstepx/trades", ("02/03/2026 09:41:17", "02/03/2026 08:41:17")) as reading:
        assert "before the entry" in reading.errors[0].message


def test_a_short_topstepx_id_is_a_rows_number_and_names_nothing(rewritten: Rewrite) -> None:
    with rewritten("topstepx/trades", ("812345601", "1")) as reading:
        assert [entry.fill.identity is None for entry in reading.fills()] == [True, True, False, False, False, False]


def test_a_direction_that_is_none_has_failed(rewritten: Rewrite) -> None:
    with rewritten("topstepx/trades", ("Short", "Sideways")) as reading:
        assert reading.errors[0].message == "'Sideways' is neither long nor short"
    with rewritten("topstepx/trades", ("Short", "")) as reading:
        assert reading.errors[0].message == "long or short is missing"


def test_ninjatrader_dates_are_asked_for_where_neither_the_column_nor_a_loss_tells(rewritten: Rewrite) -> None:
    with pytest.raises(NeedsInput, match="date_order: Entry time has 2/3/2026"):
        rewritten("ninjatrader/grid", ("($12.28)", "-$12.28"), options=NEW_YORK)


def test_a_ninjatrader_loss_in_american_brackets_tells_that_the_month_comes_first(rewritten: Rewrite) -> None:
    with rewritten("ninjatrader/grid", options=NEW_YORK) as reading:
        assert next(iter(reading.fills())).fill.wall.isoformat() == "2026-02-03T09:30:05"


def test_ninjatrader_shows_the_fees_of_several_parties(rewritten: Rewrite) -> None:
    with rewritten("ninjatrader/grid") as reading:
        entry, exit_, *_ = reading.fills()
    assert entry.fill.fees + exit_.fill.fees == Decimal("0.50")
    assert (entry.fill.instrument.root, entry.fill.instrument.expiry) == ("MES", date(2026, 3, 1))


def test_a_ninjatrader_profit_in_per_cent_is_not_compared(rewritten: Rewrite) -> None:
    with rewritten("ninjatrader/grid", ("$20.44,$20.44", "0.12%,0.12%")) as reading:
        assert (reading.error_count, reading.warning_count) == (0, 0)


def test_a_ninjatrader_contract_without_a_known_multiplier_has_failed(rewritten: Rewrite) -> None:
    with rewritten("ninjatrader/executions", ("MES 03-26", "QQX 03-26")) as reading:
        assert "no multiplier is known for the future 'QQX'" in reading.errors[0].message


def test_a_ninjatrader_stock_is_a_stock(rewritten: Rewrite) -> None:
    with rewritten("ninjatrader/executions", ("MES 03-26", "MSFT")) as reading:
        assert {entry.fill.instrument.asset_class for entry in reading.fills()} == {AssetClass.STOCK}


def test_tradervue_names_options_by_month(rewritten: Rewrite) -> None:
    with rewritten("tradervue/generic") as reading:
        option, short, *_ = (entry.fill for entry in reading.fills())
    assert (option.instrument.expiry, option.instrument.strike) == (date(2026, 2, 20), Decimal(610))
    assert option.instrument.multiplier == 100
    assert (short.side, short.fees) == (Side.SELL, Decimal("-0.15"))


def test_a_tradervue_option_that_says_nothing_has_failed(rewritten: Rewrite) -> None:
    with rewritten("tradervue/generic", ("FEB 26 610 CALL", "a call")) as reading:
        assert reading.errors[0].column == "Option"


def test_tradervue_without_sides_takes_the_sign_of_the_quantity(rewritten: Rewrite) -> None:
    with rewritten("tradervue/generic", ("Side", "Nothing"), (",2000,601.50", ",-2000,601.50")) as reading:
        assert [entry.fill.side for entry in reading.fills()] == [Side.BUY, Side.SELL, Side.BUY, Side.BUY]


def test_tradezella_tells_options_by_their_parts(rewritten: Rewrite) -> None:
    with rewritten("tradezella/generic") as reading:
        *_, option = (entry.fill for entry in reading.fills())
    assert (option.instrument.expiry, option.instrument.right) == (date(2026, 2, 20), Right.CALL)


@pytest.mark.parametrize(
    ("change", "column"),
    [((",600,Call", ",600,Maybe"), "Call/Put"), (("Single,02/20/26,600", "Option,02/20/26,"), "Strike")],
)
def test_a_tradezella_option_lacking_a_part_has_failed(
    change: tuple[str, str], column: str, rewritten: Rewrite
) -> None:
    with rewritten("tradezella/generic", change) as reading:
        assert {error.column for error in reading.errors} == {column}


def test_tradezella_may_have_date_and_time_in_one_column(rewritten: Rewrite) -> None:
    joined = [("Date,Time,", "Date / Time,Note,")]
    joined += [(f"02/03/26,{time}", f"02/03/26 {time},") for time in ("09:30:00", "15:55:00", "11:05:00", "14:20:00")]
    with rewritten("tradezella/generic", *joined) as reading:
        assert [entry.fill.wall.hour for entry in reading.fills()] == [9, 15, 11, 14]


def test_das_asks_for_the_date_that_it_lacks() -> None:
    one = case("das/trades")
    with pytest.raises(NeedsInput) as asked:
        registry.read_file(Document.open(one.path), None, NEW_YORK)
    assert [question.field for question in asked.value.questions] == ["date"]


def test_das_takes_a_date_of_its_own(rewritten: Rewrite) -> None:
    changes = [("Time,Symbol", "Date,Time,Symbol")]
    changes += [(f"{time}", f"2026-03-09,{time}") for time in ("09:31:05", "09:45:12", "10:02:33", "10:15:47")]
    options = replace(case("das/trades").options, date=None)
    with rewritten("das/trades", *changes, options=options) as reading:
        assert {entry.fill.wall.date() for entry in reading.fills()} == {date(2026, 3, 9)}


def test_das_sells_short_with_ss() -> None:
    assert entries("das/trades")[0].fill.side is Side.SELL


@pytest.mark.parametrize(
    ("name", "expiry", "strike", "right"),
    [
        ("JAN 12 125 CALL", date(2012, 1, 20), "125", Right.CALL),
        ("APR26 13 375.5 PUT", date(2013, 4, 26), "375.5", Right.PUT),
        ("dec 2026 10 p", date(2026, 12, 18), "10", Right.PUT),
    ],
)
def test_an_options_name_is_taken_apart(name: str, expiry: date, strike: str, right: Right) -> None:
    assert read_option_name(name) == (expiry, Decimal(strike), right)


@pytest.mark.parametrize("name", ["", "JAN", "XXX 12 125 CALL", "FEB30 12 125 CALL", "JAN 12 125 STRADDLE"])
def test_what_is_no_options_name_is_none(name: str) -> None:
    assert read_option_name(name) is None


@pytest.mark.parametrize("month", range(1, 13))
def test_the_third_friday(month: int) -> None:
    day = third_friday(2026, month)
    assert day.weekday() == 4
    assert 15 <= day.day <= 21


def sample(folder: Path, name: str, options: Options = NEW_YORK) -> tuple[Reading, list[Entry]]:
    reading, _ = registry.read_file(Document.open(folder / name), None, options)
    with reading:
        return reading, list(reading.fills())


def test_the_sample_of_tradovate_orders(broker_samples: Path) -> None:
    reading, found = sample(broker_samples, "tradovate/orders.csv")
    assert (reading.rows, reading.imported, dict(reading.ignored), reading.error_count) == (28, 12, {"canceled": 16}, 0)
    assert money(found) == Decimal("1944.50")


def test_the_sample_of_tradovate_performance(broker_samples: Path) -> None:
    reading, found = sample(broker_samples, "tradovate/performance.csv")
    assert (reading.rows, reading.warnings) == (2, [])
    assert [money(found[:2]), money(found[2:])] == [-400, 1200]


def test_the_sample_of_topstepx_states_a_wrong_sign(broker_samples: Path) -> None:
    reading, found = sample(broker_samples, "topstepx/trades.csv")
    assert [money(found[:2]), money(found[2:])] == [51, 400]
    (warned,) = reading.warnings
    assert (warned.line, "-400.00" in warned.message, "400 before" in warned.message) == (3, True, True)


def test_the_sample_of_ninjatraders_grid(broker_samples: Path) -> None:
    reading, found = sample(broker_samples, "ninjatrader/trades-grid.csv", case("ninjatrader/grid").options)
    assert (reading.rows, reading.executions) == (6, 12)
    assert money(found) == Decimal("72.5")
    assert all("states a P&L" in warned.message for warned in reading.warnings)


def test_the_samples_of_other_journals(broker_samples: Path) -> None:
    for name in ("tradervue/generic.csv", "tradezella/generic.csv"):
        reading, found = sample(broker_samples, name)
        assert (reading.rows, reading.executions, reading.error_count) == (2, 2, 0)
        assert found[0].fill.wall.date() == date(2012, 1, 5)


def test_the_sample_of_das(broker_samples: Path) -> None:
    reading, found = sample(broker_samples, "das/trades.csv", case("das/trades").options)
    assert (reading.rows, reading.executions) == (7, 7)
    assert found[0].fill.wall == datetime(2026, 3, 2, 9, 31, 5)  # noqa: DTZ001
