"""Saxo's transaction overview."""

from decimal import Decimal
from pathlib import Path

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass

NAME = "saxo/transactions"
HEADER = (
    "Client ID,Trade Date,Value Date,Type,Instrument,Instrument ISIN,Instrument currency,Exchange Description,"
    "Instrument Symbol,Event,Amount,Order ID,Conversion Rate\n"
)


def overview(*lines: str, currency: str | None = None) -> Upload:
    """Rows of `type|currency|symbol|event|amount|rate` on one day."""
    rows = []
    for line in lines:
        kind, coin, symbol, event, amount, rate = line.split("|")
        rows.append(f',02-mrt-2026,04-mrt-2026,{kind},Name,US1,{coin},X,{symbol},"{event}","{amount}",,{rate}')
    return upload(NAME, HEADER + "\n".join(rows) + "\n", currency=currency)


def test_the_sample_is_read_whole(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "saxo" / "transactions.csv")
    assert (found.rows, found.imported, found.errors) == (30, 12, [])
    assert found.ignored == {"dividend": 2, "fee": 4, "deposit": 11, "withdrawal": 1}
    assert found.moved() == {
        ("dividend", "EUR"): Decimal("2.29"),
        ("fee", "USD"): Decimal("-12.58"),
        ("deposit", "USD"): 6339,
        ("withdrawal", "USD"): -280,
    }
    assert detected(broker_samples / "saxo" / "transactions.csv") == NAME


def test_the_samples_costs_are_what_was_booked_beyond_quantity_times_price(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "saxo" / "transactions.csv")
    assert found.costs() == {"USD": 3 * Decimal("1.00") + 4 * Decimal("3.77") + 3 * Decimal("3.80"), "EUR": 0}
    booked = "419.22 -405.55 -422.99 -590.16 -441 -422.99 -2379.35 -422.99 -288.96 -288.96 -288.96"
    assert found.traded()["USD"] - found.costs()["USD"] == sum(map(Decimal, booked.split()))
    (warned,) = found.warnings
    assert warned.line == 30
    assert [entry.sequence for entry in found.entries if entry.fill.wall.day == 16 and entry.fill.wall.month == 12] == [
        2,
        1,
        0,
    ]


def test_other_verbs_and_decimal_commas_are_read() -> None:
    bought, sold, unknown = overview(
        "Transactie|EUR|VUSA:xams|Koop 1.5 @ 110.01 EUR|-170,02|1",
        "Handel|EUR|VUSA:xams|Solgt 2 @ 110,50 EUR|219,00|1",
        "Handel|EUR|VUSA:xams|Kob -2 @ 110.50|-222.00|1",
    ).fills
    assert (bought.side, bought.quantity, bought.commission) == (Side.BUY, Decimal("1.5"), Decimal("5.005"))
    assert these(sold.side, sold.price, sold.commission) == (Side.SELL, Decimal("110.50"), 2)
    assert these(unknown.side, unknown.quantity, unknown.commission) == (Side.BUY, 2, 1)
    assert bought.instrument.symbol == "VUSA"


def test_at_another_rate_the_cost_is_not_known() -> None:
    found = overview("Trade|USD|ALPH:xnas|Buy 3 @ 134.85 USD|-374,00|0.92139706")
    assert these(found.fill.commission, found.fill.fx_to_account) == (0, Decimal("0.92139706"))
    assert "does not tell what the trade cost" in found.warnings[0].message


def test_a_booking_short_of_the_value_is_rounding_or_a_warning() -> None:
    found = overview("Trade|USD|A:x|Buy 3 @ 134.85 USD|-404.54|1", "Trade|USD|A:x|Buy 3 @ 134.85 USD|-400|1")
    assert [fill.commission for fill in found.fills] == [0, 0]
    assert [warning.line for warning in found.warnings] == [3]


def test_pence_become_pounds() -> None:
    sold = overview("Trade|GBX|VOD:xlon|Sell 4 @ 496 GBX|18.84|1").fill
    assert these(sold.price, sold.instrument.currency, sold.commission) == (Decimal("4.96"), "GBP", 1)


def test_the_newer_layout_knows_derivatives() -> None:
    text = HEADER.replace("Amount", "Booked Amount").strip() + ",From Derivative,Underlying asset type\n"
    row = "77,02-Mar-2026,02-Mar-2026,Trade,Gold,,USD,X,XAUUSD:,Sell 3 @ 139.74 USD,419.22,,1,Yes,\n"
    sold = upload(NAME, text + row).fill
    assert (sold.instrument.asset_class, sold.account) == (AssetClass.CFD, "77")


def test_money_has_its_kind_and_the_accounts_currency_at_another_rate() -> None:
    found = overview(
        "Corporate action|USD||Dividend|1.83|0.92",
        "Cash amount|USD||Custody Fee|-3,91|1",
        "Cash amount|USD||Interest|0.05|1",
        "Cash amount|USD||Withholding Tax|-0.55|1",
        "Corporate action|USD||Spin-off|3.55|1",
        "Cash Transfer|USD||Withdrawal|-20.55|1",
        "Cash amount|USD||Custody Fee|0|1",
        currency="EUR",
    )
    assert [(cash.kind, cash.currency) for cash in found.cash] == [
        (CashKind.DIVIDEND, "EUR"),
        (CashKind.FEE, "USD"),
        (CashKind.INTEREST, "USD"),
        (CashKind.TAX, "USD"),
        (CashKind.OTHER, "USD"),
        (CashKind.WITHDRAWAL, "USD"),
    ]
    assert found.ignored["no amount"] == 1


def test_a_split_and_a_price_that_is_none_fail() -> None:
    found = overview("Corporate action|USD|A:x|Stock Split|0|1", "Trade|USD|A:x|Buy 3 @ 1.2.3 USD|-1|1")
    assert [error.column for error in found.errors] == ["Event", "Event"]
