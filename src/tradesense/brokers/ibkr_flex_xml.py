"""Interactive Brokers, Flex query as XML: activity statements and trade confirmations, as the samples have the former.

Containers and their elements are named as in csingley/ibflex (`ibflex/Types.py`); of a trade confirmation
(`TradeConfirm`), which that library documents too, no real file has been seen.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

from tradesense.brokers.contract import Match, Options, Outcome, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.ibkr_flex import FlexReport
from tradesense.brokers.ibkr_flex_records import ACTION, CASH_ROW, LAYOUTS, TRADE, TRANSFER, Record, Shape

_ROOT: Final = "FlexQueryResponse"
_ROW_DEPTH: Final = 4
_KINDS: Final = {
    "Trade": TRADE,
    "Order": TRADE,
    "TradeConfirm": TRADE,
    "CashTransaction": CASH_ROW,
    "CorporateAction": ACTION,
    "Transfer": TRANSFER,
    "FxTransaction": "currency ledger",
    "SymbolSummary": "symbol summary",
    "AssetSummary": "asset summary",
    "Lot": "closed lot",
    "WashSale": "wash sale",
}


class FlexXml:
    """A Flex query's XML answer: every element within a container is a row."""

    broker: ClassVar[str] = "ibkr"
    name: ClassVar[str] = "flex-xml"
    newest_first: ClassVar[bool] = False

    def detect(self, document: Document) -> Match | None:
        """Match by the outermost element."""
        return Match(1.0, f"the element {_ROOT}") if document.root == _ROOT else None

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the statements one after another."""
        if document.root != _ROOT:
            raise Unreadable(f"the file is no answer to a Flex query: its outermost element is not {_ROOT}")
        shapes, base = _survey(document)

        def records() -> Iterator[Record]:
            for number, tag, attributes, path in document.elements():
                if len(path) >= _ROW_DEPTH:
                    shape = shapes[tag]
                    yield Record(number, shape, [attributes.get(name, "") for name in shape.header])

        return FlexReport(document, records, options, base).outcomes()


def _survey(document: Document) -> tuple[dict[str, Shape], str]:
    """The shape of the rows of each tag, with every attribute that one of them has; and the base currency."""
    names: dict[str, dict[str, None]] = {}
    base = ""
    for _, tag, attributes, path in document.elements():
        if len(path) >= _ROW_DEPTH:
            names.setdefault(tag, {}).update(dict.fromkeys(attributes))
        elif tag == "AccountInformation":
            base = base or attributes.get("currency", "")
    return {tag: _shape(tag, tuple(header)) for tag, header in names.items()}, base


def _shape(tag: str, header: tuple[str, ...]) -> Shape:
    kind = _KINDS.get(tag, tag.lower())
    readable = kind in LAYOUTS and LAYOUTS[kind].locate(header) is not None
    if kind in LAYOUTS and not readable:
        missing = ", ".join(field.synonyms[0] for field in LAYOUTS[kind].missing(header))
        raise Unreadable(f"the Flex query leaves out {missing} of {tag}; add the field(s) and run it again")
    return Shape(kind, header)
