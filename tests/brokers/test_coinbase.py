"""Coinbase's transaction report."""

from decimal import Decimal
from pathlib import Path

from tests.brokers.uploads import detected, these, upload
from tradesense.brokers.contract import CashKind, Identity
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import exact

NAME = "coinbase/transactions"
HEADER = (
    "ID,Timestamp,Transaction Type,Asset,Quantity Transacted,Price Currency,Price at Transaction,Subtotal,"
    "Total (inclusive of fees and/or spread),Fees and/or Spread,Notes\n"
)


def rows(*lines: str) -> str:
    return HEADER + "\n".join(lines) + "\n"


def test_the_sample_is_read_whole(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "coinbase" / "transactions.csv")
    assert (found.rows, found.imported, found.ignored, found.errors) == (8, 8, {}, [])
    assert len(found.fills) == 10
    assert [fill.kind for fill in found.fills].count(ExecutionKind.TRANSFER) == 4
    assert found.costs() == {"EUR": Decimal("15.72624"), "USD": Decimal("2.99")}
    assert {fill.instrument.symbol for fill in found.fills} == {"BTC", "ETH", "ETH2", "XRP"}
    assert all(fill.instrument.asset_class is AssetClass.CRYPTO for fill in found.fills)
    assert str(found.fills[0].at) == "2025-01-17 16:57:02+00:00"
    assert detected(broker_samples / "coinbase" / "transactions.csv") == NAME


def test_a_price_that_does_not_make_the_subtotal_is_what_was_paid_per_coin() -> None:
    bought = upload(NAME, rows("a,2026-03-02 07:15:30 UTC,Buy,BTC,0.002,EUR,€59000,€120.00,€123.00,€3.00,")).fill
    assert (bought.side, bought.price, bought.commission) == (Side.BUY, Decimal(60000), Decimal("3.00"))
    with exact():
        assert bought.quantity * bought.price + bought.commission == Decimal("123.00")


def test_a_price_that_makes_the_subtotal_stays_as_it_is() -> None:
    sold = upload(
        NAME, rows("a,2026-03-02T07:15:30Z,Advanced Trade Sell,BTC,0.1,USD,$60000.05,$6000.00,$5994.00,$6.00,")
    ).fill
    assert (sold.side, sold.price, sold.commission) == (Side.SELL, Decimal("60000.05"), Decimal("6.00"))
    assert sold.identity == Identity("transaction", "a")


def test_fees_that_are_not_stated_are_what_the_total_has_beyond_the_subtotal() -> None:
    bought, sold = upload(
        NAME,
        rows(
            "a,2026-03-02 07:15:30 UTC,Buy,ETH,1,EUR,€100,€100.00,€101.50,,",
            "b,2026-03-03 07:15:30 UTC,Sell,ETH,1,EUR,€110,€110.00,€108.25,,",
        ),
    ).fills
    assert (bought.commission, sold.commission) == (Decimal("1.50"), Decimal("1.75"))


def test_a_conversion_is_a_sale_and_a_purchase_whose_values_meet() -> None:
    row = "a,2026-03-04 12:00:00 UTC,Convert,BTC,0.01,EUR,€60000,€588.00,€600.00,,Converted 0.01 BTC to 0.3 ETH"
    sold, bought = upload(NAME, rows(row)).fills
    assert (sold.side, sold.instrument.symbol, bought.side, bought.instrument.symbol) == ("sell", "BTC", "buy", "ETH")
    assert these(sold.price, sold.commission, bought.price, bought.commission) == (60000, 12, 1960, 0)
    assert sold.identity != bought.identity


def test_a_conversion_at_a_total_below_the_subtotal_has_no_negative_cost() -> None:
    row = "a,2026-03-04 12:00:00 UTC,Convert,ETH,-0.5,EUR,€2000,€1000.00,€999.50,,Converted 0.5 ETH to 0.5 ETH2"
    sold, bought = upload(NAME, rows(row)).fills
    assert these(sold.price, sold.commission, bought.price) == (2000, 0, 2000)


def test_a_conversion_from_money_is_a_purchase_alone() -> None:
    row = "a,2026-03-04 12:00:00 UTC,Convert,USD,100,USD,$1,$100.00,$100.00,,Converted 100 USD to 100 USDC"
    bought = upload(NAME, rows(row)).fill
    assert these(bought.side, bought.instrument.symbol, bought.price) == (Side.BUY, "USDC", 1)


