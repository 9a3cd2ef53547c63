"""Any table through the generic columns: a suggestion by names and by what the cells look like, and the reading."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from tradesense.brokers.contract import Match, Options, Outcome
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import SIDES
from tradesense.brokers.formats import Context
from tradesense.brokers.generic import execution, refuse_doubles
from tradesense.brokers.numbers import NotANumber, NumberStyle, parse_number
from tradesense.brokers.refusals import Question, Unreadable
from tradesense.brokers.tables import Field, Layout, Row, fold, number, open_table, text, time
from tradesense.brokers.times import Moment, looks_like_a_date

REQUIRED: Final = ("symbol", "quantity", "price")
_OPTIONAL: Final = ("side", "commission", "fees", "multiplier", "currency", "asset_class", "account", "id")
FIELDS: Final = ("datetime", "date", "time", *REQUIRED, *_OPTIONAL)
"""What can be mapped: `datetime`, or `date` with or without `time`; the required ones; and what else is known.

Without `side` the quantity's sign says which way."""

_MIN_COLUMNS: Final = 3
_SAMPLED_ROWS: Final = 50
_NUMBERS: Final = frozenset({"quantity", "price", "commission", "fees", "multiplier"})

_SYNONYMS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "datetime",
        (
            "datetime",
            "date/time",
            "date & time",
            "date and time",
            "timestamp",
            "execution time",
            "exec time",
            "executed at",
            "fill time",
            "filled time",
            "trade time",
            "transaction time",
            "time executed",
            "filled at",
            "created at",
            "date (utc)",
            "datum/uhrzeit",
            "fecha y hora",
            "date et heure",
            "time",
            "date",
        ),
    ),
    ("date", ("date", "trade date", "execution date", "transaction date", "run date", "datum", "fecha", "data", "day")),
    ("time", ("time", "trade time", "execution time", "uhrzeit", "zeit", "tijd", "hora", "heure", "ora")),
    (
        "symbol",
        (
            "symbol",
            "ticker",
            "instrument",
            "contract",
            "security",
            "product",
            "market",
            "pair",
            "asset",
            "stock",
            "underlying",
            "isin",
            "wertpapier",
            "titel",
            "titre",
            "activo",
            "nome",
        ),
    ),
    (
        "side",
        (
            "side",
            "buy/sell",
            "b/s",
            "action",
            "direction",
            "type",
            "transaction type",
            "trade type",
            "order type",
            "operation",
            "transaction",
            "market pos.",
            "kauf/verkauf",
            "richtung",
            "sens",
            "operación",
        ),
    ),
    (
        "quantity",
        (
            "quantity",
            "qty",
            "shares",
            "size",
            "volume",
            "contracts",
            "units",
            "lots",
            "filled qty",
            "filled",
            "no. of shares",
            "executed",
            "anzahl",
            "stück",
            "menge",
            "aantal",
            "quantité",
            "cantidad",
            "quantità",
            "quantidade",
        ),
    ),
    (
        "price",
        (
            "price",
            "fill price",
            "avg price",
            "average price",
            "execution price",
            "trade price",
            "avg fill price",
            "exec price",
            "price per share",
            "t. price",
            "kurs",
            "preis",
            "koers",
            "prix",
            "precio",
            "prezzo",
            "preço",
        ),
    ),
    (
        "commission",
        ("commission", "commissions", "comm", "comm/fee", "ibcommission", "brokerage", "provision", "commissie"),
    ),
    ("fees", ("fees", "fee", "total fees", "fees & comm", "charges", "gebühr", "gebühren", "kosten", "frais")),
    ("multiplier", ("multiplier", "contract size", "point value", "contract multiplier")),
    ("currency", ("currency", "currency code", "ccy", "währung", "valuta", "devise", "divisa", "moneda")),
    ("asset_class", ("asset class", "asset type", "security type", "instrument type", "asset category", "spread")),
    ("account", ("account", "account id", "account number", "account name", "konto", "compte", "cuenta")),
    ("id", ("fill id", "execution id", "exec id", "trade id", "deal id", "deal", "transaction id", "id")),
)


class Suggestion(NamedTuple):
    """A column for a field, and why it was chosen."""

    field: str
    column: str
    why: str


class TableView(NamedTuple):
    """The table of an unknown file: its header, and a few rows."""

    header: list[str]
    rows: list[list[str]]


def _looks_numeric(cell: str) -> bool:
    for style in NumberStyle:
        try:
            parse_number(cell, style)
        except NotANumber:
            continue
        return True
    return False


