"""Interactive Brokers' activity statements."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.cases import FIXTURES
from tests.brokers.importing import costs, read_path, read_text, trades
from tradesense.brokers.contract import CashKind, Stated, Unreadable
from tradesense.brokers.reading import Reading
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass

_STATEMENT = (FIXTURES / "ibkr-activity.csv").read_text()
_HEADER = (
    "Trades,Header,DataDiscriminator,Asset Category,Currency,Symbol,Date/Time,Quantity,T. Price,C. Price,Proceeds,"
    "Comm/Fee,Basis,Realized P/L,MTM P/L,Code\n"
)
_ORDER = 'Trades,Data,Order,Stocks,USD,ACME,"2025-03-03, 09:31:00",10,12.5,12.6,-125,-1,126,0,1,O\n'


def _read(tmp_path: Path, text: str) -> Reading:
    return read_text(tmp_path, "ibkr/activity", text)


def test_the_sample_with_fees_realises_what_the_file_states_at_its_six_decimals(broker_samples: Path) -> None:
    with read_path(broker_samples / "ibkr" / "activity-fees.csv") as reading:
        assert (reading.broker, reading.format) == ("ibkr", "activity")
        assert (reading.rows, reading.imported, reading.executions, reading.error_count) == (4, 2, 2, 0)
        assert reading.ignored == {"financial instrument information": 1, "subtotal": 1}
        (trade,) = trades(reading)["VT"]
        (stated,) = [entry.fill.stated for entry in reading.fills() if entry.fill.stated]
        assert costs(reading) == Decimal("2.01812674")
        assert {entry.fill.instrument.isin for entry in reading.fills()} == {"US9220427424"}
    assert (trade.gross, trade.net) == (Decimal(12), Decimal("9.98187326"))
    assert stated == Stated(Decimal("9.981873"), net=True)
    assert trade.net.quantize(stated.amount) == stated.amount


def test_the_sample_with_thousands_is_read_and_its_odd_rows_are_pointed_out(broker_samples: Path) -> None:
    with read_path(broker_samples / "ibkr" / "activity-thousands.csv") as reading:
        assert (reading.rows, reading.imported, reading.error_count) == (5, 3, 0)
        quantities = [(entry.fill.side, entry.fill.quantity) for entry in reading.fills()]
        assert [warned.line for warned in reading.warnings] == [4, 6]
        assert costs(reading) == Decimal("14.1")
    assert quantities == [(Side.SELL, Decimal(3200)), (Side.BUY, Decimal(500)), (Side.BUY, Decimal(5000))]


def test_forex_rows_are_conversions_with_a_commission_in_the_columns_currency(tmp_path: Path) -> None:
    with _read(tmp_path, _STATEMENT) as reading:
        moved = [(one.movement.kind, one.movement.amount, one.movement.currency) for one in reading.movements()]
    assert moved == [
        (CashKind.DIVIDEND, Decimal(15), "USD"),
        (CashKind.CONVERSION, Decimal(1100), "USD"),
        (CashKind.CONVERSION, Decimal(-1000), "EUR"),
        (CashKind.FEE, Decimal(-2), "EUR"),
    ]


def test_forex_rows_with_an_opening_code_are_trades(tmp_path: Path) -> None:
    row = 'Forex,USD,EUR.USD,"2025-03-03, 08:00:00","-1,000",1.1,,1100,-2,0,'
    assert row in _STATEMENT
    with _read(tmp_path, _STATEMENT.replace(row, row + "O")) as reading:
        pair = next(reading.fills()).fill
        assert "conversion" not in reading.ignored
        (warned,) = reading.warnings
        fee = [one.movement for one in reading.movements() if one.movement.kind is CashKind.FEE]
    assert (pair.instrument.asset_class, pair.instrument.root) == (AssetClass.FOREX, "EURUSD")
    assert "EUR" in warned.message
    assert [(one.amount, one.currency) for one in fee] == [(Decimal(-2), "EUR")]


def test_account_and_instruments_are_known_from_their_sections(tmp_path: Path) -> None:
    with _read(tmp_path, _STATEMENT) as reading:
        fills = [entry.fill for entry in reading.fills()]
    assert {one.account for one in fills} == {"U7000001"}
    assert fills[0].instrument.isin == "US0042000001"
    assert (fills[1].instrument.root, fills[1].instrument.strike, fills[1].instrument.multiplier) == (
        "ACME",
        Decimal(15),
        Decimal(100),
    )
    assert fills[2].kind is ExecutionKind.EXPIRY


def test_a_multiplier_counts_wherever_its_section_stands(tmp_path: Path) -> None:
    future = _HEADER + 'Trades,Data,Order,Futures,USD,ESM5,"2025-03-03, 09:31:00",1,6000,6001,-300000,-2.2,0,0,0,O\n'
    information = (
        "Financial Instrument Information,Header,Asset Category,Symbol,Description,Conid,Underlying,Multiplier,Expiry\n"
        'Financial Instrument Information,Data,Futures,"ESM5, ESM25",ES JUN25,1,ES,50,2025-06-20\n'
        "Financial Instrument Information,Data,Futures,NQM5,NQ JUN25,1,NQ,--,2025-06-20\n"
    )
    with _read(tmp_path, future + information) as reading:
        (fill,) = [entry.fill for entry in reading.fills()]
        assert reading.warnings == []
    assert (fill.instrument.multiplier, fill.instrument.root) == (Decimal(50), "ES")


def test_what_adds_up_or_repeats_is_ignored_by_its_name(tmp_path: Path) -> None:
    text = (
        _HEADER
        + _ORDER
        + _ORDER.replace(",Order,", ",Trade,")
        + "Trades,Data,ClosedLot,Stocks,USD,ACME,2025-03-03,10,12.5,,,,126,0,,\n"
        + _ORDER.replace(",O\n", ",Ca\n")
        + "Trades,SubTotal,,Stocks,USD,ACME,,10,,,-125,-1,126,0,1,\n"
        + "Trades,Total,,Stocks,USD,,,,,,-125,-1,126,0,1,\n"
        + "Trades,Data,Total,Stocks,,,,,,,-125,-1,126,0,1,\n"
        + "Codes,Header,Code,Meaning\nCodes,Data,O,Opening trade\n"
    )
    with _read(tmp_path, text) as reading:
        assert reading.executions == 1
        assert reading.ignored == {
            "execution of an order": 1,
            "closed lot": 1,
            "cancelled": 1,
            "subtotal": 1,
            "total": 2,
            "codes": 1,
        }


def test_an_unknown_mark_or_discriminator_fails_its_row(tmp_path: Path) -> None:
    text = _HEADER + _ORDER + _ORDER.replace(",Order,", ",Other,") + _ORDER.replace("Trades,Data", "Trades,Dat")
    with _read(tmp_path, text) as reading:
        assert [error.line for error in reading.errors] == [3, 4]
        assert "Other" in reading.errors[0].message
        assert "mark" in reading.errors[1].message


@pytest.mark.parametrize(
    ("section", "amount", "kind"),
    [
        ("Dividends", "3", CashKind.DIVIDEND),
        ("Withholding Tax", "-1", CashKind.TAX),
        ("Interest", "2", CashKind.INTEREST),
        ("Fees", "-10", CashKind.FEE),
        ("Other Fees", "-10", CashKind.FEE),
        ("Commission Adjustments", "1", CashKind.FEE),
        ("Deposits & Withdrawals", "100", CashKind.DEPOSIT),
        ("Deposits & Withdrawals", "-100", CashKind.WITHDRAWAL),
        ("Price Adjustments", "1", CashKind.OTHER),
    ],
)
def test_sections_of_cash_become_movements_of_their_kind(
    tmp_path: Path, section: str, amount: str, kind: CashKind
) -> None:
    text = (
        f"{section},Header,Currency,Date,Description,Amount\n{section},Data,USD,2025-04-01,words,{amount}\n"
        f"{section},Data,USD,2025-04-01,nothing,0\n{section},Data,Total,,,{amount}\n"
    )
    with _read(tmp_path, text) as reading:
        (moved,) = [one.movement for one in reading.movements()]
        assert reading.ignored == {kind.value: 1, "no amount": 1, "total": 1}
    assert (moved.kind, moved.amount, moved.description) == (kind, Decimal(amount), "words")


def test_corporate_actions_are_read_by_their_descriptions(tmp_path: Path) -> None:
    text = (
        _HEADER
        + 'Trades,Data,Order,Stocks,USD,ACME,"2025-03-03, 09:31:00",60,12.5,12.6,-750,-1,751,0,1,O\n'
        + "Corporate Actions,Header,Asset Category,Currency,Report Date,Date/Time,Description,Quantity,Proceeds,Value,"
        "Realized P/L,Code\n"
        'Corporate Actions,Data,Stocks,USD,2025-04-02,"2025-04-01, 20:25:00",'
        '"ACME(US1) Split 1 for 3 (ACME.OLD, ACME CORP, US1)",-60,0,0,0,\n'
        'Corporate Actions,Data,Stocks,USD,2025-04-02,"2025-04-01, 20:25:00",'
        '"ACME(US1) Split 1 for 3 (ACME, ACME CORP, US2)",20,0,0,0,\n'
        'Corporate Actions,Data,Stocks,USD,2025-05-02,"2025-05-01, 20:25:00",'
        '"ACME(US2) Merged(Acquisition)  FOR USD 40.00 PER SHARE (ACME, ACME CORP, US2)",-20,800,-790,49,\n'
        "Corporate Actions,Data,Total,,,,,,800,-790,49,\n"
    )
    with _read(tmp_path, text) as reading:
        (trade,) = trades(reading)["ACME"]
        assert reading.ignored == {"split counterpart": 1, "total": 1}
    assert trade.open_quantity == 0
    assert (trade.gross, trade.net) == (Decimal(50), Decimal(49))


def test_transfers_are_read_by_direction(tmp_path: Path) -> None:
    text = (
        "Transfers,Header,Asset Category,Currency,Symbol,Date,Type,Direction,Xfer Company,Xfer Account,Qty,Xfer Price,"
        "Market Value,Realized P/L,Cash Amount,Code\n"
        "Transfers,Data,Stocks,USD,ACME,2025-04-01,ACATS,In,--,--,10,--,130,0,0,\n"
        "Transfers,Data,Total,,,,,,,,,,130,0,0,\n"
    )
    with _read(tmp_path, text) as reading:
        (made,) = [entry.fill for entry in reading.fills()]
        assert reading.warning_count == 1
    assert (made.kind, made.price) == (ExecutionKind.TRANSFER, Decimal(13))


def test_a_file_without_a_section_that_counts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="no section"):
        _read(tmp_path, "Statement,Header,Field Name,Field Value\nStatement,Data,Title,Activity Statement\n")


def test_a_statement_without_trades_is_still_known(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("".join(line for line in _STATEMENT.splitlines(keepends=True) if not line.startswith("Trades")))
    with read_path(path) as reading:
        assert (reading.format, reading.executions) == ("activity", 0)
