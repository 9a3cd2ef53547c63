"""Swissquote's transactions."""

from decimal import Decimal

import pytest

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind
from tradesense.domain.executions import ExecutionKind, Side

NAME = "swissquote/transactions"
ENGLISH = (
    "Date;Order #;Transaction;Symbol;Name;ISIN;Quantity;Unit price;Costs;Accrued Interest;Net Amount;Balance;Currency\n"
)
GERMAN = (
    "Datum;Auftrag #;Transaktionen;Symbol;Name;ISIN;Anzahl;Stückpreis;Kosten;Aufgelaufene Zinsen;Nettobetrag;"
    "Währung Nettobetrag;Nettobetrag in der Währung des Kontos;Saldo;Währung\n"
)
AT = "02-03-2026 10:00:00;1"


def transactions(*lines: str, header: str = ENGLISH) -> Upload:
    text = header + "".join(f"{AT};{line}\n" for line in lines)
    assert detected(text) == NAME
    return upload(NAME, text, timezone="Europe/Zurich")


def test_a_trade_has_its_costs_and_agrees_with_what_was_booked() -> None:
    found = transactions("Buy;ALPH;ALPHA;US1;200.0;19.85;5.96;0.00;-3975.96;168660.08;USD")
    bought = found.fill
    assert these(bought.side, bought.quantity, bought.price, bought.commission) == (
        Side.BUY,
        200,
        Decimal("19.85"),
        Decimal("5.96"),
    )
    assert (bought.instrument.symbol, bought.instrument.isin, bought.identity) == ("ALPH", "US1", None)
    assert str(bought.at) == "2026-03-02 09:00:00+00:00"
    assert found.warnings == []


def test_a_booking_that_does_not_agree_is_warned_about() -> None:
    found = transactions("Sell;ALPH;ALPHA;US1;200.0;19.85;5.96;0.00;3975.96;168660.08;USD")
    assert "is not quantity × price and the costs" in found.warnings[0].message


def test_the_currency_of_the_net_amount_is_the_trades() -> None:
    line = "Kauf;VWRL;VANGUARD;IE1;10.0;95.50;9.55;0.00;-964.55;EUR;-950.20;5000.00;CHF"
    assert transactions(line, header=GERMAN).fill.instrument.currency == "EUR"