def _fits(name: str) -> Callable[[str], bool]:
    if name in _NUMBERS:
        return _looks_numeric
    if name == "datetime":
        return lambda cell: ":" in cell and looks_like_a_date(cell)
    if name == "date":
        return looks_like_a_date
    if name == "side":
        return lambda cell: fold(cell) in SIDES
    if name == "time":
        return lambda cell: ":" in cell
    return lambda cell: not looks_like_a_date(cell)


def view(document: Document) -> TableView | None:
    """The likeliest table: under the first row with the most named, distinct cells. None where nothing is a table."""
    rows = [cells for _, cells in document.head]
    named = [_names(cells) for cells in rows]
    best = max(named, default=0)
    if best < _MIN_COLUMNS:
        return None
    start = named.index(best)
    return TableView([cell.strip() for cell in rows[start]], rows[start + 1 : start + 1 + _SAMPLED_ROWS])


def _names(cells: Sequence[str]) -> int:
    return len(
        {fold(cell) for cell in cells if fold(cell) and not _looks_numeric(cell) and not looks_like_a_date(cell)}
    )


def suggest(document: Document) -> dict[str, Suggestion]:
    """A column for each field where one can be found, by its name and its cells; empty where nothing is a table."""
    for sheet in document.sheets:
        table = view(sheet)
        found = _suggested(table) if table else {}
        if found:
            return found
    return {}


def _suggested(table: TableView) -> dict[str, Suggestion]:
    found: dict[str, Suggestion] = {}
    taken: set[int] = set()
    for name, synonyms in _SYNONYMS:
        index, why = _column_for(table, name, [fold(synonym) for synonym in synonyms], taken)
        if index is not None:
            taken.add(index)
            found[name] = Suggestion(name, table.header[index], why)
    return found


def _column_for(table: TableView, name: str, synonyms: list[str], taken: set[int]) -> tuple[int | None, str]:
    fits = _fits(name)
    names = [fold(cell) for cell in table.header]
    free = [index for index in range(len(names)) if index not in taken and names[index]]
    for matches, how in (
        (lambda own, synonym: own == synonym, "is called"),
        (lambda own, synonym: len(synonym) > _MIN_COLUMNS and synonym in own, "has a name like"),
    ):
        for synonym in synonyms:
            for index in free:
                if matches(names[index], synonym) and _mostly(table, index, fits):
                    return index, f"it {how} {synonym!r}, and its cells fit"
    return None, ""


def _mostly(table: TableView, index: int, fits: Callable[[str], bool]) -> bool:
    cells = [row[index].strip() for row in table.rows if index < len(row) and row[index].strip()]
    return 2 * sum(map(fits, cells)) >= len(cells)


def question(document: Document) -> Question:
    """What to ask of a file that no format knows: which column is what. The options are its columns."""
    table = next((found for found in map(view, document.sheets) if found), None)
    if table is None:
        raise Unreadable("the file has no table of executions in a layout that is known, nor one that could be mapped")
    suggested = ", ".join(f"{one.field}={one.column}" for one in _suggested(table).values())
    why = "no known format has these columns: say which one is " + ", ".join(FIELDS)
    return Question(
        "mapping", f"{why}; suggested: {suggested}" if suggested else why, tuple(filter(None, table.header))
    )


class Mapped:
    """Any table by a mapping from fields to the file's own column names."""

    broker = "generic"
    name = "mapped"
    newest_first = False

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping = {name: column for name, column in mapping.items() if column}
        self.layout = Layout(*_fields(self._mapping))

    def detect(self, document: Document) -> Match | None:
        """Match where every mapped column is there."""
        found = self.layout.find_header(document.head)
        return Match(1.0, "the mapping's columns") if found else None

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the table as the generic format would."""
        refuse_doubles(document, self.layout)
        table = open_table(document, self.layout, options)
        context = Context.of(options)
        return table.outcomes(lambda row: execution(row, context, self._moment(row)), document)

    def _moment(self, row: Row) -> Moment:
        day = "datetime" if "datetime" in self._mapping else "date"
        return row.moment(day, "time" if "time" in self._mapping else None)


def _fields(mapping: Mapping[str, str]) -> Iterator[Field]:
    """The layout of a mapping. Raises `Unreadable` for one that names no such field or lacks one."""
    unknown = [name for name in mapping if name not in FIELDS]
    lacking = [name for name in REQUIRED if name not in mapping]
    if "datetime" not in mapping and "date" not in mapping:
        lacking.append("datetime")
    if unknown:
        raise Unreadable(f"the mapping has a field that does not exist: {unknown[0]}; there are {', '.join(FIELDS)}")
    if lacking:
        raise Unreadable(f"the mapping lacks {', '.join(lacking)}")
    for name, column in mapping.items():
        if name in ("datetime", "date"):
            yield time(name, column)
        else:
            yield number(name, column) if name in _NUMBERS else text(name, column)
