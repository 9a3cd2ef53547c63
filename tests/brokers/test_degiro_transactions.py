"""DEGIRO's transactions."""

from decimal import Decimal

import pytest

from tests.brokers.uploads import detected, these, upload
from tradesense.domain.executions import ExecutionKind, Side

NAME = "degiro/transactions"
HEADER = (
    "Date,Time,Product,ISIN,Reference exchange,Venue,Quantity,Price,,Local value,,Value EUR,Exchange rate,AutoFX Fee,"
    "Transaction and/or third party fees EUR,Total EUR,Order ID,\n"
)
ORDER = "993ae5df-7ad1-438c-9ba7-1b85c4958690"


def test_costs_join_the_trade_by_the_rate_of_the_row() -> None:
    row = (
        '12-03-2026,09:05,A,US1,NDQ,X,5,"119,3400",USD,"-596,70",USD,"-524,44","1,1378","-1,31","-2,00","-527,75",,'
        f"{ORDER}\n"
    )
    bought = upload(NAME, HEADER + row).fill
    assert these(bought.side, bought.quantity, bought.price) == (Side.BUY, 5, Decimal("119.34"))
    assert bought.commission == Decimal("3.31") * Decimal("1.1378")
    assert bought.fx_to_account == Decimal("0.878889084198")
    assert detected(HEADER + row) == NAME


def test_costs_without_a_rate_stay_apart() -> None:
    row = f"12-03-2026,09:05,A,US1,NDQ,X,-5,119.34,USD,596.70,USD,524.44,,-1.31,-2.00,521.13,,{ORDER}\n"
    found = upload(NAME, HEADER + row)
    assert these(found.fill.commission, found.moved()) == (0, {("fee", "EUR"): Decimal("-3.31")})


def test_prices_in_pence_become_pounds_and_so_does_the_rate() -> None:
    row = (
        f'12-03-2026,09:04,V,GB1,LSE,,5,"71,3400",GBX,"-356,70",GBX,"-4,24","84,13","-0,01","-2,00","-6,25",,{ORDER}\n'
    )
    bought = upload(NAME, HEADER + row).fill
    assert (bought.instrument.currency, bought.price) == ("GBP", Decimal("0.7134"))
    assert bought.commission == Decimal("2.01") * Decimal("0.8413")


@pytest.mark.parametrize(
    "text",
    [
        "Datum,Tijd,Product,ISIN,Beurs,Uitvoeringsplaats,Aantal,Koers,,Lokale waarde,,Waarde,,Wisselkoers,"
        "Transactiekosten en/of,,Totaal,,Order ID\n"
        '02-03-2026,09:05,B,NL1,EAM,XAMS,-10,"12,3450",EUR,"123,45",EUR,"123,45",EUR,,"-2,00",EUR,"121,45",EUR,'
        + ORDER,
        "Datum,Uhrzeit,Produkt,ISIN,Börse,Anzahl,,Kurs,,Wert in Lokalwährun,,Wert,Wechselkurs,,Gebühr,,Gesamt,"
        "Order-ID\n"
        "02-03-2026,09:05,B,NL1,XET,-10,EUR,12.3450,EUR,123.45,EUR,123.45,,EUR,-2.00,EUR,121.45," + ORDER,
        "Fecha,Hora,Producto,ISIN,Bolsa de referencia,Centro de ejecución,Número,Precio,,Valor local,,Valor EUR,"
        "Tipo de cambio,Comisión AutoFX,Costes de transacción y/o externos EUR,Total EUR,ID Orden,\n"
        '02-03-2026,09:05,B,NL1,EAM,XAMS,-10,"12,3450",EUR,"123,45",EUR,"123,45",,"0,00","-2,00","121,45",,' + ORDER,
    ],
)
def test_older_layouts_and_other_languages_read_alike(text: str) -> None:
    sold = upload(NAME, text + "\n").fill
    assert these(sold.side, sold.quantity, sold.price, sold.commission) == (Side.SELL, 10, Decimal("12.345"), 2)
    assert detected(text + "\n") == NAME


def events(*lines: str) -> str:
    """Rows without an order, in a file that has orders."""
    return (
        HEADER
        + "\n".join(lines)
        + f"\n02-01-2026,09:05,Z,US9,NDQ,X,1,1.00,USD,-1.00,USD,-1.00,1.1,,-2.00,-3.00,,{ORDER}\n"
    )


def test_rows_without_an_order_are_a_split_or_nothing() -> None:
    found = upload(
        NAME,
        events(
            "20-06-2026,00:00,A,US1,NDQ,,10,160.00,USD,-1600.00,USD,-1400.00,1.1,,,-1400.00,,",
            "20-06-2026,00:00,A,US1,NDQ,,-5,320.00,USD,1600.00,USD,1400.00,1.1,,,1400.00,,",
            "21-06-2026,00:00,B,US2,NDQ,,7,10.00,USD,-70.00,USD,-60.00,1.1,,,-60.00,,",
            "21-06-2026,00:00,B,US2,NDQ,,-7,10.00,USD,70.00,USD,60.00,1.1,,,60.00,,",
        ),
    )
    split = found.fills[0]
    assert these(split.kind, split.quantity, split.price) == (ExecutionKind.SPLIT, 10, 5)
    assert found.ignored == {"part of a split": 1, "a change of the product alone": 2}


def test_rows_without_an_order_under_two_isins_are_realised_with_a_warning() -> None:
    found = upload(
        NAME,
        events(
            "20-06-2026,00:00,A,US2,NDQ,,10,160.00,USD,-1600.00,USD,-1400.00,1.1,,,-1400.00,,",
            "20-06-2026,00:00,A,US1,NDQ,,-10,160.00,USD,1600.00,USD,1400.00,1.1,,,1400.00,,",
        ),
    )
    assert [fill.kind for fill in found.fills] == [ExecutionKind.TRADE] * 3
    assert len(found.warnings) == 2


def test_units_at_price_0_without_an_order_come_or_expire() -> None:
    given, expired, _ = upload(
        NAME,
        events(
            "20-06-2026,00:00,A,US1,NDQ,,10,0.00,USD,0.00,USD,0.00,1.1,,,0.00,,",
            "21-06-2026,00:00,ALV C200.00 16DEC26,DE1,ERX,,-1,0.00,EUR,0.00,EUR,0.00,,,,0.00,,",
        ),
    ).fills
    assert (given.kind, given.side) == (ExecutionKind.TRANSFER, Side.BUY)
    assert (expired.kind, expired.side) == (ExecutionKind.EXPIRY, Side.SELL)


def test_in_a_file_without_orders_a_round_trip_within_a_minute_stays_one() -> None:
    lines = (
        "20-06-2026,10:00,A,US1,NDQ,,10,160.00,USD,-1600.00,USD,-1400.00,1.1,,,-1400.00,,\n"
        "20-06-2026,10:00,A,US1,NDQ,,-10,160.00,USD,1600.00,USD,1400.00,1.1,,,1400.00,,\n"
    )
    assert [fill.kind for fill in upload(NAME, HEADER + lines).fills] == [ExecutionKind.TRADE] * 2


def test_a_price_without_a_currency_fails() -> None:
    row = f"12-03-2026,09:05,A,US1,NDQ,X,5,119.34,12,-596.70,USD,-524.44,,,-2.00,-526.44,,{ORDER}\n"
    found = upload(NAME, HEADER + row)
    assert found.errors[0].column == "Price"
