"""Swissquote's transactions (PostFinance's e-trading has the same): one row per execution or booking.

Layouts documented, none of them seen here: English and German with 13 columns (Export-To-Ghostfolio's sample,
steuer-auswertung, OpenSteuerAuszug), German with 15, in which the currency of the net amount stands apart from the
account's. The French and Italian headers and words are translations that nobody has published; they may be incomplete.

The order's number is the order's. Costs are in the price's currency; accrued interest counts with them, for it is paid
at the purchase of a bond, whose price is a percentage (`98.5%`). Prices in pence become pounds. Splits and other
changes of positions state too little to be read, and fail with a message. Times are local, without a zone.
"""

from decimal import Decimal
from types import MappingProxyType
from typing import Final

from tradesense.brokers.amounts import (
    NO_AMOUNT,
    disagreement,
    find_loose,
    in_major_units,
    kinds,
    loose_amount,
    loose_number,
    plain_text,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.fills import SIDES, cash, fill
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.numbers import NotANumber, NumberStyle, evidence, parse_number
from tradesense.brokers.statements import LocalisedFormat
from tradesense.brokers.tables import Layout, Row, fold, number, text, time
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO, exact

_FIGURES: Final = ("costs", "accrued", "net")
_SOLD: Final = (ExecutionKind.TRADE, Side.SELL)
_EXPIRED: Final = (ExecutionKind.EXPIRY, Side.SELL)
_CAME: Final = (ExecutionKind.TRANSFER, Side.BUY)
_MOVES: Final = MappingProxyType(
    dict.fromkeys(("redemption", "ruckzahlung", "remboursement", "rimborso"), _SOLD)
    | dict.fromkeys(("worthless", "wertlose ausbuchung"), _EXPIRED)
    | dict.fromkeys(("stock dividend", "stockdividende", "crypto deposit"), _CAME)
    | {"crypto withdrawal": (ExecutionKind.TRANSFER, Side.SELL)}
)
"""What besides purchases and sales changes a position, by the transaction's name."""

_KINDS: Final = kinds(
    (CashKind.CONVERSION, r"forex|\bfx\b|fx-|operation de change|cambio"),
    (CashKind.DIVIDEND, "dividend|capital gain|ausschuttung|distribution"),
    (CashKind.FEE, "fee|gebuhr|spesen|spese|frais|commission|borsengeb"),
    (CashKind.INTEREST, "interest|zinsen|interets?|interessi|wertpapierleihe"),
    (CashKind.TAX, "tax|steuer|impot|imposta"),
    (CashKind.DEPOSIT, "payment|zahlung|debit|credit|vergutung|twint|versement|virement|paiement"),
    (CashKind.DEPOSIT, "retrait|bonifico|pagamento|versamento|prelievo|withdrawal|deposit"),
)


class Transactions(LocalisedFormat, TableFormat):
    """One row per execution or booking, the newest first."""

    broker = "swissquote"
    name = "transactions"
    newest_first = True
    layout = Layout(
        time("at", "Date", "Datum", "Data", order=DateOrder.DAY_FIRST),
        text("order", "Order #", "Auftrag #", "Ordre #", "Ordine #"),
        text(
            "transaction", "Transaction", "Transaktionen", "Transaktion", "Transactions", "Transazioni", "Transazione"
        ),
        text("symbol", "Symbol", "Symbole", "Simbolo"),
        text("isin", "ISIN"),
        number("quantity", "Quantity", "Anzahl", "Quantité", "Quantità"),
        number("price", "Unit price", "Stückpreis", "Prix unitaire", "Prezzo unitario"),
        number("costs", "Costs", "Kosten", "Coûts", "Frais", "Costi", "Spese"),
        number(
            "accrued", "Accrued Interest", "Aufgelaufene Zinsen", "Intérêts courus", "Interessi maturati", optional=True
        ),
        number("net", "Net Amount", "Nettobetrag", "Montant net", "Importo netto"),
        text("net_currency", "Net Amount Currency", "Währung Nettobetrag", "Monnaie du montant net", optional=True),
        text("balance", "Balance", "Saldo", "Solde", optional=True),
        text("currency", "Currency", "Währung", "Monnaie", "Devise", "Valuta", "Moneta"),
    )

    def outcome(self, row: Row, context: Context) -> Outcome:
        """An execution, or a booking of money."""
        words = row.required("transaction")
        side = SIDES.get(fold(words))
        if side is not None:
            return _execution(row, context, ExecutionKind.TRADE, side)
        move = _MOVES.get(plain_text(words))
        if move is not None and row.has("quantity") and (row.has("isin") or row.has("symbol")):
            return _execution(row, context, *move)
        return _money(row, words)


def _currency(row: Row) -> str:
    """The currency of price and net amount; in a row that lacks the balance it has slipped into its place."""
    named = row.text("net_currency") or row.text("currency")
    slipped = row.text("balance")
    found = named or (slipped if slipped.isalpha() else "")
    if not found:
        raise row.error("currency", "the currency is missing")
    return found


def _execution(row: Row, context: Context, kind: ExecutionKind, side: Side) -> Imported:
    price, currency = in_major_units(_price(row), _currency(row))
    costs, accrued, net = (in_major_units(loose_amount(row, name), _currency(row))[0] for name in _FIGURES)
    accrued = accrued if side is Side.BUY else -accrued
    quantity, moves_money = abs(loose_number(row, "quantity")), kind is ExecutionKind.TRADE
    execution = fill(
        _instrument(row, context, currency),
        side,
        quantity,
        price if moves_money or side is Side.BUY else ZERO,
        row.moment("at"),
        commission=costs if moves_money else ZERO,
        fees=accrued if moves_money else ZERO,
        kind=kind,
        told=row.text("order"),
    )
    with exact():
        doubt = disagreement(side, quantity, price, costs + accrued, net) if moves_money else None
    return Imported(row.line, (execution,), doubt)


def _instrument(row: Row, context: Context, currency: str) -> Instrument:
    symbol = row.text("symbol") or row.text("isin")
    if not symbol:
        raise row.error("symbol", "the symbol is missing")
    return context.instruments.stock(symbol, currency, row.text("isin"))


def _price(row: Row) -> Decimal:
    """The price; a bond's, in percent, per unit of its face value."""
    cell = row.text("price")
    if not cell.endswith("%"):
        return loose_number(row, "price")
    figure = cell.removesuffix("%").strip()
    try:
        return parse_number(figure, evidence(figure) or NumberStyle.POINT).scaleb(-2)
    except NotANumber as error:
        raise row.error("price", str(error)) from error


def _money(row: Row, words: str) -> Outcome:
    if row.has("isin") and find_loose(row, "net") is None:
        raise row.error("transaction", f"{words!r} changes a position, the file does not say how: add it by hand")
    amount = loose_amount(row, "net")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    amount, currency = in_major_units(amount, _currency(row))
    kind = signed(why_moved(words, _KINDS), amount)
    description = f"{words} {row.text('symbol')}".strip()
    return cash(row, kind, amount, currency, row.moment("at"), description=description)
