"""eToro's account activity."""

from decimal import Decimal
from pathlib import Path

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import Identity, Stated
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass

NAME = "etoro/account-activity"
HEADER = "Date,Type,Details,Amount,Units,Realized Equity Change,Realized Equity,Balance,Position ID,Asset type,NWA\n"


def activity(*lines: str, currency: str | None = None) -> Upload:
    """Rows of `type,details,amount,units,change,position,asset`, an hour apart."""
    rows = []
    for hour, line in enumerate(lines):
        kind, details, amount, units, change, position, asset = line.split("|")
        rows.append(
            f'13/03/2026 {hour:02}:00:00,{kind},{details},"{amount}",{units},"{change}",0.00,0.00,{position},{asset},0'
        )
    return upload(NAME, HEADER + "\n".join(rows) + "\n", currency=currency)


def test_the_sample_is_read_whole(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "etoro" / "account-activity.csv")
    assert (found.rows, found.imported, found.errors) == (28, 9, [])
    assert found.ignored == {"dividend": 11, "fee": 4, "interest": 1, "withdrawal": 1, "tax": 1, "no amount": 1}
    assert found.moved() == {
        ("interest", "USD"): Decimal("0.08"),
        ("dividend", "USD"): Decimal("1.71"),
        ("fee", "USD"): Decimal("-1.56"),
        ("withdrawal", "USD"): Decimal("-100.11"),
        ("tax", "USD"): Decimal("-6.97"),
    }
    assert len(found.fills) == 12
    assert detected(broker_samples / "etoro" / "account-activity.csv") == NAME


def test_the_samples_positions_make_the_profits_that_it_states(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "etoro" / "account-activity.csv")
    closings = [fill for fill in found.fills if fill.stated is not None]
    assert [fill.stated and fill.stated.amount for fill in closings] == [
        Decimal("7.37"),
        Decimal("0.04"),
        Decimal("38.57"),
        Decimal("192.16"),
    ]
    bought = next(fill for fill in found.fills if fill.quantity == Decimal("65.359477"))
    profit = (closings[-1].price - bought.price) * bought.quantity
    assert round(profit, 8) == Decimal("192.16")
    brought_in = [fill for fill in found.fills if fill.kind is ExecutionKind.TRANSFER]
    assert [round(fill.price * fill.quantity, 8) for fill in brought_in] == [
        Decimal("11.06"),
        Decimal("0.34"),
        Decimal("22.70"),
    ]


def test_a_position_has_the_amount_per_unit_for_its_price() -> None:
    opened, closed = activity(
        "Open Position|ALPH/USD|200.50|2.25|0.00|7|Stocks", "Position closed|ALPH/USD|1,225.55|2.25|1,025.05|7|Stocks"
    ).fills
    assert (opened.side, opened.price, opened.identity) == (
        Side.BUY,
        Decimal("89.111111111111"),
        Identity("opening", "7"),
    )
    assert (closed.side, closed.price) == (Side.SELL, Decimal("544.688888888889"))
    assert (closed.identity, closed.stated) == (None, Stated(Decimal("1025.05"), net=False))


def test_two_number_styles_in_one_file_are_read_each_by_itself() -> None:
    found = activity(
        "Open Position|ALPH/USD| 1\u00a0100,00 |5.5| 0,00 |7|Stocks",
        "Overnight fee|Daily|(0,31)|-|(0,31)|7|Stocks",
        "Overnight fee|Daily|(0.31)|-|(0.31)|7|Stocks",
    )
    assert found.fill.price == 200
    assert found.moved() == {("fee", "USD"): Decimal("-0.62")}


def test_a_position_from_before_the_file_comes_in_once_at_the_cost_that_its_profit_implies() -> None:
    found = activity("Position closed|ALPH/USD|60|1|10|7|Stocks", "Position closed|ALPH/USD|180|3|30|7|Stocks")
    brought_in, first, second = found.fills
    assert these(brought_in.kind, brought_in.quantity, brought_in.price) == (ExecutionKind.TRANSFER, 4, 50)
    assert brought_in.identity == Identity("opening", "7")
    assert [first.quantity, second.quantity] == [1, 3]
    assert len(found.warnings) == 2


def test_the_opening_of_an_earlier_statement_is_known_again() -> None:
    earlier = activity("Open Position|ALPH/USD|50|1|0|7|Stocks").entries[0]
    later = activity("Position closed|ALPH/USD|60|1|10|7|Stocks").entries[0]
    assert earlier.identity == later.identity


def test_a_cfd_is_warned_about_and_stamp_duty_joins_the_opening() -> None:
    found = activity(
        "SDRT|GAMM/GBP|(6.97)|-|(6.97)|8|Stocks",
        "Open Position|GAMM/GBP|1,400.00|100|0.00|8|Stocks",
        "Open Position|GOLD/USD|100|0.5|0.00|9|CFD",
        "SDRT|GAMM/GBP|(1.00)|-|(1.00)|6|Stocks",
    )
    share, gold = found.fills
    assert share.fees == Decimal("6.97")
    assert gold.instrument.asset_class is AssetClass.CFD
    assert [warning.line for warning in found.warnings] == [4]
    assert found.ignored == {"cost of an execution": 1, "tax": 1}


def test_a_split_acts_once_however_many_positions_it_names() -> None:
    text = HEADER + (
        "13/03/2026 00:00:00,corp action: Split,ALPH/USD 2:1,0.00,-,0.00,0.00,0.00,7,Stocks,0.00\n"
        "13/03/2026 00:00:00,corp action: Split,ALPH/USD 2:1,0.00,-,0.00,0.00,0.00,8,Stocks,0.00\n"
        "13/03/2026 00:00:00,corp action: Split,ALPH,0.00,-,0.00,0.00,0.00,8,Stocks,0.00\n"
    )
    found = upload(NAME, text)
    assert these(found.fill.kind, found.fill.quantity, found.fill.price) == (ExecutionKind.SPLIT, 2, 1)
    assert found.ignored == {"part of a split": 1}
    assert found.errors[0].column == "Details"


def test_amounts_are_in_the_accounts_currency() -> None:
    opened = activity("Open Position|KER/EUR|50|1|0|7|Stocks", currency="GBP").fill
    assert (opened.instrument.symbol, opened.instrument.currency) == ("KER", "GBP")


def test_a_position_without_units_fails() -> None:
    found = activity("Open Position|ALPH/USD|50|-|0|7|Stocks", "Open Position|ALPH/USD|50|0|0|7|Stocks")
    assert [error.column for error in found.errors] == ["Units", "Units"]
