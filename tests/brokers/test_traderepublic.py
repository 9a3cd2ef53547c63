"""Trade Republic's transaction export, and pytr's table."""

from decimal import Decimal

import pytest

from tests.brokers.uploads import Upload, detected, these, upload
from tradesense.brokers.contract import CashKind, Identity
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass

HEADER = (
    '"datetime","date","account_type","category","type","asset_class","name","symbol","shares","price","amount","fee",'
    '"tax","currency","original_amount","original_currency","fx_rate","description","transaction_id",'
    '"counterparty_name","counterparty_iban","payment_reference","mcc_code"\n'
)


def export(*lines: str) -> Upload:
    """Rows of `account|category|type|class|symbol|shares|price|amount|fee|tax`, a day apart."""
    rows = []
    for day, line in enumerate(lines, start=1):
        account, category, kind, asset, symbol, *figures = line.split("|")
        cells = [f"2026-03-{day:02}T10:00:00.5Z", f"2026-03-{day:02}", account, category, kind, asset, "Name", symbol]
        rows.append(
            ",".join(f'"{cell}"' for cell in [*cells, *figures, "EUR", "", "", "", "", f"t{day}", "", "", "", ""])
        )
    text = HEADER + "\n".join(rows) + "\n"
    assert detected(text) == "traderepublic/transactions"
    return upload("traderepublic/transactions", text)


def test_a_trade_has_its_own_id_and_its_order_fee() -> None:
    found = export(
        "DEFAULT|TRADING|BUY|FUND|IE1|4.125|48.485|-200.00|-1.00|",
        "PEA|TRADING|SELL|FUND|IE1|-4.125|52.25|215.53|-1.00|",
    )
    bought, sold = found.fills
    assert these(bought.side, bought.quantity, bought.price, bought.commission) == (
        Side.BUY,
        Decimal("4.125"),
        Decimal("48.485"),
        1,
    )
    assert (bought.identity, bought.account, bought.instrument.isin) == (Identity("transaction", "t1"), None, "IE1")
    assert (sold.side, sold.quantity, sold.account) == (Side.SELL, Decimal("4.125"), "PEA")


def test_a_tax_on_a_sale_is_no_cost_of_it() -> None:
    found = export("DEFAULT|TRADING|SELL|STOCK|US1|-2|50|100.00|-1.00|-12.35")
    assert these(found.fill.commission, found.fill.fees) == (1, 0)
    assert found.moved() == {("tax", "EUR"): Decimal("-12.35")}


def test_savings_plans_coins_and_bonds_are_trades() -> None:
    plan, coin, bond, redeemed = export(
        "DEFAULT|TRADING|SAVINGS_PLAN_EXECUTED|FUND|IE1|2|25|-50||",
        "DEFAULT|TRADING|BUY|CRYPTO|BTC|0.001|50000|-50|-1|",
        "DEFAULT|TRADING|BUY|BOND|DE1|1000|98.5|-985.00|-1|",
        "DEFAULT|CORPORATE_ACTION|REDEMPTION|BOND|DE1|-1000||1000.00||",
    ).fills
    assert plan.side is Side.BUY
    assert (coin.instrument.asset_class, coin.instrument.root) == (AssetClass.CRYPTO, "BTC")
    assert bond.price == Decimal("0.985")
    assert these(redeemed.side, redeemed.price) == (Side.SELL, 1)


def test_deliveries_are_transfers_and_migrations_nothing() -> None:
    found = export(
        "DEFAULT|DELIVERY|FREE_RECEIPT|CRYPTO|SOL|0.5|100||||".removesuffix("|"),
        "DEFAULT|DELIVERY|FREE_DELIVERY|CRYPTO|SOL|0.25|||| ".rstrip(),
        "DEFAULT|DELIVERY|MIGRATION|FUND|IE1|-3||||",
        "DEFAULT|CASH|FINAL_MATURITY|BOND|DE1|||1000||",
        "DEFAULT|CASH|PRIVATE_MARKET_BUY|||||-100||",
    )
    came, went = found.fills
    assert these(came.kind, came.side, came.price) == (ExecutionKind.TRANSFER, Side.BUY, 100)
    assert these(went.kind, went.side, went.price) == (ExecutionKind.TRANSFER, Side.SELL, 0)
    assert found.ignored == {"migration": 1, "settled by the redemption": 1, "reservation": 1}


