"""The formats that TradeSense reads, and which of them a file is."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers import mapping
from tradesense.brokers.contract import Format, Match, NeedsInput, Options, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.reading import Progress, Reading, read

FORMATS: Final = (
    "tradovate:Orders",
    "tradovate:Performance",
    "ninjatrader:Grid",
    "ninjatrader:Executions",
    "topstepx:Trades",
    "tradervue:Generic",
    "tradezella:Generic",
    "das:Trades",
    "ibkr_flex_xml:FlexXml",
    "ibkr_flex_csv:FlexCsv",
    "ibkr_activity:ActivityStatement",
    "thinkorswim:AccountStatement",
    "schwab:Transactions",
    "metatrader5:Report",
    "metatrader5:PositionHistory",
    "metatrader4:Statement",
    "tastytrade:Transactions",
    "tastytrade:TastyworksTransactions",
    "robinhood:Activity",
    "fidelity:History",
    "webull:Orders",
    "etrade:Transactions",
    "tradezero:Trades",
    "coinbase:Transactions",
    "binance:Spot",
    "binance:Futures",
    "degiro:Account",
    "degiro_transactions:Transactions",
    "etoro:AccountActivity",
    "freetrade:Activity",
    "revolut:Stocks",
    "revolut:Crypto",
    "saxo:Transactions",
    "swissquote:Transactions",
    "traderepublic:Transactions",
    "traderepublic:Pytr",
    "trading212:History",
    "xtb:CashOperations",
    "generic:Generic",
)
"""`module:class` of every format, in the order in which equals are preferred."""


_TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "binance": "Binance",
        "coinbase": "Coinbase",
        "das": "DAS Trader",
        "degiro": "DEGIRO",
        "etoro": "eToro",
        "etrade": "E*TRADE",
        "fidelity": "Fidelity",
        "freetrade": "Freetrade",
        "generic": "Generic",
        "ibkr": "Interactive Brokers",
        "metatrader4": "MetaTrader 4",
        "metatrader5": "MetaTrader 5",
        "ninjatrader": "NinjaTrader",
        "revolut": "Revolut",
        "robinhood": "Robinhood",
        "saxo": "Saxo Bank",
        "schwab": "Charles Schwab",
        "swissquote": "Swissquote",
        "tastytrade": "tastytrade",
        "thinkorswim": "thinkorswim",
        "topstepx": "TopstepX",
        "traderepublic": "Trade Republic",
        "tradervue": "Tradervue",
        "tradezella": "TradeZella",
        "tradezero": "TradeZero",
        "trading212": "Trading 212",
        "tradovate": "Tradovate",
        "webull": "Webull",
        "xtb": "XTB",
    }
)


class UnknownBroker(LookupError):
    """No format goes by this name; the message lists those that exist."""


class Detected(NamedTuple):
    """A format that takes a file for its own, with the sheet it means (the document itself outside workbooks)."""

    format: Format
    match: Match
    document: Document


@cache
def formats() -> tuple[Format, ...]:
    """Every format; imported at the first call."""
    return tuple(_load(entry) for entry in FORMATS)


def _load(entry: str) -> Format:
    module, _, name = entry.partition(":")
    found: Format = getattr(import_module(f"tradesense.brokers.{module}"), name)()
    return found


def find(name: str) -> tuple[Format, ...]:
    """The formats of a broker (`tradovate`), or one of them (`tradovate/orders`). Raises `UnknownBroker`."""
    found = tuple(one for one in formats() if name.lower() in (one.broker, f"{one.broker}/{one.name}"))
    if not found:
        known = ", ".join(sorted({one.broker for one in formats()}))
        raise UnknownBroker(f"no broker is called {name!r}; known are {known}")
    return found


def title(broker: str) -> str:
    """What a broker calls itself: `Interactive Brokers` for `ibkr`."""
    return _TITLES[broker]


def read_file(
    document: Document, broker: str | None, options: Options, *, progress: Progress | None = None
) -> tuple[Reading, Document]:
    """Read a document by the broker that the person named, or by the format that knows it best.

    Also gives the document that was read: the sheet, of a workbook. Raises `UnknownBroker`, `NeedsInput` (a mapping,
    for a file that nobody knows), `Unreadable`.
    """
    format_, sheet = choose(document, broker, options)
    return read(sheet, format_, options, progress=progress), sheet


def choose(document: Document, broker: str | None, options: Options) -> tuple[Format, Document]:
    """The format and the sheet by which `read_file` reads a document; raises the same."""
    if options.mapping is not None:
        among: tuple[Format, ...] | None = (mapping.Mapped(options.mapping),)
    else:
        among = None if broker is None else find(broker)
    detected = detect(document, among)
    if detected:
        return detected[0].format, detected[0].document
    if among is not None and len(among) == 1:
        return among[0], document
    if among is not None:
        names = ", ".join(f"{one.broker}/{one.name}" for one in among)
        raise Unreadable(f"the file looks like none of {names}; name one of them to see what it lacks")
    raise NeedsInput(mapping.question(document))


def detect(document: Document, among: tuple[Format, ...] | None = None) -> list[Detected]:
    """The formats that take a document for their own, the surest first."""
    found = []
    for one in formats() if among is None else among:
        for sheet in document.sheets:
            match = one.detect(sheet)
            if match is not None:
                found.append(Detected(one, match, sheet))
    return sorted(found, key=lambda detected: -detected.match.confidence)
