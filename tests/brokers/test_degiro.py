"""DEGIRO's account statement."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind
from tradesense.brokers.degiro_terms import read_trade
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass

NAME = "degiro/account"
DUTCH = "Datum,Tijd,Valutadatum,Product,ISIN,Omschrijving,FX,Mutatie,,Saldo,,Order Id\n"
ENGLISH = "Date,Time,Value date,Product,ISIN,Description,FX,Change,,Balance,,Order Id\n"


def statement(*bookings: str, header: str = DUTCH, currency: str | None = None) -> Upload:
    """Bookings of `ISIN,description,fx,currency,amount,order`, all of one minute."""
    lines = []
    for booking in bookings:
        isin, description, fx, *money, order = booking.split("|")
        amount = ",".join(f'"{part}"' for part in money) or ","
        lines.append(f'02-03-2026,10:00,02-03-2026,Product,{isin},"{description}","{fx}",{amount},EUR,"1,00",{order}')
    return upload(NAME, header + "\n".join(lines) + "\n", currency=currency)


def test_the_sample_is_read_whole(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "degiro" / "account.csv")
    assert (found.rows, found.imported, found.errors) == (74, 14, [])
    assert found.ignored == {
        "internal transfer": 8,
        "reservation": 2,
        "continuation of the row above": 1,
        "cost of an execution": 7,
        "a change of the product alone": 2,
        "deposit": 2,
        "withdrawal": 1,
        "conversion": 12,
        "dividend": 9,
        "tax": 6,
        "fee": 6,
        "other": 4,
    }
    assert detected(broker_samples / "degiro" / "account.csv") == NAME


def test_the_samples_trades_add_up(broker_samples: Path) -> None:
    found = upload(NAME, broker_samples / "degiro" / "account.csv")
    assert found.traded() == {
        "USD": Decimal("63.97") - Decimal("33.9") - Decimal("1.2108"),
        "EUR": Decimal("5.416")
        - sum(
            map(Decimal, ("79.35", "97.93", "19.5", "42.53", "298.71", "82.055", "479.76", "672.0")),
        ),
        "GBP": Decimal("19.84"),
    }
    assert found.costs() == {
        "USD": Decimal("1.0624") + Decimal("0.58615"),
        "EUR": 3 + Decimal("4.90") + Decimal("9999.99"),
        "GBP": 0,
    }
    assert found.moved()["fee", "EUR"] == -Decimal("11.00")
    assert found.moved()["dividend", "USD"] == sum(
        map(Decimal, ("0.44", "0.44", "0.73", "11.82", "1.39", "0.51", "3.50", "0.23"))
    )
    (warned,) = found.warnings
    assert (warned.line, warned.message) == (69, "the booked amount -9999.99 is not quantity × price")


def test_an_orders_costs_join_its_first_execution_at_the_rate_of_its_own_exchange() -> None:
    found = statement(
        "US1|Valuta Creditering|1,0800|USD|108,00|order-1",
        "US1|Valuta Debitering||EUR|-100,00|order-1",
        "US1|DEGIRO Transactiekosten en/of kosten van derden||EUR|-2,00|order-1",
        "US1|Koop 3 @ 24 USD||USD|-72,00|order-1",
        "US1|Koop 1 @ 36 USD||USD|-36,00|order-1",
    )
    assert [fill.commission for fill in found.fills] == [Decimal("2.16"), Decimal(0)]
    assert found.fills[0].fx_to_account == Decimal("0.925925925926")
    assert found.ignored == {"conversion": 2, "cost of an execution": 1}
    assert found.moved() == {("conversion", "USD"): 108, ("conversion", "EUR"): -100}


def test_an_order_id_goes_on_in_the_next_row() -> None:
    text = DUTCH + (
        '02-03-2026,10:00,02-03-2026,P,US1,DEGIRO Transactiekosten,,EUR,"-2,00",EUR,"1,00",half-\n'
        ",,,,,,,,,,,whole\n"
        '02-03-2026,10:00,02-03-2026,P,US1,"Koop 2 @ 5,5 EUR",,EUR,"-11,00",EUR,"1,00",half-whole\n'
    )
    found = upload(NAME, text)
    assert found.fill.commission == 2
    assert found.ignored == {"cost of an execution": 1, "continuation of the row above": 1}


def test_costs_in_a_currency_without_a_rate_stay_a_fee_of_their_own() -> None:
    found = statement(
        "US1|DEGIRO Transactiekosten en/of kosten van derden||EUR|-2,00|order-1",
        "US1|Koop 3 @ 24 USD||USD|-72,00|order-1",
    )
    assert these(found.fill.commission, found.moved()) == (0, {("fee", "EUR"): -2})


def test_a_security_in_pence_is_in_pounds() -> None:
    found = statement("GB1|Sell 4 AVIVA@496 GBX (GB1)||GBP|19,84|order-1", header=ENGLISH)
    assert (found.fill.price, found.fill.instrument.currency, found.warnings) == (Decimal("4.96"), "GBP", [])


@pytest.mark.parametrize(
    ("description", "amount", "side", "quantity", "price"),
    [
        ("Koop 1 @ 33,9 USD", "-33.90", Side.BUY, "1", "33.9"),
        ("Verkoop 1 @ 5,416 EUR", "5.42", Side.SELL, "1", "5.416"),
        ("Buy 5 888 HOLDINGS PLC@1.25 GBP (GI000A0F6407)", "-6.25", Side.BUY, "5", "1.25"),
        ("Kauf 4 zu je 12,5 EUR", "-50", Side.BUY, "4", "12.5"),
        ("Verkauf 9 zu je 9,258 EUR (DE000A28M8D0)", "83.32", Side.SELL, "9", "9.258"),
        ("Achat 6 QT GROUP OYJ@79,96 EUR (FI4000198031)", "-479.76", Side.BUY, "6", "79.96"),
        ("Vente 1\u202f046 X@2,5 EUR", "2615", Side.SELL, "1046", "2.5"),
        ("Compra 6 ISHARES MSCI WOR A@49,785 EUR (IE00B4L5Y983)", "-298.71", Side.BUY, "6", "49.785"),
        ("Venta 1.000 X@1.250,5 EUR", "1250500", Side.SELL, "1000", "1250.5"),
        ("Acquisto 2.000 X@0,039 EUR", "-78", Side.BUY, "2000", "0.039"),
        ("Vendita 2 X@1,234 EUR", "2468", Side.SELL, "2", "1234"),
        ("Nákup 3 X@10 CZK", "-30", Side.BUY, "3", "10"),
        ("Prodej 3 X@10 CZK", "30", Side.SELL, "3", "10"),
    ],
)
def test_trades_in_words_are_read_in_many_languages(
    description: str, amount: str, side: Side, quantity: str, price: str
) -> None:
    trade = read_trade(description, Decimal(amount))
    assert trade is not None
    assert (trade.side, trade.quantity, trade.price) == (side, Decimal(quantity), Decimal(price))


@pytest.mark.parametrize("words", ["iDEAL Deposit", "Dividend", "Nákup 3 X@10 CZK", "Koop @ 3 EUR", "Koop 1 @ 3"])
def test_other_words_are_no_trade(words: str) -> None:
    assert read_trade(words, None) is None


def test_a_corporate_action_with_another_number_of_units_is_a_split() -> None:
    found = statement(
        "US1|AKTIENSPLIT: Kauf 40 @ 25 USD||USD|0,00|",
        "US1|AKTIENSPLIT: Verkauf 10 @ 100 USD||USD|0,00|",
    )
    assert these(found.fill.kind, found.fill.quantity, found.fill.price) == (ExecutionKind.SPLIT, 40, 10)
    assert found.ignored == {"part of a split": 1}


def test_a_change_of_the_product_alone_changes_nothing() -> None:
    found = statement(
        "US1|PRODUCTWIJZIGING : Koop 40 @ 25 USD||USD|0,00|", "US1|PRODUCTWIJZIGING : Verkoop 40 @ 25 USD||USD|0,00|"
    )
    assert found.ignored == {"a change of the product alone": 2}


def test_a_security_that_goes_on_under_another_isin_is_realised_with_a_warning() -> None:
    found = statement(
        "US2|ISIN-WIJZIGING : Koop 20 @ 50 USD||USD|0,00|", "US1|ISIN-WIJZIGING : Verkoop 40 @ 25 USD||USD|0,00|"
    )
    assert [fill.kind for fill in found.fills] == [ExecutionKind.TRADE] * 2
    assert found.traded() == {"USD": 0}
    assert len(found.warnings) == 2


def test_units_that_come_without_money_are_transferred_and_others_are_traded() -> None:
    given, taken, sold = statement(
        "NL1|STOCK DIVIDEND: Koop 9 @ 0 EUR||EUR|0,00|",
        "NL2|UITBOEKING: Verkoop 9 @ 3 EUR||EUR|0,00|",
        "NL3|FUSIE: Verkoop 9 @ 3 EUR||EUR|27,00|",
    ).fills
    assert these(given.kind, given.side, given.price) == (ExecutionKind.TRANSFER, Side.BUY, 0)
    assert these(taken.kind, taken.side, taken.price) == (ExecutionKind.TRANSFER, Side.SELL, 0)
    assert these(sold.kind, sold.price) == (ExecutionKind.TRADE, 3)


def test_what_moved_within_the_bank_is_no_cash() -> None:
    found = statement(
        "|Overboeking van uw geldrekening bij flatexDEGIRO Bank 26,45 EUR||",
        "|Degiro Cash Sweep Transfer||EUR|26,45|",
        "|Processed Flatex Withdrawal||EUR|15,10|",
        "|Reservation iDEAL / Sofort Deposit||EUR|-27,80|",
        "|Conversion Fonds Monétaires: Vente 1\u202f046,3825 @ 0,9854 EUR||EUR|-4,81|",
        "|Iets||EUR|0,00|",
    )
    assert found.ignored == {"internal transfer": 3, "reservation": 1, "other": 1, "no amount": 1}


@pytest.mark.parametrize(
    ("words", "amount", "kind"),
    [
        ("Dividendbelasting", "-1,00", CashKind.TAX),
        ("Dividende", "1,00", CashKind.DIVIDEND),
        ("Impôts sur dividende", "-1,00", CashKind.TAX),
        ("CrÃ©dito de divisa", "1,00", CashKind.CONVERSION),
        ("Flatex Interest Income", "1,00", CashKind.INTEREST),
        ("Giro Exchange Connection Fee 2026", "-2,50", CashKind.FEE),
        ("Ingreso Cambio de Divisa", "1,00", CashKind.CONVERSION),
        ("Ingreso", "25,00", CashKind.DEPOSIT),
        ("flatex terugstorting", "-25,00", CashKind.WITHDRAWAL),
        ("DEGIRO courtesy", "0,24", CashKind.OTHER),
    ],
)
def test_bookings_are_told_apart_by_their_words(words: str, amount: str, kind: CashKind) -> None:
    (movement,) = statement(f"|{words}||EUR|{amount}|").cash
    assert movement.kind is kind


def test_an_option_is_known_by_its_name() -> None:
    text = DUTCH + (
        '02-03-2026,10:00,02-03-2026,ALV C200.00 16DEC26,DE1,"Koop 1 ALV C200.00 16DEC26@11 EUR (DE1)"'
        ',,EUR,"-1100,00",EUR,"1,00",o\n'
        '02-03-2026,10:00,02-03-2026,ALV C200.00 99DEC26,DE2,"Koop 1 ALV C200.00 99DEC26@11 EUR (DE2)"'
        ',,EUR,"-11,00",EUR,"1,00",o\n'
    )
    found = upload(NAME, text)
    option, odd = (fill.instrument for fill in found.fills)
    assert these(option.asset_class, option.multiplier, option.strike) == (AssetClass.OPTION, 100, 200)
    assert str(option.expiry) == "2026-12-16"
    assert odd.asset_class is AssetClass.STOCK
    assert found.warnings == []
