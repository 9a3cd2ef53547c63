"""Trading 212's history."""

from decimal import Decimal
from pathlib import Path

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind, Identity, Stated
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.money import average

NAME = "trading212/history"
HEADER = (
    "Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),Exchange rate,Result,"
    "Currency (Result),Total,Currency (Total),Withholding tax,Currency (Withholding tax),Notes,ID,"
    "Currency conversion fee,Currency (Currency conversion fee)\n"
)


def history(*lines: str) -> Upload:
    return upload(NAME, HEADER + "\n".join(lines) + "\n", timezone="America/New_York")


def test_the_sample_is_read_whole(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "trading212" / "history.csv")
    assert (found.rows, found.imported, found.errors) == (13, 7, [])
    assert found.ignored == {"deposit": 1, "dividend": 3, "interest": 1, "part of a split": 1}
    assert found.moved() == {
        ("deposit", "EUR"): 31,
        ("dividend", "EUR"): Decimal("17.73"),
        ("interest", "EUR"): Decimal("0.01"),
    }
    assert found.traded() == {
        "USD": Decimal("0.6125400000") * Decimal("1.26")
        - Decimal("0.0290530000") * Decimal("49.96")
        - Decimal("0.0410140000") * Decimal("31.93")
        - Decimal("0.2976400000") * Decimal("5.39")
    }
    assert detected(broker_samples / "trading212" / "history.csv") == NAME


def test_the_samples_rows_of_the_newer_layout_are_read_under_the_older_header(broker_samples: Path) -> None:
    given, taken, split = upload(NAME, broker_samples / "trading212" / "history.csv").fills[-3:]
    assert these(given.kind, given.side, given.quantity, given.price) == (
        ExecutionKind.TRANSFER,
        Side.BUY,
        Decimal("11.0563304"),
        0,
    )
    assert these(taken.kind, taken.side, taken.quantity, taken.price) == (ExecutionKind.TRANSFER, Side.SELL, 595, 0)
    assert (split.kind, split.quantity, split.price) == (
        ExecutionKind.SPLIT,
        Decimal("7.451195"),
        Decimal("29.80478"),
    )
    assert average(split.quantity, split.price) == Decimal("0.25")
    assert split.identity == Identity("fill", "EOF29950772853")


def test_times_are_utc_whatever_the_persons_zone_is() -> None:
    bought = history(
        "Market buy,2026-03-02 14:30:01.250,US1,ALPH,A,2,100,USD,1.08,,EUR,185.19,EUR,,,,EOF7000001,,"
    ).fill
    assert str(bought.at) == "2026-03-02 14:30:01.250000+00:00"
    assert bought.identity == Identity("fill", "EOF7000001")


def test_a_charge_in_the_accounts_currency_joins_the_trade_by_the_exchange_rate() -> None:
    bought = history(
        "Market buy,2026-03-02 14:30:01,US1,ALPH,A,2,100,USD,1.08,,EUR,185.54,EUR,,,,EOF7000001,0.35,EUR"
    ).fill
    assert bought.fees == Decimal("0.35") * Decimal("1.08")
    assert bought.fx_to_account == Decimal("0.925925925926")


def test_a_rate_that_does_not_lead_to_the_total_is_not_used() -> None:
    found = history(
        "Market buy,2026-03-02 14:30:01,US1,ALPH,A,2,100,USD,0.9259,,EUR,185.54,EUR,,,,EOF7000001,0.35,EUR",
        "Market buy,2026-03-02 14:30:02,US1,ALPH,A,2,100,USD,n/a,,EUR,185.54,EUR,,,,EOF7000002,0.35,EUR",
        "Market buy,2026-03-02 14:30:03,US1,ALPH,A,2,100,USD,1.08,,EUR,,EUR,,,,EOF7000003,0.35,EUR",
    )
    assert [these(fill.fees, fill.fx_to_account) for fill in found.fills] == [(0, None)] * 3
    assert found.moved() == {("fee", "EUR"): Decimal("-1.05")}


def test_prices_in_pence_become_pounds_and_the_rate_goes_with_them() -> None:
    euro, pound = history(
        "Limit buy,2026-03-02 15:00:00,GB1,GAMM,G,10,455.25,GBX,86.5,,EUR,52.71,EUR,,,,EOF7000001,0.08,EUR",
        "Limit sell,2026-03-02 15:00:01,GB1,GAMM,G,10,455.25,GBX,1,1.25,GBP,45.5,GBP,,,,EOF7000002,0.03,GBP",
    ).fills
    assert (euro.price, euro.instrument.currency) == (Decimal("4.5525"), "GBP")
    assert euro.fees == Decimal("0.08") * Decimal("0.865")
    assert (pound.fees, pound.fx_to_account, pound.stated) == (Decimal("0.03"), None, Stated(Decimal("1.25"), net=True))


def test_a_result_in_another_currency_is_not_compared() -> None:
    sold = history("Market sell,2026-03-02 15:00:00,US1,ALPH,A,1,100,USD,1.08,9,EUR,92.59,EUR,,,,EOF7000001,,").fill
    assert sold.stated is None


def test_a_split_needs_both_its_halves() -> None:
    found = history("Stock split open,2026-03-02 15:00:00,US1,ALPH,A,4,25,USD,1.08,,EUR,92.59,EUR,,,,EOF7000001,,")
    assert "the other half of the split" in found.error


def test_a_conversion_moves_two_currencies() -> None:
    text = (
        "Action,Time,ISIN,Ticker,No. of shares,Price / share,Currency (Price / share),Total,Currency (Total),ID,"
        "Currency conversion from amount,Currency (Currency conversion from amount),"
        "Currency conversion to amount,Currency (Currency conversion to amount)\n"
        "Currency conversion,2026-03-02 10:00:00,,,,,,-0.15,EUR,c1,100.00,EUR,107.85,USD\n"
    )
    found = upload(NAME, text)
    assert found.moved() == {("conversion", "EUR"): -100, ("conversion", "USD"): Decimal("107.85")}
    assert (found.rows, found.ignored) == (1, {"conversion": 1})


def test_the_currency_may_stand_in_the_header() -> None:
    text = (
        "Action,Time,ISIN,Ticker,Name,No. of shares,Price / share,Currency (Price / share),Exchange rate,Result (GBP),"
        "Total (GBP),Stamp duty reserve tax (GBP),Notes,ID\n"
        "Market buy,2021-03-02 10:00:00,GB1,GAMM,G,10,455.25,GBX,100,,45.76,0.23,,EOF7000001\n"
        "Withdrawal,2021-03-03 10:00:00,,,,,,,,,50.00,,,w1\n"
        "Deposit,2021-03-04 10:00:00,,,,,,,,,,,,d1\n"
    )
    found = upload(NAME, text)
    assert found.fill.fees == Decimal("0.23")
    assert found.moved() == {("withdrawal", "GBP"): -50}
    assert found.ignored["no amount"] == 1


def test_cash_is_told_apart_by_its_action() -> None:
    found = history(
        "Interest on cash,2026-03-02 10:00:00,,,,,,,,,,0.05,EUR,,,,i1,,",
        "Lending interest,2026-03-02 10:00:00,,,,,,,,,,0.06,EUR,,,,i2,,",
        "Card debit,2026-03-02 10:00:00,,,,,,,,,,-3.00,EUR,,,,i3,,",
        "New card cost,2026-03-02 10:00:00,,,,,,,,,,-4.95,EUR,,,,i4,,",
    )
    assert [cash.kind for cash in found.cash] == [CashKind.INTEREST, CashKind.INTEREST, CashKind.OTHER, CashKind.FEE]
