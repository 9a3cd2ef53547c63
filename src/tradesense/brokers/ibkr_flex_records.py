"""The rows of a Flex report, XML or CSV, by kind and header; and what one pass over them tells beforehand."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tradesense.brokers.contract import Options
from tradesense.brokers.tables import Layout, fold, number, text, time
from tradesense.brokers.times import OrderEvidence

TRADE: Final = "trade"
CASH_ROW: Final = "cash transaction"
ACTION: Final = "corporate action"
TRANSFER: Final = "transfer"

_WHO: Final = (
    text("account", "accountId", "ClientAccountID", optional=True),
    text("currency", "currency", "CurrencyPrimary"),
    text("category", "assetCategory", "AssetClass", optional=True),
    text("symbol", optional=True),
    text("isin", "isin", "securityID", optional=True),
    text("level", "levelOfDetail", optional=True),
)
LAYOUTS: Final = {
    TRADE: Layout(
        *_WHO,
        time("at", "dateTime", "tradeDate"),
        text("clock", "tradeTime", optional=True),
        number("quantity"),
        number("price", "tradePrice", "price"),
        number("money", "tradeMoney", "proceeds", optional=True),
        number("proceeds", optional=True),
        number("commission", "ibCommission", "commission", optional=True),
        text("commission_currency", "ibCommissionCurrency", "commissionCurrency", optional=True),
        number("taxes", "taxes", "tax", optional=True),
        text("side", "buySell", optional=True),
        text("open_close", "openCloseIndicator", optional=True),
        text("codes", "notes", "notesCodes", "code", optional=True),
        text("type", "transactionType", optional=True),
        text("trade_id", "tradeID", optional=True),
        text("exec_id", "ibExecID", "execID", optional=True),
        text("original_id", "origTradeID", optional=True),
        number("realised", "fifoPnlRealized", optional=True),
        number("rate", "fxRateToBase", optional=True),
        number("multiplier", optional=True),
        text("underlying", "underlyingSymbol", optional=True),
        number("strike", optional=True),
        time("expiry", optional=True),
        text("right", "putCall", optional=True),
    ),
    CASH_ROW: Layout(
        *_WHO,
        time("at", "dateTime", "settleDate", "reportDate", "date"),
        number("amount"),
        text("type"),
        text("description", "description", "activityDescription", optional=True),
        text("id", "transactionID", optional=True),
    ),
    ACTION: Layout(
        *_WHO,
        time("at", "dateTime", "reportDate"),
        text("description", "description", "actionDescription"),
        number("quantity"),
        number("proceeds", optional=True),
        number("value", optional=True),
        number("realised", "fifoPnlRealized", optional=True),
        text("codes", "code", "notes", "notesCodes", optional=True),
    ),
    TRANSFER: Layout(
        *_WHO,
        time("at", "dateTime", "date", "reportDate"),
        text("direction"),
        number("multiplier", optional=True),
        text("underlying", "underlyingSymbol", optional=True),
        number("strike", optional=True),
        time("expiry", optional=True),
        text("right", "putCall", optional=True),
        number("quantity", optional=True),
        number("price", "transferPrice", optional=True),
        number("value", "positionAmount", optional=True),
        number("amount", "cashTransfer", optional=True),
        text("description", optional=True),
    ),
}
_LEVELS: Final = {TRADE: ("EXECUTION", "ORDER")}
_OTHER_LEVELS: Final = ("DETAIL", "TRANSACTION", "SUMMARY")
_DATES: Final = frozenset({"datetime", "tradedate", "settledate", "reportdate", "date", "expiry"})
_BASE_NAMES: Final = ("functionalcurrency", "basecurrency")
MISSING_ID: Final = frozenset({"", "0", "--", "-"})


@dataclass(frozen=True, eq=False, slots=True)
class Shape:
    """Rows of one kind with one header; a kind without a layout is the reason for which its rows are ignored."""

    kind: str
    header: tuple[str, ...]

    def places(self, *names: str) -> list[int]:
        """Where the columns of these folded names stand."""
        return [index for index, name in enumerate(self.header) if fold(name) in names]


class Record(NamedTuple):
    """A data row of a Flex report, whatever it is made of."""

    line: int
    shape: Shape
    cells: Sequence[str]


Records = Callable[[], Iterator[Record]]


class Survey:
    """What must be known of a report before its first row is read, gathered in one pass."""

    def __init__(self, records: Records, options: Options) -> None:
        self.base = ""
        self.levels: dict[str, set[str]] = {}
        self.cancelled: set[str] = set()
        self.actions: list[Record] = []
        self.shapes: list[Shape] = []
        order = OrderEvidence("the report", options.date_order)
        columns: dict[Shape, tuple[list[int], ...]] = {}
        for record in records():
            shape = record.shape
            if shape not in columns:
                self.shapes.append(shape)
                columns[shape] = _columns_of(shape)
            dates, levels, bases, types, originals = columns[shape]
            for told in _cells(record, dates):
                order.see(told)
            self._note(record, levels, bases)
            if "TradeCancel" in _cells(record, types):
                self.cancelled.update(_cells(record, originals))
        self.cancelled -= MISSING_ID
        self.date_order = order.order()

    def _note(self, record: Record, levels: list[int], bases: list[int]) -> None:
        kind = record.shape.kind
        self.levels.setdefault(kind, set()).update(_cells(record, levels))
        self.base = self.base or next(iter(_cells(record, bases)), "")
        if kind == ACTION:
            self.actions.append(record)

    def level(self, kind: str) -> str:
        """The finest level of detail that the report has of a kind of rows."""
        seen = self.levels.get(kind, set())
        return next((level for level in _LEVELS.get(kind, _OTHER_LEVELS) if level in seen), "")


def _cells(record: Record, places: list[int]) -> list[str]:
    return [record.cells[index].strip() for index in places if index < len(record.cells)]


def _columns_of(shape: Shape) -> tuple[list[int], ...]:
    return (
        shape.places(*_DATES),
        shape.places("levelofdetail"),
        shape.places(*_BASE_NAMES),
        shape.places("transactiontype") if shape.kind == TRADE else [],
        shape.places("origtradeid"),
    )
