"""Excel workbooks (ECMA-376, .xlsx), one sheet at a time, streamed; bombs and entities are refused beforehand."""

import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from posixpath import join, normpath
from typing import Final

from lxml import etree

from tradesense.brokers.refusals import Unreadable

MAX_EXPANSION: Final = 200
MAX_COLUMNS: Final = 1000
_SMALL_BYTES: Final = 1 << 20
_DECLARATION_BYTES: Final = 4096
_SHARED_STRINGS: Final = "xl/sharedStrings.xml"
_WORKBOOK: Final = "xl/workbook.xml"
_STYLES: Final = "xl/styles.xml"
_RELATIONS: Final = "xl/_rels/workbook.xml.rels"
_EXACT_DIGITS: Final = 15
_DATE_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_NOT_A_CODE: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.|General', re.IGNORECASE)
_EPOCH: Final = datetime(1899, 12, 30)  # noqa: DTZ001  (a cell has no zone)
_EPOCH_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001  (the same)
_LAST_SERIAL: Final = 2958466
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    etree.XMLSyntaxError,
    KeyError,
    ValueError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)


@dataclass(frozen=True, slots=True)
class WorkbookLimits:
    """Bounds of what a workbook may unpack to, in bytes; shared strings are held in memory, sheets are streamed."""

    unpacked: int = 1 << 30
    shared_strings: int = 64 << 20
    entries: int = 2000


class Workbook:
    """An archive of XML parts: the names of its sheets, and the texts and styles that they share.

    Raises `Unreadable` for what unpacks to too much by the sizes it declares (to which `zipfile` holds it), declares
    entities, or is broken.
    """

    def __init__(self, path: Path, limits: WorkbookLimits) -> None:
        self._path = path
        with _intact(), zipfile.ZipFile(path) as archive:
            _check(archive, limits)
            self._parts = frozenset(archive.namelist())

    @cached_property
    def sheets(self) -> dict[str, str]:
        """The part of each sheet, by the sheet's name, in the workbook's order."""
        targets = {
            _attribute(node, "Id"): normpath(join("xl", _attribute(node, "Target"))).lstrip("/")
            for node in self._nodes(_RELATIONS, "Relationship")
            if _attribute(node, "Type").endswith("/worksheet")
        }
        found = {}
        for node in self._nodes(_WORKBOOK, "sheet"):
            own_id = next((str(value) for name, value in node.items() if str(name).endswith("}id")), "")
            part = targets.get(own_id, "")
            if part in self._parts:
                found[_attribute(node, "name") or part] = part
        return found

    @cached_property
    def texts(self) -> list[str]:
        """The shared strings, by their index."""
        return [_text_of(node) for node in self._nodes(_SHARED_STRINGS, "si")]

    @cached_property
    def date_styles(self) -> frozenset[int]:
        """The cell styles under which a number is a date or a time."""
        codes = {
            _attribute(node, "numFmtId"): _attribute(node, "formatCode") for node in self._nodes(_STYLES, "numFmt")
        }
        formats = next((list(node) for node in self._nodes(_STYLES, "cellXfs")), [])
        return frozenset(
            index for index, node in enumerate(formats) if _shows_dates(_attribute(node, "numFmtId") or "0", codes)
        )

    @cached_property
    def epoch(self) -> datetime:
        """The day from which serial dates count."""
        flags = [node.get("date1904") for node in self._nodes(_WORKBOOK, "workbookPr")]
        return _EPOCH_1904 if flags and flags[0] in ("1", "true") else _EPOCH

    def stream(self, part: str, tag: str) -> Iterator[etree._Element]:
        """Give the elements of a part that have a tag, each emptied when the next one is asked for."""
        with _intact(), zipfile.ZipFile(self._path) as archive, archive.open(part) as file:
            events = etree.iterparse(
                file, events=("end",), tag=f"{{*}}{tag}", resolve_entities=False, no_network=True, load_dtd=False
            )
            for _, node in events:
                yield node
                node.clear()
                while node.getprevious() is not None:
                    del node.getparent()[0]

    def _nodes(self, part: str, tag: str) -> Iterator[etree._Element]:
        return self.stream(part, tag) if part in self._parts else iter(())