def test_the_file_may_be_latin_1(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("swissquote") / "export.csv"
    line = f"{AT};Depotgebühren;;;;1.0;50.00;3.85;0.00;-53.85;CHF;-53.85;5546.15;CHF\n"
    path.write_bytes((GERMAN + line).encode("latin-1"))
    assert upload(NAME, path).moved() == {("fee", "CHF"): Decimal("-53.85")}


FRENCH = (
    "Date;Ordre #;Transaction;Symbole;Nom;ISIN;Quantité;Prix unitaire;Coûts;Intérêts courus;Montant net;Solde;Monnaie\n"
)
ITALIAN = (
    "Data;Ordine #;Transazione;Simbolo;Nome;ISIN;Quantità;Prezzo unitario;Costi;Interessi maturati;Importo netto;Saldo;"
    "Valuta\n"
)


@pytest.mark.parametrize(("header", "word"), [(FRENCH, "Vente"), (ITALIAN, "Vendita")], ids=["french", "italian"])
def test_french_and_italian_headers_are_translated(header: str, word: str) -> None:
    sold = transactions(f"{word};A;A;US1;2.0;10.00;1.00;0.00;19.00;1.00;EUR", header=header).fill
    assert these(sold.side, sold.commission) == (Side.SELL, 1)


def test_a_bond_is_priced_in_percent_and_its_accrued_interest_is_paid_with_it() -> None:
    found = transactions(
        "Buy;;BOND;CH1;10'000.0;98.5%;25.00;12.50;-9'887.50;1.00;CHF",
        "Sell;;BOND;CH1;10'000.0;99%;25.00;10.00;9'885.00;1.00;CHF",
    )
    bought, sold = found.fills
    assert these(bought.quantity, bought.price, bought.commission, bought.fees) == (
        10000,
        Decimal("0.985"),
        25,
        Decimal("12.5"),
    )
    assert these(sold.price, sold.fees) == (Decimal("0.99"), -10)
    assert bought.instrument.symbol == "CH1"
    assert found.warnings == []


def test_pence_become_pounds() -> None:
    bought = transactions("Buy;HSBA;HSBC;GB1;10.0;700.5;7.00;0.00;-7'012.00;999.00;GBX").fill
    assert (bought.price, bought.commission, bought.instrument.currency) == (Decimal("7.005"), Decimal("0.07"), "GBP")


def test_a_row_without_its_balance_has_the_currency_in_its_place() -> None:
    found = transactions("Depotgebühren;;;;1.0;37.50;3.04;0.00;-40.54;CHF;", "Zahlung;;;;1.0;5;0;0;5.55;;")
    assert found.moved() == {("fee", "CHF"): Decimal("-40.54")}
    assert found.error == "the currency is missing"


def test_other_changes_of_a_position_are_read_where_the_row_tells_them() -> None:
    redeemed, expired, given, sent = transactions(
        "Rückzahlung;CSGN;CS;CH1;20.0;2.50;0.00;0.00;50.00;1.00;CHF",
        "Wertlose Ausbuchung;OPT;O;CH2;5.0;0.00;0.00;0.00;-;1.00;CHF",
        "Stockdividende;ALPH;A;US1;3.0;0.00;0.00;0.00;-;1.00;USD",
        "Crypto Withdrawal;BTC;Bitcoin;;0.5;60000;0.00;0.00;-;1.00;USD",
    ).fills
    assert (redeemed.kind, redeemed.side, redeemed.price) == (ExecutionKind.TRADE, Side.SELL, Decimal("2.5"))
    assert (expired.kind, expired.side) == (ExecutionKind.EXPIRY, Side.SELL)
    assert these(given.kind, given.side, given.price) == (ExecutionKind.TRANSFER, Side.BUY, 0)
    assert these(sent.kind, sent.side, sent.price) == (ExecutionKind.TRANSFER, Side.SELL, 0)


def test_what_the_row_does_not_tell_fails() -> None:
    found = transactions(
        "Reverse Split;ALPH;A;US1;3.0;0.00;0.00;0.00;-;1.00;USD",
        "Buy;;;;3.0;1.00;0.00;0.00;-3;1.00;USD",
        "Buy;;BOND;CH1;3.0;abc%;0.00;0.00;-3;1.00;USD",
    )
    assert [error.column for error in found.errors] == ["Transaction", "Symbol", "Unit price"]


def test_money_is_told_apart_by_its_words() -> None:
    found = transactions(
        "Forex credit;;;;1.0;1;0;0;1995.39;1;EUR",
        "Dividend;A;A;US1;1.0;1;0;0;10.55;1;EUR",
        "Interests;;;;1.0;1;0;0;-0.55;1;EUR",
        "Spesen Steuerauszug;;;;1.0;1;0;0;-90.55;1;EUR",
        "Quellensteuer;;;;1.0;1;0;0;-1.55;1;EUR",
        "Debit;;;;1.0;1;0;0;-2002.55;1;EUR",
        "Vergütung;;;;1.0;1;0;0;2.55;1;EUR",
        "Corporate Action;;;;1.0;1;0;0;2.55;1;EUR",
        "Payment;;;;1.0;1;0;0;0.00;1;EUR",
    )
    assert [cash.kind for cash in found.cash] == [
        CashKind.CONVERSION,
        CashKind.DIVIDEND,
        CashKind.INTEREST,
        CashKind.FEE,
        CashKind.TAX,
        CashKind.WITHDRAWAL,
        CashKind.DEPOSIT,
        CashKind.OTHER,
    ]
    assert found.ignored["no amount"] == 1
