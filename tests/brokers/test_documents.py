"""What a file is told to be by its content, and how its rows are read."""

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.brokers.contract import Unreadable
from tradesense.brokers.documents import Document, Kind, Limits
from tradesense.brokers.sniffing import sniff_delimiter
from tradesense.brokers.workbooks import WorkbookLimits

Write = Callable[..., Path]
TABLE = "Datum;Größe;Preis\n2026-01-02;3;1,5\n2026-01-03;4;2,5\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: bytes | str, name: str = "export.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def rows(path: Path) -> list[tuple[int, list[str]]]:
    return list(Document.open(path).rows())


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
)
def test_text_is_read_in_the_encoding_that_it_is_in(encoding: str, write: Write) -> None:
    document = Document.open(write(TABLE.encode(encoding)))
    assert document.kind is Kind.TEXT
    assert document.delimiter == ";"
    assert document.head[0] == (1, ["Datum", "Größe", "Preis"])


def test_utf_8_far_into_a_file_is_noticed(write: Write) -> None:
    content = b"a,b\n" + b"1,2\n" * 50_000 + "ü,é\n".encode("cp1252")
    assert rows(write(content))[-1] == (50_002, ["ü", "é"])


def test_a_document_is_read_again_and_again(write: Write) -> None:
    document = Document.open(write(TABLE))
    assert list(document.rows()) == list(document.rows())
    assert document.head == tuple(document.rows())


def test_blank_lines_are_no_rows_and_keep_their_numbers(write: Write) -> None:
    assert rows(write("a,b\n\n,,\n  , \n1,2\n")) == [(1, ["a", "b"]), (5, ["1", "2"])]


def test_a_cell_may_hold_lines_of_its_own(write: Write) -> None:
    assert rows(write('a,b\n"x\ny",2\n3,4\n')) == [(1, ["a", "b"]), (2, ["x\ny", "2"]), (4, ["3", "4"])]


def test_a_quote_that_is_never_closed_damages_its_line(write: Write) -> None:
    document = Document.open(write('a,b\n1,2\n3,"4\n5,6\n'))
    assert [line for line, _ in document.rows()] == [1, 2, 3]
    assert list(document.damage) == [3]


def test_a_quote_cut_off_in_the_last_line_damages_it(write: Write) -> None:
    document = Document.open(write('a,b\n1,2\n3,"4'))
    assert len(list(document.rows())) == 3
    assert list(document.damage) == [3]
    assert document.unterminated == 3


def test_the_fraction_of_a_pass_grows_to_one(write: Write) -> None:
    document = Document.open(write("a,b\n" + "1,2\n" * 100_000))
    seen = {round(document.fraction, 1) for _ in document.rows()}
    assert len(seen) > 5
    assert max(seen) == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\r\n \n", "empty"),
        (b"\xff\xfe", "empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
        (b"\xff\xd8\xff\xe0rest", "JPEG"),
        (b"GIF89a....", "GIF"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel"),
        (b"\x1f\x8b\x08\x00\x00", "gzip archive; unpack it and import"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"PK\x03\x04 and then nothing", "archive"),
        (b"\x00\x01\x02\x03binary\xff\xfe\x00", "binary"),
    ],
)
def test_what_is_no_export_is_refused_with_what_it_is(content: bytes, message: str, write: Write) -> None:
    with pytest.raises(Unreadable, match=message):
        Document.open(write(content))


def test_a_zip_archive_is_to_be_unpacked(write: Write) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("trades.csv", "a,b")
    with pytest.raises(Unreadable, match="unpack it"):
        Document.open(write(buffer.getvalue()))


def test_a_file_over_the_limits_is_refused(write: Write) -> None:
    path = write("a,b\n" + "1,2\n" * 100)
    with pytest.raises(Unreadable, match="shorter period"):
        Document.open(path, limits=Limits(file_bytes=100))
    with pytest.raises(Unreadable, match="more than 50 rows"):
        list(Document.open(path, limits=Limits(rows=50)).rows())


def test_a_line_without_an_end_is_refused(write: Write) -> None:
    with pytest.raises(Unreadable, match="million characters"):
        Document.open(write("a," * 600_000))


def test_a_cell_too_large_for_a_table_is_refused(write: Write) -> None:
    with pytest.raises(Unreadable, match="line 2"):
        rows(write("a,b\n1," + "x" * 200_000 + "\n"))


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        (["a,b,c", "1,2,3"], ","),
        (["a;b;c", "1,5;2,5;3,5", "1,5;2,5;3,5"], ";"),
        (["a\tb", "1,2\t3"], "\t"),
        (["a|b", "1|2"], "|"),
        (["A disclaimer, with commas, and more; of them.", "", "Trades", "x;y;z", "1;2;3", "4;5;6"], ";"),
        (["sep=|", "a;b|c;d", "1;2|3;4"], "|"),
        (["a,b", '"1;2;3;4",5', '"1;2;3;4",5'], ","),
        (["a;b;c"], ";"),
        (["one"], ","),
        ([], ","),
    ],
)  # fmt: skip
def test_the_delimiter_is_the_one_under_which_rows_agree(lines: list[str], delimiter: str) -> None:
    assert sniff_delimiter(lines) == delimiter


