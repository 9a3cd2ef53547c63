"""Rows of Interactive Brokers' reports, Flex or activity statement: a fill, a conversion, a transfer, a cash movement.

The layouts of all of them name their fields alike, so that a row is read by the same words wherever it stands.
"""

from dataclasses import dataclass
from decimal import Decimal

from tradesense.brokers.contract import Cash, CashKind, CashMovement, Identity, Ignored, Imported, Outcome, Stated
from tradesense.brokers.fills import cash, fill, sign_of
from tradesense.brokers.formats import Context
from tradesense.brokers.ibkr_terms import CASH, Asset, category_of, charge, instrument_of, kind_of, money_warning
from tradesense.brokers.tables import Row
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.money import ZERO, average, exact, text


@dataclass(frozen=True, slots=True)
class Report:
    """What holds for every row of a report: the context, and the account and its currency where they are known."""

    context: Context
    base: str = ""
    account: str | None = None

    def account_of(self, row: Row) -> str | None:
        """The account of a row, else the report's."""
        return row.text("account") or self.account

    def execution(
        self, row: Row, asset: Asset, moment: Moment, codes: frozenset[str], identity: Identity | None, paid_in: str
    ) -> Imported:
        """A fill; `paid_in` is the currency of its commission, empty for the trade's own."""
        signed, price = row.number("quantity"), row.number("price")
        instrument = instrument_of(asset, moment.wall.date(), self.context)
        # At a price, an exercise or an assignment is settled in money, and the price is what was paid.
        kind = ExecutionKind.TRADE if price else kind_of(codes, instrument.asset_class)
        costs = charge(row.amount("commission"), paid_in, asset.currency, self.base, row.find_number("rate"))
        made = fill(
            instrument,
            Side.SELL if row.text("side").upper().startswith("S") else sign_of(signed),
            abs(signed),
            price,
            moment,
            commission=costs.cost,
            fees=-row.amount("taxes"),
            kind=kind,
            identity=identity,
            account=self.account_of(row),
            stated=_stated(row, codes),
            fx_to_account=row.find_number("rate") or None,
        )
        warning = money_warning(instrument, abs(signed), price, row.find_number("money"))
        also: tuple[CashMovement, ...] = ()
        if costs.foreign:
            also = (self._commission(row, moment, costs.foreign, costs.currency),)
            warning = (
                warning or f"the commission is in {costs.currency}, the trade in {asset.currency}: booked as a fee"
            )
        return Imported(row.line, (made,), warning, also)

    def conversion(self, row: Row, moment: Moment, paid_in: str) -> Cash:
        """Both currencies of a conversion, the first only where the file names it, and the commission."""
        quantity, price, currency = row.number("quantity"), row.number("price"), row.required("currency")
        with exact():
            received = row.find_number("proceeds") or -quantity * price
        what = f"{_name(row)} {text(quantity)} at {text(price)}"
        moved = self.moved(row, CashKind.CONVERSION, received, currency, moment, what)
        also = []
        first, _, second = row.text("symbol").partition(".")
        if second:
            also.append(self.moved(row, CashKind.CONVERSION, quantity, first, moment, what).movement)
        commission = row.amount("commission")
        if commission:
            also.append(self._commission(row, moment, commission, paid_in or currency))
        return moved._replace(also=tuple(also))

    def transfer(self, row: Row, asset: Asset, moment: Moment) -> Outcome:
        """Shares or money that came from, or went to, another account."""
        signed, amount = row.amount("quantity"), row.amount("amount")
        if amount:
            kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
            return self.moved(row, kind, amount, asset.currency, moment, row.text("description") or "transfer")
        if not signed or category_of(asset.category) == CASH:
            return Ignored(row.line, "transfer")
        incoming = row.text("direction").upper() == "IN"
        price, value = row.amount("price"), row.amount("value")
        if incoming and not price and not value:
            return Ignored(row.line, "transfer in without a cost")
        instrument = instrument_of(asset, moment.wall.date(), self.context)
        with exact():
            worth = average(abs(value), abs(signed) * instrument.multiplier)
        made = fill(
            instrument,
            sign_of(signed),
            abs(signed),
            (price or worth) if incoming else ZERO,
            moment,
            kind=ExecutionKind.TRANSFER,
            account=self.account_of(row),
            told=row.text("direction"),
        )
        unknown = incoming and not price
        return Imported(row.line, (made,), "the file gives no cost: taken in at the day's value" if unknown else None)

    def moved(self, row: Row, kind: CashKind, amount: Decimal, currency: str, moment: Moment, description: str) -> Cash:
        """A cash movement."""
        told = row.text("trade_id") or row.text("id")
        account = self.account_of(row)
        return cash(row, kind, amount, currency, moment, description=description, account=account, told=told)

    def _commission(self, row: Row, moment: Moment, amount: Decimal, currency: str) -> CashMovement:
        return self.moved(row, CashKind.FEE, amount, currency, moment, f"commission of {_name(row)}").movement


def _stated(row: Row, codes: frozenset[str]) -> Stated | None:
    realised = row.find_number("realised")
    closing = "C" in row.text("open_close") or "C" in codes
    return Stated(realised, net=True) if realised is not None and (realised or closing) else None


def _name(row: Row) -> str:
    return row.text("symbol") or row.text("isin") or "conversion"