class WorkbookSheet:
    """A sheet as rows of text: numbers at Excel's fifteen digits, dates in ISO, short rows padded."""

    def __init__(self, book: Workbook, sheet: str) -> None:
        self.book = book
        self._sheet = sheet
        self.damage: dict[int, str] = {}
        self.unterminated: int | None = None
        self.position = 0

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Give (row number as Excel shows it, cells) for every row that is not blank."""
        number, width = 0, 0
        with _intact():
            for node in self.book.stream(self.book.sheets[self._sheet], "row"):
                number = max(number + 1, int(node.get("r") or 0))
                cells = self._cells(node)
                if any(cell and not cell.isspace() for cell in cells):
                    width = max(width, len(cells))
                    yield number, cells + [""] * (width - len(cells))

    def _cells(self, row: etree._Element) -> list[str]:
        cells: list[str] = []
        following = 0
        for node in row:
            place = _column(node.get("r"), following)
            following = place + 1
            if place >= MAX_COLUMNS:
                raise Unreadable(f"the sheet has more than {MAX_COLUMNS} columns; export it as CSV")
            value = self._value(node)
            if value and place >= len(cells):
                cells.extend([""] * (place - len(cells)))
                cells.append(value)
        return cells

    def _value(self, cell: etree._Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return _text_of(cell)
        raw = cell.findtext("{*}v") or ""
        match kind:
            case "s":
                return self.book.texts[int(raw)] if raw and int(raw) < len(self.book.texts) else ""
            case "b":
                return "TRUE" if raw == "1" else "FALSE"
            case "n" if raw:
                return self._number(raw, int(cell.get("s") or 0))
            case _:
                return raw

    def _number(self, raw: str, style: int) -> str:
        if style in self.book.date_styles:
            return _date_text(float(raw), self.book.epoch)
        return format(float(raw), f".{_EXACT_DIGITS}g") if len(raw) > _EXACT_DIGITS else raw


def _check(archive: zipfile.ZipFile, limits: WorkbookLimits) -> None:
    entries = archive.infolist()
    if len(entries) > limits.entries or sum(entry.file_size for entry in entries) > limits.unpacked:
        raise Unreadable("the workbook unpacks to more than is allowed; export a shorter period, or as CSV")
    for entry in entries:
        expansion = entry.file_size / max(entry.compress_size, 1)
        bomb = entry.file_size > _SMALL_BYTES and expansion > MAX_EXPANSION
        if bomb or (entry.filename == _SHARED_STRINGS and entry.file_size > limits.shared_strings):
            raise Unreadable(f"the workbook's part {entry.filename} unpacks to {expansion:.0f} times its size: refused")
        if entry.filename.endswith((".xml", ".rels")):
            with archive.open(entry) as part:
                start = part.read(_DECLARATION_BYTES).replace(b"\0", b"")
            if b"<!DOCTYPE" in start or b"<!ENTITY" in start:
                raise Unreadable("the workbook declares XML entities: refused")


@contextmanager
def _intact() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise Unreadable("the workbook is broken or truncated; save it again as .xlsx or as CSV") from error


def _attribute(node: etree._Element, name: str) -> str:
    return str(node.get(name) or "")


def _text_of(node: etree._Element) -> str:
    """The runs of a text, without the phonetic guides of East Asian ones."""
    return "".join(
        part.text or "" for part in node.iter("{*}t") if not str(getattr(part.getparent(), "tag", "")).endswith("}rPh")
    )


def _column(reference: str | None, following: int) -> int:
    """The place of a cell: `C7` is 2; without a reference the next one."""
    letters = (reference or "").rstrip("0123456789")
    if not letters:
        return following
    place = 0
    for letter in letters[:4]:
        place = place * 26 + int(letter, 36) - 9
    return place - 1


def _shows_dates(format_id: str, codes: dict[str, str]) -> bool:
    code = codes.get(format_id)
    if code is None:
        return int(format_id) in _DATE_FORMATS
    return any(letter in _NOT_A_CODE.sub("", code).lower() for letter in "dmyhs")


def _date_text(serial: float, epoch: datetime) -> str:
    """A serial date in ISO; a time of day alone for a serial below 1, a day alone for a whole one."""
    if not 0 <= serial < _LAST_SERIAL:
        raise ValueError(f"{serial} is no serial date")
    moment = epoch + timedelta(days=int(serial), milliseconds=round(serial % 1 * 86_400_000))
    if serial < 1:
        return moment.time().isoformat()
    return moment.date().isoformat() if serial == int(serial) else moment.isoformat(" ")
