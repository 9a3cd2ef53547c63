"""thinkorswim's account statements."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.brokers.cases import FIXTURES, NEW_YORK
from tests.brokers.importing import costs, flow, read_path, read_text, trades
from tradesense.brokers.contract import CashKind, Unreadable
from tradesense.brokers.formats import Context
from tradesense.brokers.reading import Reading
from tradesense.brokers.tables import RowError
from tradesense.brokers.thinkorswim_text import (
    option_multiplier,
    read_instrument,
    read_removal,
    read_spread,
    read_trade,
)
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Right

_STATEMENT = (FIXTURES / "thinkorswim.csv").read_text()
_LEDGER = "Cash Balance\nDATE,TIME,TYPE,REF #,DESCRIPTION,Misc Fees,Commissions & Fees,AMOUNT,BALANCE\n"
_HISTORY = (
    "Account Trade History\n,Exec Time,Spread,Side,Qty,Pos Effect,Symbol,Exp,Strike,Type,Price,Net Price,Order Type\n"
)
_CONTEXT = Context.of(NEW_YORK)
_DAY = date(2026, 3, 2)


def _read(tmp_path: Path, text: str) -> Reading:
    return read_text(tmp_path, "thinkorswim", text)


def _ledger(tmp_path: Path, *rows: str) -> Reading:
    return _read(tmp_path, _LEDGER + "".join(f"3/2/26,09:31:12,{row},,,{{}}\n".format("") for row in rows))


def test_the_sample_has_103_fills_of_futures_options_whose_cash_adds_up(broker_samples: Path) -> None:
    with read_path(
        broker_samples / "thinkorswim" / "account-statement.csv",
        options=replace(NEW_YORK, timezone=ZoneInfo("US/Central")),
    ) as reading:
        assert (reading.broker, reading.format) == ("thinkorswim", "account-statement")
        assert (reading.rows, reading.imported, reading.executions, reading.error_count) == (446, 103, 103, 0)
        assert reading.ignored == {
            "balance": 2,
            "total": 2,
            "account order history": 116,
            "account trade history": 159,
            "futures options": 2,
            "profits and losses": 48,
            "forex account summary": 8,
            "account summary": 6,
        }
        assert reading.warnings == []
        assert sum(flow(entry) for entry in reading.fills()) == Decimal("660.00")
        assert costs(reading) == Decimal("354.06")
        assert {entry.fill.instrument.multiplier for entry in reading.fills()} == {Decimal(20)}
        assert {entry.fill.identity for entry in reading.fills()} == {None}
        assert len({entry.identity for entry in reading.fills()}) == 103
        open_ = {
            symbol: found[-1].open_quantity for symbol, found in trades(reading).items() if found[-1].open_quantity
        }
    assert open_ == {"/Q4CJ22P13070": Decimal(2)}


def test_a_spreads_legs_are_priced_by_the_trade_history_and_share_the_costs(tmp_path: Path) -> None:
    with _read(tmp_path, _STATEMENT) as reading:
        legs = [entry.fill for entry in reading.fills() if entry.line == 17]
        assert reading.warnings == []
    assert [(leg.side, leg.quantity, leg.price, leg.instrument.strike, leg.instrument.right) for leg in legs] == [
        (Side.BUY, Decimal(2), Decimal("2.10"), Decimal(50), Right.CALL),
        (Side.SELL, Decimal(2), Decimal("0.90"), Decimal(55), Right.CALL),
    ]
    assert [(leg.commission, leg.fees) for leg in legs] == [(Decimal("1.30"), Decimal("0.025"))] * 2


def test_a_spread_without_its_legs_fails_and_says_what_to_export(tmp_path: Path) -> None:
    without = _STATEMENT.replace("Account Trade History", "Account Order History")
    with _read(tmp_path, without) as reading:
        (error,) = reading.errors
    assert error.line == 17
    assert "Account Trade History" in error.message


def test_two_spreads_of_one_second_take_the_legs_of_their_own_price(tmp_path: Path) -> None:
    history = (
        f"{_HISTORY}"
        ",3/3/26 10:00:00,VERTICAL,BUY,+1,TO OPEN,ACME,20 MAR 26,50,CALL,2.00,1.00,LMT\n"
        ",,,SELL,-1,TO OPEN,ACME,20 MAR 26,55,CALL,1.00,DEBIT,\n"
        ",3/3/26 10:00:00,VERTICAL,BUY,+1,TO OPEN,ACME,20 MAR 26,50,CALL,2.10,1.05,LMT\n"
        ",,,SELL,-1,TO OPEN,ACME,20 MAR 26,55,CALL,1.05,DEBIT,\n"
        ",broken,STOCK,BUY,+1,TO OPEN,ACME,,,STOCK,x,1.05,LMT\n\n"
    )
    rows = (
        "3/3/26,10:00:00,TRD,1,BOT +1 VERTICAL ACME 100 20 MAR 26 50/55 CALL @1.05,,,-105.00,0\n"
        "3/3/26,10:00:00,TRD,2,BOT +1 VERTICAL ACME 100 20 MAR 26 50/55 CALL @1.00,,,-100.00,0\n"
    )
    with _read(tmp_path, history + _LEDGER + rows) as reading:
        assert [entry.fill.price for entry in reading.fills()] == [
            Decimal("2.10"),
            Decimal("1.05"),
            Decimal("2.00"),
            Decimal("1.00"),
        ]
        assert reading.warnings == []


def test_a_covered_write_has_a_leg_of_shares_and_one_of_options(tmp_path: Path) -> None:
    history = (
        f"{_HISTORY}"
        ",3/3/26 10:00:00,COVERED,SELL,-1,TO OPEN,ACME,20 MAR 26,50,CALL,2.00,46.00,LMT\n"
        ",,,BUY,+100,TO OPEN,ACME,,,STOCK,48.00,DEBIT,\n\n"
    )
    row = '3/3/26,10:00:00,TRD,1,BOT +1 COVERED ACME 100 20 MAR 26 50 CALL/ACME @46.00,,-0.65,"-4,600.00",0\n'
    with _read(tmp_path, history + _LEDGER + row) as reading:
        classes = [(entry.fill.instrument.asset_class, entry.fill.quantity) for entry in reading.fills()]
        assert reading.warnings == []
        assert costs(reading) == Decimal("0.65")
    assert classes == [(AssetClass.OPTION, Decimal(1)), (AssetClass.STOCK, Decimal(100))]


def test_futures_of_their_own_ledger_are_fills_with_the_roots_multiplier(tmp_path: Path) -> None:
    with _read(tmp_path, _STATEMENT) as reading:
        (future,) = [e.fill for e in reading.fills() if e.fill.instrument.asset_class is AssetClass.FUTURE]
    assert (future.instrument.root, future.instrument.multiplier, future.price) == (
        "MES",
        Decimal(5),
        Decimal("5000.25"),
    )


def test_forex_of_its_own_ledger_is_traded(tmp_path: Path) -> None:
    text = (
        "Forex Statements\n,Date,Time,Type,Ref #,Description,Commissions & Fees,Amount,Amount(USD),Balance\n"
        ',3/2/26,09:31:12,TRD,1,"SOLD -10,000 EUR/USD @1.0850",--,"10,850.00","10,850.00","20,850.00"\n'
    )
    with _read(tmp_path, text) as reading:
        (pair,) = [entry.fill for entry in reading.fills()]
        assert reading.warnings == []
    assert (pair.instrument.asset_class, pair.side, pair.quantity) == (AssetClass.FOREX, Side.SELL, Decimal(10000))


def test_options_that_expire_or_are_assigned_close_at_nothing(tmp_path: Path) -> None:
    with _ledger(
        tmp_path,
        "RAD,1,REMOVAL OF OPTION DUE TO ASSIGNMENT 1.0 ACME 100 (Weeklys) 27 FEB 26 50 CALL",
        "EXP,2,Removal of option due to expiration -2.0 ACME 100 27 FEB 26 45 PUT",
    ) as reading:
        made = [(e.fill.kind, e.fill.side, e.fill.quantity) for e in reading.fills()]
    assert made == [
        (ExecutionKind.ASSIGNMENT, Side.BUY, Decimal(1)),
        (ExecutionKind.EXPIRY, Side.SELL, Decimal(2)),
    ]


def test_a_removal_that_does_not_say_how_many_fails(tmp_path: Path) -> None:
    with _ledger(tmp_path, "RAD,1,Removal of option due to expiration of ACME 100 27 FEB 26 45 PUT") as reading:
        assert "how many" in reading.errors[0].message


def test_shares_of_an_assignment_are_traded_at_the_strike(tmp_path: Path) -> None:
    row = '3/2/26,09:31:12,TRD,1,SOLD -100 ACME @50.0 UPON OPTION ASSIGNMENT,,,"5,000.00",0\n'
    with _read(tmp_path, _LEDGER + row) as reading:
        (made,) = [entry.fill for entry in reading.fills()]
    assert (made.side, made.quantity, made.price) == (Side.SELL, Decimal(100), Decimal(50))


@pytest.mark.parametrize(
    ("type_", "description", "amount", "kind"),
    [
        ("DOI", "QUALIFIED DIVIDEND~ACME", "5", CashKind.DIVIDEND),
        ("DOI", "FREE BALANCE INTEREST ADJUSTMENT~NO DESCRIPTION", "0.01", CashKind.INTEREST),
        ("DOI", "FOREIGN TAX WITHHELD~ACME", "-1", CashKind.TAX),
        ("JRN", "ADR FEE~ACME", "-1", CashKind.FEE),
        ("EFN", "CLIENT REQUESTED ELECTRONIC FUNDING RECEIPT (FUNDS NOW)", "100", CashKind.DEPOSIT),
        ("WOU", "WIRE OUTGOING", "-100", CashKind.WITHDRAWAL),
        ("JRN", "SOMETHING ELSE", "1", CashKind.OTHER),
    ],
)
def test_other_rows_with_an_amount_are_cash(
    tmp_path: Path, type_: str, description: str, amount: str, kind: CashKind
) -> None:
    with _read(tmp_path, f"{_LEDGER}3/2/26,09:31:12,{type_},1,{description},,,{amount},0\n") as reading:
        (moved,) = [one.movement for one in reading.movements()]
    assert (moved.kind, moved.amount, moved.currency) == (kind, Decimal(amount), "USD")


def test_marks_to_market_and_splits_without_a_ratio_are_ignored(tmp_path: Path) -> None:
    rows = (
        "3/2/26,09:31:12,ADJ,1,/MESM26:XCME mark to market at 5000.00,,,12.50,0\n"
        "3/2/26,09:31:12,RAD,2,STOCK SPLIT~ACME,,,,0\n"
        "3/2/26,09:31:12,JRN,3,NOTHING MOVED,,,0.00,0\n"
    )
    with _read(tmp_path, _LEDGER + rows) as reading:
        assert reading.ignored == {"mark to market": 1, "split": 1, "no amount": 1}


def test_a_trade_that_is_not_understood_fails(tmp_path: Path) -> None:
    rows = (
        "3/2/26,09:31:12,TRD,1,BOUGHT SOMETHING,,,-1,0\n"
        "3/2/26,09:31:12,TRD,2,BOT +1 some words @1.00,,,-1,0\n"
        "3/2/26,09:31:12,TRD,3,BOT +1 /ZZZM26:XCME @1.00,,,-1,0\n"
    )
    with _read(tmp_path, _LEDGER + rows) as reading:
        assert [error.line for error in reading.errors] == [3, 4, 5]
        assert "no trade" in reading.errors[0].message
        assert "no instrument" in reading.errors[1].message
        assert "multiplier" in reading.errors[2].message


def test_a_price_with_a_fraction_that_is_none_fails(tmp_path: Path) -> None:
    with _read(tmp_path, f"{_LEDGER}3/2/26,09:31:12,TRD,1,BOT +1 /ZBM26:XCBT @111'249,,,-1,0\n") as reading:
        (error,) = reading.errors
    assert "111'249" in error.message


def test_an_amount_that_the_price_does_not_make_is_a_warning(tmp_path: Path) -> None:
    with _read(tmp_path, f"{_LEDGER}3/2/26,09:31:12,TRD,1,BOT +100 ACME @48.25,,,-482.50,0\n") as reading:
        (warned,) = reading.warnings
    assert "-482.5" in warned.message
    assert "-4825" in warned.message


def test_a_file_without_a_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="Cash Balance"):
        _read(tmp_path, "Account Summary\nNet Liquidating Value,$1.00\n")


@pytest.mark.parametrize(
    ("description", "side", "quantity", "what", "price"),
    [
        ("tIP BOT +1 ACME @140.50", Side.BUY, "1", "ACME", "140.50"),
        ("WEB:AA_ACME SOLD -1,200 ACME @.69 CBOE", Side.SELL, "1200", "ACME", "0.69"),
        ("BOT +1 /ZBM26:XCBT @111'245", Side.BUY, "1", "/ZBM26:XCBT", "111.765625"),
        ("BOT +1 /ZBM26:XCBT @111'24", Side.BUY, "1", "/ZBM26:XCBT", "111.75"),
        ("BOT +1 /ZFM26:XCBT @111'247", Side.BUY, "1", "/ZFM26:XCBT", "111.7734375"),
        ("BOT +1 /ZCZ26:XCBT @450'2", Side.BUY, "1", "/ZCZ26:XCBT", "450.25"),
        ("SOLD -1 /ZTM26:XCBT @102'001", Side.SELL, "1", "/ZTM26:XCBT", "102.00390625"),
        (
            "SOLD -2 /ZNM26 1/1000 JUN 26 /OZNM26 111 PUT @0'32",
            Side.SELL,
            "2",
            "/ZNM26 1/1000 JUN 26 /OZNM26 111 PUT",
            "0.5",
        ),
        ("SOLD -1 VERTICAL ACME 100 8 JAN 21 355/350 PUT @-1.20", Side.SELL, "1", None, "-1.20"),
    ],
)
def test_descriptions_of_trades(description: str, side: Side, quantity: str, what: str | None, price: str) -> None:
    told = read_trade(description)
    assert told is not None
    assert (told.side, told.quantity, told.price) == (side, Decimal(quantity), Decimal(price))
    assert what in (None, told.what)


@pytest.mark.parametrize(
    ("what", "strategy", "underlying"),
    [
        ("VERTICAL SPY 100 (Weeklys) 8 JAN 21 355/350 PUT", "VERTICAL", "SPY"),
        ("IRON CONDOR NFLX 100 (Weeklys) 5 FEB 21 502.5/505/500/497.5 CALL/PUT", "IRON CONDOR", "NFLX"),
        ("2/2/1/1 ~IRON CONDOR RUT 100 16 APR 21 [AM] 2230/2250/2150/2055 CALL/PUT", "IRON CONDOR", "RUT"),
        ("1/-1/1/-1 CUSTOM SPX 100 16 APR 21 3990/3980/4000/4010 CALL/CALL/CALL/CALL", "CUSTOM", "SPX"),
        ("FUT CALENDAR /MESM26:XCME-/MESU26:XCME", "FUT CALENDAR", "/MESM26"),
        ("COVERED LIT 100 16 APR 21 64 CALL/LIT", "COVERED", "LIT"),
    ],
)
def test_descriptions_of_spreads(what: str, strategy: str, underlying: str) -> None:
    spread = read_spread(what)
    assert spread is not None
    assert (spread.strategy, spread.underlying) == (strategy, underlying)


def test_a_single_instrument_is_no_spread() -> None:
    assert read_spread("ACME") is None
    assert read_spread("ACME 100 16 APR 21 100 PUT") is None


def test_instruments_by_their_descriptions() -> None:
    option = read_instrument("SPX 100 (Weeklys) 16 APR 21 [AM] 3990 CALL", _DAY, _CONTEXT)
    assert (option.root, option.expiry, option.strike, option.right) == (
        "SPX",
        date(2021, 4, 16),
        Decimal(3990),
        Right.CALL,
    )
    future = read_instrument("/MESM26:XCME", _DAY, _CONTEXT)
    assert (future.root, future.multiplier) == ("MES", Decimal(5))
    unknown = read_instrument("/ZZZM26 1/25 JUN 26", _DAY, _CONTEXT)
    assert (unknown.root, unknown.multiplier) == ("ZZZ", Decimal(25))
    overridden = Context.of(replace(NEW_YORK, multipliers={"NQ": Decimal(2)}))
    weekly = read_instrument("/NQM22:XCME 1/20 APR 22 (Wednesday) (Wk5) /Q4CJ22:XCME 13450 CALL", _DAY, overridden)
    assert (weekly.root, weekly.underlying, weekly.multiplier) == ("Q4CJ22", "NQM22", Decimal(2))
    for wrong in ("ACME 100 99 FOO 26 50 CALL", "ACME 100 31 FEB 26 50 CALL", "@@"):
        with pytest.raises(RowError):
            read_instrument(wrong, _DAY, _CONTEXT)


def test_multipliers_of_spreads_stand_after_the_underlying() -> None:
    assert option_multiplier("VERTICAL SPY 100 (Weeklys) 8 JAN 21 355/350 PUT") == 100
    assert option_multiplier("VERTICAL /NQM22:XCME 1/20 APR 22 (Wk5) /Q4CJ22:XCME 13450/13500 CALL") == 20
    assert option_multiplier("FUT CALENDAR /MESM26:XCME-/MESU26:XCME") is None


def test_removals_say_why_and_how_many() -> None:
    gone = read_removal("Removal of Option due to expiration -1.0 SPY 100 (Weeklys) 24 OCT 25 650.0 PUT")
    assert gone is not None
    assert (gone.kind, gone.side, gone.quantity) == (ExecutionKind.EXPIRY, Side.SELL, Decimal(1))
    assert read_removal("QUALIFIED DIVIDEND~ACME") is None