def test_conversions_that_say_too_little_fail() -> None:
    found = upload(
        NAME,
        rows(
            "a,2026-03-04 12:00:00 UTC,Convert,USD,100,USD,$1,$100.00,$100.00,,Converted 100 USD to 90 EUR",
            "b,2026-03-04 12:00:00 UTC,Convert,BTC,1,USD,$1,$100.00,$100.00,,Swapped",
            "c,2026-03-04 12:00:00 UTC,Convert,BTC,1,USD,$1,$100.00,$100.00,,Converted 0 BTC to 0 ETH",
            "d,2026-03-04 12:00:00 UTC,Convert,BTC,1,USD,$1,$100.00,$100.00,,Converted . BTC to . ETH",
        ),
    )
    assert [error.column for error in found.errors] == ["Notes"] * 4


def test_what_is_sent_leaves_at_its_own_cost_and_what_is_received_comes_in_at_its_value() -> None:
    sent, received, reward = upload(
        NAME,
        rows(
            "a,2026-03-04 12:00:00 UTC,Send,ETH,-0.25,EUR,€2000,-€500.00,-€500.00,€0.00,",
            "b,2026-03-04 12:01:00 UTC,Receive,ETH,0.5,EUR,€2000,€1000.00,€1000.00,€0.00,",
            "c,2026-03-04 12:02:00 UTC,Staking Income,ETH,0.001,EUR,€2000,€2.00,€2.00,€0.00,",
        ),
    ).fills
    assert these(sent.kind, sent.side, sent.quantity, sent.price) == (
        ExecutionKind.TRANSFER,
        "sell",
        Decimal("0.25"),
        0,
    )
    assert these(received.kind, received.side, received.price) == (ExecutionKind.TRANSFER, "buy", 2000)
    assert these(reward.kind, reward.side, reward.price) == (ExecutionKind.TRANSFER, "buy", 2000)


def test_money_in_and_out_is_cash_and_moves_within_coinbase_are_ignored() -> None:
    found = upload(
        NAME,
        rows(
            "a,2026-03-04 12:00:00 UTC,Deposit,EUR,250.55,EUR,€1,€250.55,€250.55,,Bank",
            "b,2026-03-04 12:00:00 UTC,Withdrawal,EUR,50.55,EUR,€1,€50.55,€50.55,,",
            "c,2026-03-04 12:00:00 UTC,Pro Deposit,BTC,1,EUR,€1,€1.00,€1.00,,",
            "d,2026-03-04 12:00:00 UTC,Retail Simple Dust,BTC,0.5,EUR,€10,€5.00,€5.00,,",
        ),
    )
    assert [(cash.kind, cash.amount) for cash in found.cash] == [
        (CashKind.DEPOSIT, Decimal("250.55")),
        (CashKind.WITHDRAWAL, Decimal("-50.55")),
    ]
    assert found.ignored["internal transfer"] == 1
    assert found.fill.side is Side.SELL


def test_an_unknown_type_fails_by_its_name() -> None:
    found = upload(NAME, rows("a,2026-03-04 12:00:00 UTC,Asset Migration,BTC,1,EUR,€1,€1.00,€1.00,,"))
    assert "'Asset Migration' is no type" in found.error


def test_a_trade_of_nothing_fails() -> None:
    found = upload(NAME, rows("a,2026-03-04 12:00:00 UTC,Buy,BTC,0,EUR,,€1.00,€1.00,,"))
    assert found.errors[0].column == "Quantity Transacted"


def test_the_older_layout_has_neither_ids_nor_totals_with_spread() -> None:
    text = (
        "Timestamp,Transaction Type,Asset,Quantity Transacted,Spot Price Currency,Spot Price at Transaction,Subtotal,"
        "Total (inclusive of fees),Fees,Notes\n2023-07-14T10:40:14Z,Buy,BTC,0.5,USD,100.00,50.00,50.99,0.99,Bought\n"
    )
    bought = upload(NAME, text).fill
    assert these(bought.identity, bought.price, bought.commission) == (None, 100, Decimal("0.99"))
