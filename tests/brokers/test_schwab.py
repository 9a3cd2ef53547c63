"""Schwab's transactions."""

from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.brokers.importing import read_path, trades
from tests.brokers.uploads import Upload, detected, upload
from tradesense.brokers.contract import CashKind
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Right
from tradesense.domain.money import ZERO

NAME = "schwab/transactions"
HEADER = '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'


def rows(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(lines) + "\n", timezone="America/New_York")


def test_the_sample_is_read_whole(broker_samples: Path) -> None:
    path = broker_samples / "schwab" / "transactions.csv"
    found = upload(NAME, path, timezone="America/New_York")
    assert (found.rows, found.imported, found.errors, found.warnings) == (120, 48, [], [])
    assert found.ignored == {
        "dividend": 43,
        "interest": 5,
        "fee": 11,
        "withdrawal": 2,
        "deposit": 1,
        "tax": 1,
        "split counterpart": 1,
        "stock merger": 2,
        "name change": 2,
        "conversion": 2,
        "other": 1,
        "total": 1,
    }
    assert len(found.entries) == 48
    (split,) = (fill for fill in found.fills if fill.kind is ExecutionKind.SPLIT and fill.instrument.symbol == "AVGO")
    assert split.quantity == split.price * 10
    assert split.wall.date() == date(2024, 7, 12)
    assert detected(path) == NAME


def test_the_samples_rows_count_from_the_oldest(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "schwab" / "transactions.csv", timezone="America/New_York")
    days = [fill.wall for fill in found.in_time()]
    assert days == sorted(days)
    assert days[0] < days[-1]
    assert found.fills[0].wall > found.fills[-1].wall


def test_the_second_day_is_the_one_that_counts() -> None:
    found = rows('"01/20/2026 as of 01/16/2026","Buy","ACME","ACME CORP","1","$5.00","","-$5.00"')
    assert str(found.fill.wall) == "2026-01-16 00:00:00"


def test_a_reinvested_dividend_is_cash_and_a_purchase() -> None:
    found = rows(
        "01/14/2026,Reinvest Dividend,FUND,SOME FUND,,,,$12.34",
        "01/14/2026,Reinvest Shares,FUND,SOME FUND,1.2340,$10.00,,-$12.34",
        "01/14/2026,Qual Div Reinvest,FUND,SOME FUND,,,,$1.00",
    )
    assert found.moved() == {("dividend", "USD"): Decimal("13.34")}
    assert (found.fill.side, found.fill.quantity, found.fill.price) == (Side.BUY, Decimal("1.2340"), Decimal("10.00"))


def test_shares_sold_short_and_bought_back() -> None:
    found = rows(
        "01/15/2026,Buy to Cover,ACME,ACME CORP,5,$8.00,,-$40.00",
        "01/14/2026,Sell Short,ACME,ACME CORP,5,$10.00,$0.01,$49.99",
    )
    assert [(fill.side, fill.quantity) for fill in found.in_time()] == [(Side.SELL, Decimal(5)), (Side.BUY, Decimal(5))]
    assert found.costs() == {"USD": Decimal("0.01")}
    assert found.warnings == []


def test_options_are_known_by_their_names() -> None:
    found = rows(
        "01/20/2026 as of 01/16/2026,Expired,ACME 01/16/2026 50.00 C,CALL ACME CORP $50,2,,,",
        "01/20/2026 as of 01/16/2026,Assigned,ACME 01/16/2026 45.00 P,PUT ACME CORP $45,1,,,",
        "01/20/2026 as of 01/16/2026,Exchange or Exercise,ACME 01/16/2026 40.00 C,CALL ACME CORP $40,-1,,,",
        "01/08/2026,Sell to Open,ACME 01/16/2026 50.00 C,CALL ACME CORP $50,2,$0.80,$1.32,$158.68",
    )
    option = found.fills[3].instrument
    assert (option.root, option.expiry, option.strike) == ("ACME", date(2026, 1, 16), Decimal(50))
    assert (option.right, option.multiplier) == (Right.CALL, Decimal(100))
    assert [(fill.kind, fill.side, fill.quantity) for fill in found.fills[:3]] == [
        (ExecutionKind.EXPIRY, Side.BUY, Decimal(2)),
        (ExecutionKind.ASSIGNMENT, Side.BUY, Decimal(1)),
        (ExecutionKind.EXERCISE, Side.SELL, Decimal(1)),
    ]
    assert (found.costs(), found.warnings) == ({"USD": Decimal("1.32")}, [])


def test_a_cancelled_trade_and_its_cancellation_are_ignored_once() -> None:
    found = rows(
        "01/09/2026,Cancel Buy,OOPS,OOPS INC,10,$5.00,,$50.00",
        "01/09/2026,Buy,OOPS,OOPS INC,10,$5.00,,-$50.00",
        "01/09/2026,Buy,OOPS,OOPS INC,10,$5.00,,-$50.00",
        "01/09/2026,Cancel Sell,GONE,GONE INC,-1,$5.00,,$5.00",
        "01/09/2026,Buy,GONE,GONE INC,1,bad,,-$5.00",
    )
    assert found.ignored == {"cancelled": 3}
    assert found.fill.instrument.symbol == "OOPS"
    assert len(found.errors) == 1


