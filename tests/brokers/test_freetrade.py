"""Freetrade's activity feed."""

import csv
import io
from decimal import Decimal

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind
from tradesense.domain.executions import ExecutionKind, Side

NAME = "freetrade/activity"
HEADER = (
    "Title,Type,Timestamp,Account Currency,Total Amount,Buy / Sell,Ticker,ISIN,Price per Share in Account Currency,"
    "Stamp Duty,Quantity,Venue,Order ID,Order Type,Instrument Currency,Total Shares Amount,Price per Share,FX Rate,"
    "Base FX Rate,FX Fee (BPS),FX Fee Amount,Stock Split Rate of Share Outturn From,"
    "Stock Split Rate of Share Outturn To"
)


def feed(*events: dict[str, str]) -> Upload:
    text = io.StringIO()
    writer = csv.DictWriter(text, HEADER.split(","), restval="")
    writer.writeheader()
    for days, event in enumerate(events):
        writer.writerow({"Timestamp": f"2026-03-{28 - days}T10:00:00.000Z", "Account Currency": "GBP"} | event)
    assert detected(text.getvalue()) == NAME
    return upload(NAME, text.getvalue())


def order(**changes: str) -> dict[str, str]:
    named = {key.replace("_", " "): value for key, value in changes.items()}
    return {
        "Type": "ORDER",
        "Total Amount": "206.00",
        "Buy / Sell": "BUY",
        "Ticker": "BETA",
        "ISIN": "GB1",
        "Stamp Duty": "1.00",
        "Quantity": "100",
        "Order ID": "O1",
        "Instrument Currency": "GBP",
        "Price per Share": "2.05",
    } | named


def test_stamp_duty_is_a_fee_of_the_trade() -> None:
    found = feed(order())
    bought = found.fill
    assert these(bought.side, bought.quantity, bought.price, bought.fees, bought.commission) == (
        Side.BUY,
        100,
        Decimal("2.05"),
        1,
        0,
    )
    assert (bought.identity, bought.fx_to_account, found.warnings) == (None, None, [])


def test_costs_in_the_accounts_currency_join_a_foreign_trade_by_the_base_rate() -> None:
    sold = feed(
        order(**{"Buy / Sell": "SELL", "Instrument Currency": "USD", "Base FX Rate": "1.25", "FX Fee Amount": "2.40"})
    ).fill
    assert (sold.side, sold.instrument.currency) == (Side.SELL, "USD")
    assert these(sold.commission, sold.fees, sold.fx_to_account) == (3, Decimal("1.25"), Decimal("0.8"))


def test_costs_without_a_rate_stay_apart() -> None:
    found = feed(order(**{"Instrument Currency": "USD", "FX Fee Amount": "2.40"}))
    assert these(found.fill.commission, found.fill.fees) == (0, 0)
    assert found.moved() == {("fee", "GBP"): Decimal("-3.40")}


def test_a_total_that_is_not_the_order_is_warned_about() -> None:
    assert len(feed(order(**{"Total Amount": "306.00"})).warnings) == 1


def test_pence_become_pounds_and_a_price_may_be_the_accounts() -> None:
    pence, account = feed(
        order(**{"Instrument Currency": "GBX", "Price per Share": "205"}),
        order(**{"Price per Share": "", "Price per Share in Account Currency": "2.05", "Instrument Currency": "USD"}),
    ).fills
    assert (pence.price, pence.instrument.currency) == (Decimal("2.05"), "GBP")
    assert (account.price, account.instrument.currency) == (Decimal("2.05"), "GBP")


def test_free_shares_come_in_at_price_0_under_the_ticker_of_other_rows() -> None:
    free = feed(
        order(), {"Type": "FREESHARE_ORDER", "ISIN": "GB1", "Quantity": "1", "Instrument Currency": "GBP"}
    ).fills[1]
    assert these(free.kind, free.side, free.price, free.instrument.symbol) == (
        ExecutionKind.TRANSFER,
        Side.BUY,
        0,
        "BETA",
    )


def test_a_split_states_its_rate() -> None:
    rate = {"Stock Split Rate of Share Outturn From": "1", "Stock Split Rate of Share Outturn To": "10"}
    found = feed(order(), {"Type": "STOCK_SPLIT", "ISIN": "GB1"} | rate, {"Type": "STOCK_SPLIT", "ISIN": "GB1"})
    assert these(found.fills[1].kind, found.fills[1].quantity, found.fills[1].price) == (ExecutionKind.SPLIT, 10, 1)
    assert "a split without its rate" in found.error


def test_documents_are_no_events_and_money_has_its_kind() -> None:
    found = feed(
        {"Type": "MONTHLY_STATEMENT"},
        {"Type": "TAX_CERTIFICATE"},
        {"Type": "TOP_UP", "Total Amount": "1000.55"},
        {"Type": "WITHDRAWAL", "Total Amount": "500.55"},
        {"Type": "DIVIDEND", "Total Amount": "0.31"},
        {"Type": "INTEREST_FROM_CASH", "Total Amount": "0.21"},
        {"Type": "INTERNAL_TRANSFER", "Title": "Internal Transfer to ISA", "Total Amount": "20"},
        {"Type": "INTERNAL_TRANSFER", "Title": "Internal Transfer from GIA", "Total Amount": "30"},
        {"Type": "REFERRAL", "Total Amount": "5"},
        {"Type": "NOTICE"},
    )
    assert found.ignored["document"] == 2
    assert found.ignored["no amount"] == 1
    assert [(cash.kind, cash.amount) for cash in found.cash] == [
        (CashKind.DEPOSIT, Decimal("1000.55")),
        (CashKind.WITHDRAWAL, Decimal("-500.55")),
        (CashKind.DIVIDEND, Decimal("0.31")),
        (CashKind.INTEREST, Decimal("0.21")),
        (CashKind.WITHDRAWAL, -20),
        (CashKind.DEPOSIT, 30),
        (CashKind.OTHER, 5),
    ]


def test_rows_that_lack_what_they_need_fail() -> None:
    found = feed(
        order(Ticker="", ISIN=""),
        order(**{"Price per Share": ""}),
        order(Type="QUEUED_ORDER"),
    )
    assert [error.column for error in found.errors] == ["Ticker", "Price per Share", "Type"]
