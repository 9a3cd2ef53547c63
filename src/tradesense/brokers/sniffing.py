"""What a file is, told by its content: the kind, the text encoding, the delimiter."""

import codecs
import csv
import re
import zipfile
from contextlib import suppress
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

from tradesense.brokers.refusals import Unreadable

SAMPLE_BYTES: Final = 1 << 16
_CHUNK_BYTES: Final = 1 << 20
_DELIMITERS: Final = (",", ";", "\t", "|")

_MAGIC: Final = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"%PDF", "a PDF"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"SQLite format 3", "a SQLite database"),
    (b"PAR1", "a Parquet file"),
)
_ARCHIVES: Final = ((b"\x1f\x8b", "gzip"), (b"7z\xbc\xaf", "7-Zip"), (b"Rar!", "RAR"))
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f]")
_UNPACK: Final = "unpack it and import what is inside"
_EXPORT_AGAIN: Final = "export it from the broker as CSV, XLSX, XML or HTML"


class Kind(StrEnum):
    """How a file is built."""

    TEXT = "text"
    WORKBOOK = "workbook"
    XML = "xml"
    HTML = "html"


def sniff_kind(path: Path) -> Kind:
    """Tell what a file is by its first bytes; raises `Unreadable` for what cannot hold trades."""
    with path.open("rb") as file:
        start = file.read(SAMPLE_BYTES)
    if not start.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise Unreadable(f"the file is empty; {_EXPORT_AGAIN}")
    for magic, what in _MAGIC:
        if start.startswith(magic):
            raise Unreadable(f"the file is {what}, not a broker's export; {_EXPORT_AGAIN}")
    for magic, what in _ARCHIVES:
        if start.startswith(magic):
            raise Unreadable(f"the file is a {what} archive; {_UNPACK}")
    if start.startswith(b"PK"):
        return _archive_kind(path)
    return _text_kind(start, sniff_encoding(path))


def _archive_kind(path: Path) -> Kind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Unreadable(f"the file is a broken or truncated archive or workbook; {_EXPORT_AGAIN}") from error
    if "xl/workbook.xml" in names:
        return Kind.WORKBOOK
    raise Unreadable(f"the file is a zip archive; {_UNPACK}")


def _text_kind(start: bytes, encoding: str) -> Kind:
    text = start.decode(encoding, errors="ignore").lstrip("\ufeff \t\r\n")
    control = _CONTROL.search(text)
    if control is not None:
        raise Unreadable(f"the file is binary data, not text or a workbook; {_EXPORT_AGAIN}")
    opening = text[:2048].lower()
    if "<html" in opening or "<!doctype html" in opening or opening.startswith(("<table", "<head", "<body")):
        return Kind.HTML
    return Kind.XML if opening.startswith("<") else Kind.TEXT


def sniff_encoding(path: Path) -> str:
    """The encoding: by its mark, by UTF-16's pattern of zeros, UTF-8 if the whole file is, else Windows-1252."""
    with path.open("rb") as file:
        start = file.read(SAMPLE_BYTES)
        for mark, encoding in _BOMS:
            if start.startswith(mark):
                return encoding
        sixteen = _unmarked_utf16(start)
        if sixteen is not None:
            return sixteen
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while chunk := file.read(_CHUNK_BYTES):
                decoder.decode(chunk)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _unmarked_utf16(start: bytes) -> str | None:
    even, odd = start[0::2].count(0), start[1::2].count(0)
    half = len(start) // 2
    if odd > half * 0.6 and even < half * 0.1:
        return "utf-16-le"
    if even > half * 0.6 and odd < half * 0.1:
        return "utf-16-be"
    return None


def sniff_delimiter(lines: list[str]) -> str:
    """The delimiter under which most lines have as many cells as a neighbour.

    A preamble and sections of different widths do not disturb that, and neither do decimal commas in a semicolon
    file: the header has none. A first line `sep=;` says it outright.
    """
    if lines and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == len("sep=;"):
        return lines[0].strip()[-1]
    return max(_DELIMITERS, key=lambda delimiter: _agreement(lines, delimiter))


def _agreement(lines: list[str], delimiter: str) -> tuple[int, int]:
    widths: list[int] = []
    with suppress(csv.Error):
        widths.extend(len(cells) for cells in csv.reader(lines, delimiter=delimiter, skipinitialspace=True) if cells)
    pairs = sum(1 for one, two in pairwise(widths) if one == two > 1)
    return pairs, sum(width - 1 for width in widths)