def test_an_amount_that_is_not_the_trades_is_warned_of() -> None:
    found = rows("01/09/2026,Buy,ACME,ACME CORP,10,$5.00,,-$500.00")
    assert "-500" in found.warnings[0].message


def test_added_shares_split_those_that_are_held() -> None:
    found = rows(
        "01/12/2026,Stock Split,ACME,ACME CORP,30,,,",
        "01/09/2026,Sell,ACME,ACME CORP,-2,$5.00,,$10.00",
        "01/08/2026,Sell,ACME,ACME CORP,3,$5.00,,$15.00",
        "01/05/2026,Buy,ACME,ACME CORP,15,$4.00,,-$60.00",
    )
    split = found.fills[0]
    assert (split.kind, split.quantity, split.price) == (ExecutionKind.SPLIT, Decimal(40), Decimal(10))
    assert found.warnings == []


def test_shares_of_a_split_of_none_come_in_at_no_cost_and_a_warning() -> None:
    found = rows("01/12/2026,Stock Split,ACME,ACME CORP,30,,,")
    assert (found.fill.kind, found.fill.price) == (ExecutionKind.TRANSFER, ZERO)
    assert "does not show" in found.warnings[0].message
    gone = rows("01/12/2026,Reverse Split,ACME,ACME CORP,-30,,,")
    assert (gone.imported, gone.ignored) == (0, {"split counterpart": 1})


def test_a_reverse_split_is_told_by_its_two_halves() -> None:
    found = rows(
        "01/12/2026,Reverse Split,ACME,ACME CORP XXXMANDATORY,10,,,",
        "01/12/2026,Reverse Split,004200000,ACME CORP XXXREVERSE SPLIT EFF: 01/12/26,-100,,,",
        "01/05/2026,Buy,ACME,ACME CORP,100,$1.00,,-$100.00",
    )
    assert found.ignored == {"split counterpart": 1}
    split = found.fills[0]
    assert (split.kind, split.quantity, split.price) == (ExecutionKind.SPLIT, Decimal(10), Decimal(100))
    assert split.instrument.symbol == "ACME"


def test_shares_that_come_for_none_cost_nothing() -> None:
    found = rows("01/12/2026,Spin-off,NEWCO,NEWCO INC,5,,,", "01/12/2026,Stock Div Dist,ACME,ACME CORP,1,,,")
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.TRANSFER, Side.BUY, ZERO)
    ] * 2
    assert found.warnings == []


def test_journaled_shares_come_at_the_days_price_and_leave_at_their_own(tmp_path: Path) -> None:
    text = HEADER + (
        "01/14/2026,Journaled Shares,ACME,ACME CORP,-4,,,\n"
        "01/13/2026,Journaled Shares,ACME,ACME CORP,10,$5.00,,\n"
        "01/12/2026,Security Transfer,ACME,ACME CORP,7,,,\n"
    )
    found = upload(NAME, text)
    assert found.ignored == {"transfer in without a cost": 1}
    assert "day's price" in found.warnings[0].message
    path = tmp_path / "export.csv"
    path.write_text(text)
    with read_path(path) as reading:
        (trade,) = trades(reading)["ACME"]
    assert (trade.open_quantity, trade.net) == (Decimal(6), ZERO)


def test_shares_redeemed_for_money_are_sold() -> None:
    found = rows(
        "01/13/2026,Full Redemption,BOND,BOND FUND,-3,,,$30.00",
        "01/13/2026,Cash In Lieu,ACME,ACME CORP,-0.5,$8.00,,$4.00",
        "01/13/2026,Rights Offer,ACME,ACME CORP,-5,,,",
        "01/13/2026,,ACME,ACME CORP,5,,,",
    )
    assert [(fill.kind, fill.side, fill.price) for fill in found.fills] == [
        (ExecutionKind.TRADE, Side.SELL, Decimal(10)),
        (ExecutionKind.TRADE, Side.SELL, Decimal(8)),
    ]
    assert found.ignored == {"rights offer": 1, "no action": 1}


def test_cash_is_told_by_its_action() -> None:
    found = rows(
        "01/13/2026,MoneyLink Transfer,,Tfr BANK,,,,$500.00",
        "01/13/2026,Wire Sent,,WIRED OUT,,,,-$100.00",
        "01/13/2026,NRA Tax Adj,ACME,ACME CORP,,,,-$1.50",
        "01/13/2026,ADR Mgmt Fee,ACME,ACME CORP,,,,-$0.25",
        "01/13/2026,Credit Interest,,SCHWAB1 INT,,,,$0.10",
        "01/13/2026,Promotional Award,,BONUS,,,,$7.00",
        "01/13/2026,Journal,,NOTHING,,,,",
        "01/13/2026,,,,,,,$1.00",
    )
    assert {kind: amount for (kind, _), amount in found.moved().items()} == {
        "deposit": Decimal(500),
        "withdrawal": Decimal(-100),
        "tax": Decimal("-1.50"),
        "fee": Decimal("-0.25"),
        "interest": Decimal("0.10"),
        "other": Decimal(7),
    }
    assert found.ignored["no amount"] == 1
    assert found.error == "the action is missing"
    assert {movement.kind for movement in found.cash} >= {CashKind.FEE}