@given(
    table=st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=1, max_size=20),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
)
def test_the_delimiter_of_any_table_is_found(table: list[list[int]], delimiter: str) -> None:
    lines = [delimiter.join(("a", "b", "c")), *(delimiter.join(map(str, row)) for row in table)]
    assert sniff_delimiter(lines) == delimiter


def book(path: Path, *sheets: list[list[object]]) -> Path:
    made = openpyxl.Workbook()
    for number, cells in enumerate(sheets):
        page = made.active if number == 0 else made.create_sheet(f"Sheet{number}")
        assert page is not None
        for row in cells:
            page.append(row)
    made.save(path)
    return path


def test_the_cells_of_a_workbook_are_text(tmp_path: Path) -> None:
    path = book(
        tmp_path / "trades.csv",
        [
            ["When", "Day", "Hour", "Price", "Sum", "Big", "Yes", None, None],
            [datetime(2026, 1, 2, 9, 30, 5), date(2026, 1, 2), time(9, 30), 1.5, 0.1 + 0.2, 10**12, True],  # noqa: DTZ001
            [None, None],
            [None, "late"],
        ],
    )
    assert rows(path) == [
        (1, ["When", "Day", "Hour", "Price", "Sum", "Big", "Yes"]),
        (2, ["2026-01-02 09:30:05", "2026-01-02", "09:30:00", "1.5", "0.3", "1000000000000", "TRUE"]),
        (4, ["", "late", "", "", "", "", ""]),
    ]


def test_each_sheet_of_a_workbook_is_a_document(tmp_path: Path) -> None:
    document = Document.open(book(tmp_path / "trades.xlsx", [["a"]], [["b"], ["c"]]))
    assert document.kind is Kind.WORKBOOK
    assert [list(sheet.rows()) for sheet in document.sheets] == [[(1, ["a"])], [(1, ["b"]), (2, ["c"])]]
    assert document.sheets[1].sheet == "Sheet1"


def spoilt(path: Path, part: str, change: Callable[[str], str]) -> Path:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts.get(part, b"").decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def test_a_number_that_is_shown_as_a_date_and_is_none_breaks_the_workbook(tmp_path: Path) -> None:
    path = book(tmp_path / "trades.xlsx", [[date(2026, 1, 2)]])
    spoilt(path, SHEET, lambda xml: xml.replace("46024", "-5"))
    with pytest.raises(Unreadable, match="broken"):
        rows(path)


def test_cells_of_formats_that_only_look_like_dates_are_numbers(tmp_path: Path) -> None:
    path = book(tmp_path / "trades.xlsx", [[46024.5, 46024.25]])
    made = openpyxl.load_workbook(path)
    page = made.active
    assert page is not None
    page["A1"].number_format = '#,##0.00 "days"'
    page["B1"].number_format = 'dd"/"mm"/"yyyy hh:mm'
    made.save(path)
    assert rows(path) == [(1, ["46024.5", "2026-01-02 06:00:00"])]


def test_a_delimiter_is_found_beside_a_text_too_long_for_a_cell() -> None:
    assert sniff_delimiter(["a;b", "1;2", "3;4", '5;"' + "x," * 100_000]) == ";"


def test_dates_since_1904_and_rows_without_references_are_read(tmp_path: Path) -> None:
    path = book(tmp_path / "trades.xlsx", [[date(2026, 1, 2), "x"], ["y"]])
    spoilt(path, "xl/workbook.xml", lambda xml: xml.replace("<workbookPr/>", '<workbookPr date1904="1"/>'))
    spoilt(
        path,
        "xl/worksheets/sheet1.xml",
        lambda xml: xml.replace(' r="A1"', "").replace(' r="B1"', "").replace(' r="1"', "").replace(' r="2"', ""),
    )
    assert rows(path) == [(1, ["2030-01-03", "x"]), (2, ["y", ""])]


SHEET = "xl/worksheets/sheet1.xml"


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (SHEET, lambda xml: "<!DOCTYPE x [<!ENTITY a 'b'>]>" + xml, "entities"),
        (SHEET, lambda xml: xml[: len(xml) // 2], "broken"),
        (SHEET, lambda xml: xml.replace('r="A1"', 'r="ZZZ1"'), "columns"),
        (SHEET, lambda xml: xml.replace('r="1"', 'r="x"'), "broken"),
        (SHEET, lambda xml: xml.replace("<c ", "<!--" + "z" * 5_000_000 + "--><c ", 1), "times its size"),
        ("xl/_rels/workbook.xml.rels", lambda xml: xml.replace("sheet1.xml", "sheet9.xml"), "no sheet"),
        ("xl/workbook.xml", lambda _: "", "broken"),
    ],
)
def test_a_workbook_that_is_broken_or_a_bomb_is_refused(
    part: str, change: Callable[[str], str], message: str, tmp_path: Path
) -> None:
    path = spoilt(book(tmp_path / "trades.xlsx", [["a", 1]]), part, change)
    with pytest.raises(Unreadable, match=message):
        rows(path)


