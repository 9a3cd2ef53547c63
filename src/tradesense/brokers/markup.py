"""XML records and HTML tables, streamed; entities, document types and truncated files are refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from lxml import etree

from tradesense.brokers.refusals import Unreadable
from tradesense.brokers.sniffing import sniff_encoding

_TAIL_BYTES: Final = 1 << 20


class Element(NamedTuple):
    """An XML element as its start tag gives it: a number that grows, its tag, its attributes, its ancestors' tags."""

    number: int
    tag: str
    attributes: dict[str, str]
    path: tuple[str, ...]


class XmlRecords:
    """A broker's XML: what counts stands in attributes, so elements come one by one and none is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.damage: dict[int, str] = {}
        self.unterminated: int | None = None
        self.position = 0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """XML has elements, not rows: none."""
        return iter(())

    def elements(self) -> Iterator[Element]:
        """Give every element in document order; the number is its source line, or the next one where a line has two."""
        path: list[str] = []
        number = 0
        with self._path.open("rb") as file:
            try:
                events = etree.iterparse(
                    file, events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False
                )
                for event, node in events:
                    tag = node.tag if isinstance(node.tag, str) else ""
                    if event == "end":
                        path.pop()
                        _forget(node)
                        continue
                    if not path:
                        _refuse_doctype(node)
                    number = max(number + 1, node.sourceline or 0)
                    self.position = file.tell()
                    yield Element(number, tag, _attributes(node), tuple(path))
                    path.append(tag)
            except etree.XMLSyntaxError as error:
                raise Unreadable(f"the XML breaks off or is malformed ({error.msg}); export the file again") from error


def _attributes(node: etree._Element) -> dict[str, str]:
    return {str(key): str(value) for key, value in node.attrib.items()}


def _refuse_doctype(root: etree._Element) -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise Unreadable("the XML declares a document type: refused; export the file again")


def _forget(node: etree._Element) -> None:
    node.clear()
    parent = node.getparent()
    if parent is not None:
        while node.getprevious() is not None:
            del parent[0]


class HtmlTables:
    """The rows of every table of an HTML page, in order, nested tables' rows on their own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.encoding = sniff_encoding(path)
        self.damage: dict[int, str] = {}
        self.unterminated: int | None = None
        self.position = 0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Give (number, cells): the number grows, and is the source line where it can be.

        A cell over n columns is followed by n - 1 empty ones.
        """
        self._check_end()
        number = 0
        with self._path.open("rb") as file:
            events = etree.iterparse(file, events=("end",), tag="tr", html=True, encoding=self._lxml_encoding())
            try:
                for _, node in events:
                    cells = _cells(node)
                    number = max(number + 1, node.sourceline or 0)
                    self.position = file.tell()
                    if any(cells):
                        yield number, cells
                    _forget(node)
            except etree.XMLSyntaxError as error:
                raise Unreadable(f"the HTML cannot be read ({error.msg}); export the report again") from error

    def _lxml_encoding(self) -> str:
        names = {"utf-8-sig": "utf-8", "cp1252": "windows-1252", "utf-16-le": "utf-16le", "utf-16-be": "utf-16be"}
        return names.get(self.encoding, self.encoding)

    def _check_end(self) -> None:
        """A whole page says where it ends, or at least closes the table that it opened last."""
        with self._path.open("rb") as file:
            file.seek(max(0, self._path.stat().st_size - _TAIL_BYTES))
            tail = file.read().replace(b"\0", b"").lower()
        if b"</html" not in tail and tail.rfind(b"</table") <= tail.rfind(b"<table"):
            raise Unreadable("the HTML breaks off in the middle of a table; export the report again")


def _cells(row: etree._Element) -> list[str]:
    """The cells that a person sees: MetaTrader 5 puts others, of the class `hidden`, between them."""
    cells: list[str] = []
    for cell in row:
        if cell.tag in ("td", "th") and "hidden" not in (cell.get("class") or ""):
            cells.append(" ".join("".join(str(part) for part in cell.itertext()).split()))
            span = cell.get("colspan", "1")
            cells.extend([""] * (min(int(span), 100) - 1 if span.isdecimal() else 0))
    return cells
