"""Trade Republic: its own transaction export, and the table that pytr makes of an account's timeline.

Layouts documented, none of them seen here. The export that the app has since April 2026 (23 columns, `datetime` to
`mcc_code`; GhostfolioSidekick, DeclaRenta, Export-To-Ghostfolio's issue 329): `symbol` is the ISIN (of coins, their
name), shares of a sale are negative, `amount` is quantity × price, `fee` and `tax` stand apart and are negative when
they cost. Whether a dividend's amount is before its tax is not documented; what moved is taken to be all three added.
pytr (its source and translations): `Date;Type;Value;Note;ISIN;Shares;Fees;Taxes` in eight languages, the value net of
fees and taxes, so that the price is what is left per share (to 12 decimals), in euros.

A transaction's id is the fill's: an order that is filled in parts has a transaction for each. Taxes on a sale are no
costs of the trade: they are cash movements of their own. Coins and shares that come without being bought come in at the
price that the row gives; those that leave do so at their own cost. A migration moves nothing.
"""

from decimal import Decimal
from types import MappingProxyType
from typing import Final

from tradesense.brokers.amounts import (
    NO_AMOUNT,
    find_loose,
    kinds,
    loose_amount,
    loose_number,
    plain_text,
    product,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind, DateOrder, Identity, Ignored, Imported, Outcome
from tradesense.brokers.fills import SIDES, cash, fill
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.statements import LocalisedFormat
from tradesense.brokers.tables import Layout, Row, fold, number, text, time
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ZERO, average, exact

_EURO: Final = "EUR"
_TEN: Final = 10
_SETTLED_ELSEWHERE: Final = MappingProxyType(
    {
        "MIGRATION": "migration",
        "FINAL_MATURITY": "settled by the redemption",
        "PRIVATE_MARKET_BUY": "reservation",
    }
)
_SALES: Final = ("SELL", "REDEMPTION")
_PURCHASES: Final = ("BUY", "SAVINGS_PLAN_EXECUTED")
_KINDS: Final = kinds(
    (CashKind.TAX, "tax"),
    (CashKind.DIVIDEND, "dividend|distribution"),
    (CashKind.INTEREST, "interest"),
    (CashKind.FEE, "fee"),
    (CashKind.DEPOSIT, "inbound|outbound|inpayment|transfer|deposit|payout|removal|withdrawal"),
)
_OWN_WORDS: Final = kinds(
    (CashKind.TAX, "tax|steuer|impot|tasse|belasting|impuesto|imposto|podatek|podatk"),
    (CashKind.DIVIDEND, "dividend|dywidend"),
    (CashKind.INTEREST, "interest|zins|interets?|interessi|rente|interes|juros|odsetk"),
    (CashKind.FEE, "fee|gebuhr|frais|commission|kosten|comision|taxa|oplat|carte|karte|card"),
    (CashKind.DEPOSIT, "deposit|einlage|depot|storting|deposito|wplat"),
    (CashKind.DEPOSIT, "removal|entnahme|retrait|prelievo|onttrekking|retirada|levantamento|wyplat"),
    (CashKind.DEPOSIT, "transfer|umbuchung|overboeking|traspaso|trasferimento"),
)
_OWN_SIDES: Final = MappingProxyType({"aankoop": Side.BUY, "nakup": Side.BUY, "vendi": Side.SELL, "prodej": Side.SELL})


class Transactions(TableFormat):
    """One row per transaction of the app's export."""

    broker = "traderepublic"
    name = "transactions"
    layout = Layout(
        time("at", "datetime", order=DateOrder.YEAR_FIRST),
        text("account", "account_type", optional=True),
        text("category", "category"),
        text("type", "type"),
        text("asset", "asset_class"),
        text("title", "name"),
        text("symbol", "symbol"),
        number("shares", "shares"),
        number("price", "price"),
        number("amount", "amount"),
        number("fee", "fee"),
        number("tax", "tax"),
        text("currency", "currency"),
        text("description", "description", optional=True),
        text("id", "transaction_id"),
    )
    telling = ("account_type", "asset_class", "transaction_id", "counterparty_iban")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """What a row became."""
        kind, category = row.required("type").upper(), row.text("category").upper()
        if kind in _SETTLED_ELSEWHERE:
            return Ignored(row.line, _SETTLED_ELSEWHERE[kind])
        if kind in _SALES or kind in _PURCHASES:
            return _trade(row, context, Side.SELL if kind in _SALES else Side.BUY)
        if category == "DELIVERY":
            return _delivery(row, context, leaves=kind == "FREE_DELIVERY")
        if category in ("TRADING", "CORPORATE_ACTION") and find_loose(row, "shares"):
            raise row.error(
                "type", f"{row.text('type')!r} changes a position in a way that is not known: add it by hand"
            )
        return _money(row, kind)


def _instrument(row: Row, context: Context) -> Instrument:
    symbol = row.required("symbol").upper()
    if row.text("asset").upper() == "CRYPTO":
        return context.instruments.plain(AssetClass.CRYPTO, symbol, row.required("currency"))
    name = row.text("title") or symbol
    return Instrument(name, AssetClass.STOCK, row.required("currency").upper(), symbol, isin=symbol)


def _account(row: Row) -> str | None:
    """The account that is not the default one: a PEA beside a securities account."""
    account = row.text("account")
    return account if account.upper() not in ("", "DEFAULT") else None


def _trade(row: Row, context: Context, side: Side) -> Imported:
    quantity, moment, currency = abs(loose_number(row, "shares")), row.moment("at"), row.required("currency").upper()
    execution = fill(
        _instrument(row, context),
        side,
        quantity,
        _price(row, quantity),
        moment,
        commission=abs(loose_amount(row, "fee")),
        identity=Identity("transaction", row.required("id")),
        account=_account(row),
    )
    return _taxed(Imported(row.line, (execution,)), row, loose_amount(row, "tax"), currency)


def _taxed(outcome: Imported, row: Row, tax: Decimal, currency: str) -> Imported:
    """A tax on what a sale gained is a movement beside the trade, not one of its costs."""
    if not tax:
        return outcome
    moment, told = row.moment("at"), outcome.fills[0].fingerprint
    return outcome._replace(also=(cash(row, CashKind.TAX, tax, currency, moment, told=told).movement,))


def _price(row: Row, quantity: Decimal) -> Decimal:
    """The price; a bond's is in percent where the amount says so, and a missing one follows from the amount."""
    price, amount = find_loose(row, "price"), abs(loose_amount(row, "amount"))
    if price is None:
        if not quantity:
            raise row.error("shares", "the number of shares must not be 0")
        return average(amount, quantity)
    if amount and row.text("asset").upper() == "BOND" and product(price, quantity) > product(amount, Decimal(_TEN)):
        return price.scaleb(-2)
    return price


def _delivery(row: Row, context: Context, *, leaves: bool) -> Imported:
    shares = loose_number(row, "shares")
    leaves = leaves or shares < 0
    execution = fill(
        _instrument(row, context),
        Side.SELL if leaves else Side.BUY,
        abs(shares),
        ZERO if leaves else loose_amount(row, "price"),
        row.moment("at"),
        kind=ExecutionKind.TRANSFER,
        identity=Identity("transaction", row.required("id")),
        account=_account(row),
    )
    return Imported(row.line, (execution,))


def _money(row: Row, kind: str) -> Outcome:
    with exact():
        amount = loose_amount(row, "amount") + loose_amount(row, "fee") + loose_amount(row, "tax")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    why = signed(why_moved(kind, _KINDS), amount)
    words = " ".join(part for part in (row.text("description") or kind, row.text("title")) if part)
    currency, told = row.required("currency").upper(), row.text("id")
    return cash(row, why, amount, currency, row.moment("at"), description=words, account=_account(row), told=told)


class Pytr(LocalisedFormat, TableFormat):
    """One row per event of a timeline, as pytr writes it, in the language of its user."""

    broker = "traderepublic"
    name = "pytr"
    layout = Layout(
        time("at", "Date", "Datum", "Data", "Fecha", order=DateOrder.YEAR_FIRST),
        text("type", "Type", "Typ", "Transactietype", "Tipo"),
        number("value", "Value", "Wert", "Waarde (netto)", "Valeur", "Valore", "Valor", "Wartość"),
        text("note", "Notiz", "Opmerking", "Nota", "Notatka", "Note"),
        text("isin", "ISIN"),
        number("shares", "Shares", "Stück", "Aantal", "Parts", "Azioni", "Cantidad", "Quantidade", "Udziały"),
        number("fees", "Fees", "Gebühren", "Kosten", "Frais", "Commissioni", "Comisiones", "Taxas", "Opłaty"),
        number("taxes", "Taxes", "Steuern", "Belasting", "Impôts / Taxes", "Tasse", "Impuestos", "Impostos", "Podatki"),
    )

    def outcome(self, row: Row, context: Context) -> Outcome:
        """A trade, or money, in the account's currency."""
        currency = context.options.currency or _EURO
        words = plain_text(row.required("type"))
        side = SIDES.get(fold(words)) or _OWN_SIDES.get(words)
        if side is not None and row.has("isin"):
            return _pytr_trade(row, side, currency)
        return _pytr_money(row, words, currency)


def _pytr_money(row: Row, words: str, currency: str) -> Outcome:
    amount, why = loose_amount(row, "value"), why_moved(words, _OWN_WORDS)
    if row.has("isin") and find_loose(row, "shares") and why is CashKind.OTHER:
        raise row.error("type", f"{row.text('type')!r} changes a position in a way that is not known: add it by hand")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    why = signed(why, amount)
    return cash(row, why, amount, currency, row.moment("at"), description=row.text("note"), told=row.text("isin"))


def _pytr_trade(row: Row, side: Side, currency: str) -> Imported:
    quantity, fees = abs(loose_number(row, "shares")), abs(loose_amount(row, "fees"))
    if not quantity:
        raise row.error("shares", "the number of shares must not be 0")
    tax = -abs(loose_amount(row, "taxes"))
    with exact():
        net = abs(loose_number(row, "value"))
        gross = net - fees + tax if side is Side.BUY else net + fees - tax
    isin = row.required("isin")
    instrument = Instrument(row.text("note") or isin, AssetClass.STOCK, currency, isin, isin=isin)
    execution = fill(instrument, side, quantity, average(gross, quantity), row.moment("at"), commission=fees)
    return _taxed(Imported(row.line, (execution,)), row, tax, currency)