def shared(path: Path) -> Path:
    """The workbook with its texts in a part of their own, as Excel writes them."""
    spoilt(
        path,
        "xl/sharedStrings.xml",
        lambda _: (
            '<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
            "<si><t>Symbol</t></si><si><r><t>AA</t></r><r><t>PL</t></r><rPh><t>phonetic</t></rPh></si></sst>"
        ),
    )
    cells = "".join(f'<c t="s"><v>{index}</v></c>' for index in (0, 1, 9)) + '<c t="s"/><c t="e"><v>#REF!</v></c>'
    return spoilt(path, SHEET, lambda xml: xml.replace("</sheetData>", f'<row r="3">{cells}</row></sheetData>'))


def test_shared_texts_are_found(tmp_path: Path) -> None:
    path = shared(book(tmp_path / "trades.xlsx", [["a"]]))
    assert rows(path) == [(1, ["a"]), (3, ["Symbol", "AAPL", "", "", "#REF!"])]


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "trades.xlsx", [["a"]])
    with pytest.raises(Unreadable, match="more than is allowed"):
        Document.open(path, limits=Limits(workbook=WorkbookLimits(unpacked=100)))
    with pytest.raises(Unreadable, match=r"sharedStrings\.xml"):
        Document.open(shared(path), limits=Limits(workbook=WorkbookLimits(shared_strings=10)))


def test_a_truncated_workbook_is_refused(tmp_path: Path) -> None:
    path = book(tmp_path / "trades.xlsx", [["a"]])
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(Unreadable, match="broken or truncated"):
        Document.open(path)


HTML = (
    "<html><body><table><tr><th colspan=2>Deals</th></tr>\n<tr><td>1</td><td> a <b>b</b>\n c</td></tr>\n"
    "<tr><td></td></tr></table></body></html>"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_the_tables_of_a_page_are_rows(encoding: str, write: Write) -> None:
    document = Document.open(write(HTML.encode(encoding)))
    assert document.kind is Kind.HTML
    assert [cells for _, cells in document.rows()] == [["Deals", ""], ["1", "a b c"]]
    lines = [line for line, _ in document.rows()]
    assert lines == sorted(set(lines))


def test_a_page_that_breaks_off_in_a_table_is_refused(write: Write) -> None:
    with pytest.raises(Unreadable, match="breaks off"):
        rows(write("<html><table><tr><td>1</td></tr></table><table><tr><td>2</td></tr><tr><td>3"))


def test_a_page_without_its_end_but_with_all_its_tables_is_read(write: Write) -> None:
    assert [cells for _, cells in rows(write("<table><tr><td>1<td>2</tr></table>"))] == [["1", "2"]]


XML = '<?xml version="1.0"?>\n<Flex name="x">\n<Trades><Trade id="1" q="2"/>\n<Trade id="2"/></Trades></Flex>'


def test_the_elements_of_an_xml_file_come_in_order_with_their_ancestors(write: Write) -> None:
    document = Document.open(write(XML))
    assert document.kind is Kind.XML
    assert document.root == "Flex"
    assert not list(document.rows())
    assert [(one.tag, one.path) for one in document.elements()] == [
        ("Flex", ()),
        ("Trades", ("Flex",)),
        ("Trade", ("Flex", "Trades")),
        ("Trade", ("Flex", "Trades")),
    ]
    assert [one.attributes for one in document.elements()][2] == {"id": "1", "q": "2"}
    numbers = [one.number for one in document.elements()]
    assert numbers == sorted(set(numbers))


def test_only_xml_has_elements_and_a_root(write: Write) -> None:
    document = Document.open(write(TABLE))
    assert not list(document.elements())
    assert document.root == ""


def test_truncated_xml_is_refused(write: Write) -> None:
    with pytest.raises(Unreadable, match="breaks off"):
        list(Document.open(write(XML[:-15])).elements())


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE Flex [<!ENTITY a "b">]>',
        '<!DOCTYPE Flex [<!ENTITY a SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE Flex SYSTEM "http://127.0.0.1:1/x.dtd">',
    ],
)
def test_xml_that_declares_a_document_type_is_refused(declaration: str, write: Write) -> None:
    path = write(XML.replace("\n<Flex", f"\n{declaration}\n<Flex"))
    with pytest.raises(Unreadable, match="document type"):
        list(Document.open(path).elements())
