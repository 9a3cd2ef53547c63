"""What must hold for any bytes at all, and the ways in which an export is spoilt to try it."""

import io
import random
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from tradesense.brokers import registry
from tradesense.brokers.contract import DateOrder, Format, NeedsInput, Options, Unreadable
from tradesense.brokers.documents import Document, Limits
from tradesense.brokers.formats import TableFormat
from tradesense.brokers.reading import Entry, Reading, read

OPTIONS: Final = Options(ZoneInfo("Europe/Berlin"), date(2026, 3, 27), DateOrder.MONTH_FIRST)
SMALL: Final = Limits(file_bytes=4 << 20, rows=20_000)
_BOUND: Final = Decimal("1e15")


def check(path: Path) -> None:
    """Read a file as every format: each gives a reading in which the books balance, or a refusal that says why."""
    try:
        document = Document.open(path, limits=SMALL)
        registry.detect(document)
    except Unreadable:
        return
    for one in registry.formats():
        for options in (OPTIONS, replace(OPTIONS, date=None, date_order=None)):
            _check_format(document, one, options)
    reading = _refused(lambda: registry.read_file(document, None, OPTIONS)[0])
    if reading is not None:
        reading.close()


def _check_format(document: Document, one: Format, options: Options) -> None:
    reading = _refused(lambda: read(document, one, options))
    if reading is None:
        return
    with reading:
        if isinstance(one, TableFormat) and type(one).read is TableFormat.read:
            assert reading.rows == _rows_under_header(document, one)
        identities = [_check_entry(entry) for entry in reading.fills()]
        assert len(identities) == reading.executions
        assert identities == [entry.identity for entry in reading.fills()]
        assert all(error.message for error in reading.errors)
        for movement in reading.movements():
            assert movement.movement.at.tzinfo is UTC


def _rows_under_header(document: Document, one: TableFormat) -> int:
    """Each of these is imported, ignored or in error."""
    header = one.layout.find_header(document.head)
    assert header is not None
    return sum(1 for line, _ in document.rows() if line > header[0])


def _check_entry(entry: Entry) -> bytes:
    fill = entry.fill
    assert entry.line >= 1
    assert entry.ordinal >= 0
    assert 0 < fill.quantity < _BOUND
    assert 0 <= fill.price < _BOUND
    assert fill.at.tzinfo is UTC
    assert fill.wall.tzinfo is None
    assert fill.instrument.multiplier > 0
    assert len(entry.identity) == 16
    return entry.identity


def _refused(attempt: Callable[[], Reading]) -> Reading | None:
    try:
        return attempt()
    except (NeedsInput, Unreadable):
        return None


NASTY: Final = (
    "", "-", "--", "0", "-1", "1e999", "1E-30", "NaN", "Infinity", "-0", "1,234", "1.234", "1,2,3", "12.34.56", "(5",
    "5)", "$(5.00)", "%", "5%", "1 234,5", "'1'000", "99999999999999999999999999999", "0.0000000000000000000000001",
    "31/12/2026", "12/31/2026", "31/02/2026", "2026-02-30", "0000-00-00", "9999-12-31 23:59:59", "0001-01-01",
    "2026-03-29 02:30:00", "24:00:00", "23:59:60", "12:00 XM", "10:00:00 EST", "10:00 +99:99", "20261301",
    "buy", "SELL", "short", "=1+1", "\x00", "\ufeff", "\u202e", "١٢٣",
    "\uff11\uff12", "²", "\ud7ff", '"', '""', "a\nb", ";", ",",

    "\t", "A" * 300, "ES", "MNQM6", "SPY   260220C00600000", "BTC-USD", "é", "日本", "true", "null", "<td>", "&amp;",
)  # fmt: skip


def spoil(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Spoil an export in one to four ways; a workbook, as a rule, in one of its parts."""
    if content.startswith(b"PK") and rng.random() < 0.9:
        with suppress(zipfile.BadZipFile, zlib.error, OSError, ValueError, RuntimeError, EOFError):
            return _spoil_part(content, rng, others)
    for _ in range(rng.randint(1, 4)):
        content = rng.choice(_WAYS)(content, rng, others)
    return content


def _spoil_part(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(parts))
    if rng.random() < 0.1:
        del parts[name]
    else:
        parts[name] = spoil(parts[name].removeprefix(b"PK"), rng, others)
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for part, text in parts.items():
            archive.writestr(part, text)
    return whole.getvalue()


def _flip(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    spoilt = bytearray(content)
    for _i in range(rng.randint(1, 8)):
        if spoilt:
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
    return bytes(spoilt)


def _cut(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    start = rng.randrange(len(content) + 1)
    end = min(len(content), start + rng.randint(1, 200))
    return rng.choice((content[:start], content[start:], content[:start] + content[end:]))


def _repeat(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.randint(1, 400)]
    return content[:start] + piece * rng.randint(1, 5) + content[start:]


def _lines(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines[one], lines[two] = lines[two], lines[one]
        case 1:
            lines.insert(two, lines[one])
        case 2:
            del lines[one]
        case _:
            rng.shuffle(lines)
    return b"".join(lines)


def _cell(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    separator = rng.choice((b",", b";", b'"', b">", b" ", b"\n"))
    cells = content.split(separator)
    for _i in range(rng.randint(1, 5)):
        cells[rng.randrange(len(cells))] = rng.choice(NASTY).encode("utf-8", "surrogatepass")
    return separator.join(cells)


def _encode(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    text = content.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1")), "replace")


def _splice(content: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]


def _delimit(content: bytes, rng: random.Random, _: list[bytes]) -> bytes:
    return content.replace(rng.choice((b",", b";", b".")), rng.choice((b",", b";", b"\t", b"|", b"", b".")))


_WAYS: Final = (_flip, _cut, _repeat, _lines, _cell, _cell, _cell, _encode, _splice, _delimit)