def test_cash_is_amount_fee_and_tax_together() -> None:
    found = export(
        "DEFAULT|CASH|CUSTOMER_INBOUND|||||200.55||",
        "DEFAULT|CASH|TRANSFER_INSTANT_OUTBOUND|||||-50||",
        "DEFAULT|CASH|DIVIDEND|STOCK|US1|2||0.80||-0.24",
        "DEFAULT|CASH|INTEREST_PAYMENT|||||0.50||",
        "DEFAULT|CASH|CARD_TRANSACTION|||||-9.99||",
        "DEFAULT|CASH|CARD_ORDERING_FEE|||||0||",
    )
    assert [(cash.kind, cash.amount) for cash in found.cash] == [
        (CashKind.DEPOSIT, Decimal("200.55")),
        (CashKind.WITHDRAWAL, Decimal(-50)),
        (CashKind.DIVIDEND, Decimal("0.56")),
        (CashKind.INTEREST, Decimal("0.50")),
        (CashKind.OTHER, Decimal("-9.99")),
    ]
    assert found.ignored["no amount"] == 1


def test_unknown_changes_of_a_position_and_trades_of_nothing_fail() -> None:
    found = export("DEFAULT|CORPORATE_ACTION|SPLIT|STOCK|US1|3||||", "DEFAULT|TRADING|BUY|STOCK|US1|0||-5||")
    assert [error.column for error in found.errors] == ["type", "shares"]


PYTR = {
    "de": (
        "Datum;Typ;Wert;Notiz;ISIN;Stück;Gebühren;Steuern\n{0};Kauf;-101,00;World;IE1;4;1,00;\n"
        "{1};Verkauf;118,00;World;IE1;4;1,00;1,00\n{2};Einlage;10,55;A;;;;\n"
    ),
    "en": (
        "Date;Type;Value;Note;ISIN;Shares;Fees;Taxes\n{0};Buy;-101.00;World;IE1;4;1.00;\n"
        "{1};Sell;118.00;World;IE1;4;1.00;1.00\n{2};Deposit;10.55;A;;;;\n"
    ),
    "nl": (
        "Datum;Transactietype;Waarde (netto);Opmerking;ISIN;Aantal;Kosten;Belasting\n{0};Aankoop;-101;World;IE1;4;1;\n"
        "{1};Verkoop;118;World;IE1;4;1;1\n{2};Storting;10,55;A;;;;\n"
    ),
    "it": (
        "Data;Tipo;Valore;Note;ISIN;Azioni;Commissioni;Tasse\n{0};Compra;-101;World;IE1;4;1;\n"
        "{1};Vendi;118;World;IE1;4;1;1\n{2};Deposito;10,55;A;;;;\n"
    ),
    "fr": (
        "Date;Type;Valeur;Note;ISIN;Parts;Frais;Impôts / Taxes\n{0};Achat;-101;World;IE1;4;1;\n"
        "{1};Vente;118;World;IE1;4;1;1\n{2};Dépôt;10,55;A;;;;\n"
    ),
}


@pytest.mark.parametrize("language", PYTR)
def test_pytrs_price_is_what_is_left_per_share(language: str) -> None:
    text = PYTR[language].format("2026-03-02", "2026-03-03T09:00:00", "2026-03-04")
    assert detected(text) == "traderepublic/pytr"
    found = upload("traderepublic/pytr", text)
    bought, sold = found.fills
    assert these(bought.price, bought.commission, bought.instrument.isin) == (25, 1, "IE1")
    assert these(sold.side, sold.price, sold.commission) == (Side.SELL, 30, 1)
    assert found.moved() == {("tax", "EUR"): -1, ("deposit", "EUR"): Decimal("10.55")}


def test_pytrs_other_rows_are_money_or_fail() -> None:
    found = upload(
        "traderepublic/pytr",
        "Datum;Typ;Wert;Notiz;ISIN;Stück;Gebühren;Steuern\n"
        "2026-03-02;Dividende;0,35;World;IE1;;;\n2026-03-02;Zinsen;0,05;;;;;\n2026-03-02;Entnahme;-5,05;;;;;\n"
        "2026-03-02;Steuern;-1,05;;;;;\n2026-03-02;;0,05;;;;;\n2026-03-02;Split;;World;IE1;4;;\n"
        "2026-03-02;Spinoff;1,05;World;IE1;4;;\n2026-03-02;Kauf;-1,05;World;IE1;0;;\n",
    )
    assert [cash.kind for cash in found.cash] == [
        CashKind.DIVIDEND,
        CashKind.INTEREST,
        CashKind.WITHDRAWAL,
        CashKind.TAX,
    ]
    assert [error.column for error in found.errors] == ["Typ", "Typ", "Typ", "Stück"]
