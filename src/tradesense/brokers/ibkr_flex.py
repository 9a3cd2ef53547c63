"""Flex queries of Interactive Brokers, XML or CSV: what a trade, a cash transaction, a corporate action, a transfer is.

Fields go by the names of the XML's attributes and of the CSV's columns alike (csingley/ibflex, `ibflex/Types.py`).
Decisions:
- A fill's identity is its `tradeID`, else its `ibExecID`; never an order's. Where a report has executions, its
  orders, summaries and lots are ignored; where it has orders alone, they are taken as fills without an identity.
- A negative commission is a cost. One in another currency than the trade's is converted where the file has the rate
  (`fxRateToBase`, for commissions in the base currency); else it is booked as a fee of its own, with a warning.
- Currency pairs are conversions, not trades, unless the broker keeps them as positions (an open/close indicator).
- What is stated as realised (`fifoPnlRealized`) is after costs.
- Shares transferred in come at the price or, with a warning, the value that the file gives; without either they are
  ignored, for a cost of 0 would make a profit that never was.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from tradesense.brokers.contract import Identity, Ignored, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.formats import Context
from tradesense.brokers.ibkr_actions import CorporateActions, action_of
from tradesense.brokers.ibkr_flex_records import ACTION, CASH_ROW, LAYOUTS, MISSING_ID, TRADE, TRANSFER, Records, Survey
from tradesense.brokers.ibkr_rows import Report
from tradesense.brokers.ibkr_terms import CASH, Asset, cash_kind, category_of, codes_of
from tradesense.brokers.tables import Row, RowError, Table
from tradesense.brokers.times import Moment

_DATE_LENGTH: Final = len("2026-01-02")


class FlexReport:
    """One Flex report, read row by row. `base` is the account's currency where the container tells it."""

    def __init__(self, document: Document, records: Records, options: Options, base: str = "") -> None:
        survey = Survey(records, options)
        self._document = document
        self._records = records
        self._survey = survey
        self._report = Report(Context.of(options), base or survey.base)
        ordered = replace(options, date_order=survey.date_order)
        self._tables = {
            shape: Table(shape.header, tuple, LAYOUTS[shape.kind], ordered)
            for shape in survey.shapes
            if shape.kind in LAYOUTS
        }
        self._actions = CorporateActions(list(self._action_rows()))
        self._converters: dict[str, Callable[[Row], Outcome]] = {
            TRADE: self._trade,
            CASH_ROW: self._cash,
            ACTION: self._action,
            TRANSFER: self._transfer,
        }

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome per row."""
        for line, shape, cells in self._records():
            table = self._tables.get(shape)
            if table is None:
                yield Ignored(line, shape.kind)
                continue
            row = Row(line, cells, table.columns)
            coarse = self._coarse(row, shape.kind)
            yield coarse or table.outcome(row, self._converters[shape.kind], self._document)

    def _action_rows(self) -> Iterator[Row]:
        for line, shape, cells in self._survey.actions:
            yield Row(line, cells, self._tables[shape].columns)

    def _coarse(self, row: Row, kind: str) -> Ignored | None:
        """A row of a coarser level of detail than the finest that the report has, which repeats what others tell."""
        try:
            level = row.text("level")
        except RowError:
            return None
        repeated = level not in ("", self._survey.level(kind))
        return Ignored(row.line, level.lower().replace("_", " ")) if repeated else None

    def _trade(self, row: Row) -> Outcome:
        codes = codes_of(row.text("codes"))
        if row.text("type") == "TradeCancel" or "Ca" in codes or row.text("trade_id") in self._survey.cancelled:
            return Ignored(row.line, "cancelled")
        moment = _moment(row)
        paid_in = row.text("commission_currency")
        if _is_conversion(row):
            return self._report.conversion(row, moment, paid_in)
        return self._report.execution(row, self._asset(row), moment, codes, _identity(row), paid_in)

    def _asset(self, row: Row) -> Asset:
        expiry = row.find_moment("expiry")
        return Asset(
            row.text("category"),
            self._actions.name(row.text("symbol")),
            row.required("currency"),
            row.find_number("multiplier") or None,
            row.text("isin"),
            row.text("underlying"),
            expiry.wall.date() if expiry else None,
            row.find_number("strike"),
            row.text("right"),
        )

    def _cash(self, row: Row) -> Outcome:
        amount = row.number("amount")
        if not amount:
            return Ignored(row.line, "no amount")
        kind = cash_kind(row.required("type"), amount)
        description = row.text("description") or row.text("type")
        return self._report.moved(row, kind, amount, row.required("currency"), row.moment("at"), description)

    def _action(self, row: Row) -> Outcome:
        return self._actions.outcome(row, action_of(row), row.moment("at"), self._report)

    def _transfer(self, row: Row) -> Outcome:
        return self._report.transfer(row, self._asset(row), row.moment("at"))


def _moment(row: Row) -> Moment:
    """When a trade happened: `dateTime`, or `tradeDate` and `tradeTime`."""
    apart = row.has("clock") and len(row.text("at")) <= _DATE_LENGTH
    return row.moment("at", "clock") if apart else row.moment("at")


def _is_conversion(row: Row) -> bool:
    if row.text("open_close"):
        return False
    if row.has("category"):
        return category_of(row.text("category")) == CASH
    return not row.has("symbol") and not row.has("isin")


def _identity(row: Row) -> Identity | None:
    for name, kind in (("trade_id", "trade"), ("exec_id", "exec")):
        if row.text(name) not in MISSING_ID:
            return Identity(kind, row.text(name))
    return None
