"""A whole file read: rows that balance, an order that can be trusted, identities that last."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.cases import CASES, NEW_YORK, Case
from tradesense.brokers import registry
from tradesense.brokers.contract import (
    Cash,
    CashKind,
    CashMovement,
    Failed,
    Fill,
    Identity,
    Ignored,
    Imported,
    Match,
    NeedsInput,
    Options,
    Outcome,
)
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import fill
from tradesense.brokers.reading import MAX_LISTED, AccountingBroken, Reading, read
from tradesense.brokers.times import Moment
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Instrument

AAPL = Instrument("AAPL", AssetClass.STOCK, "USD", "AAPL")
START = datetime(2026, 1, 2, 15, tzinfo=UTC)


class Told:
    """A format that tells what it was given."""

    broker = "told"
    name = "rows"

    def __init__(self, *outcomes: Outcome, newest_first: bool = False) -> None:
        self.outcomes = iter(outcomes)
        self.newest_first = newest_first

    def detect(self, document: Document) -> Match | None:
        return Match(1.0, document.name)

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        assert (document.name, options.date) == ("export.csv", None)
        return self.outcomes


@pytest.fixture
def document(tmp_path: Path) -> Document:
    path = tmp_path / "export.csv"
    path.write_text("a,b\n1,2\n")
    return Document.open(path)


def bought(minutes: float = 0, quantity: int = 1, own_id: str | None = None, **more: object) -> Fill:
    at = START + timedelta(minutes=minutes)
    moment = Moment(at, at.replace(tzinfo=None), str(at))
    identity = Identity("fill", own_id) if own_id else None
    made = fill(AAPL, Side.BUY, Decimal(quantity), Decimal(100), moment, identity=identity)
    return made._replace(**more)  # type: ignore[arg-type]


def movement(amount: int) -> CashMovement:
    return CashMovement(CashKind.DIVIDEND, Decimal(amount), "USD", START, "now", f"dividend {amount}")


def of(document: Document, *outcomes: Outcome, newest_first: bool = False) -> Reading:
    return read(document, Told(*outcomes, newest_first=newest_first), NEW_YORK)


def test_the_books_balance(document: Document) -> None:
    with of(
        document,
        Imported(2, (bought(), bought(1)), "look here"),
        Ignored(3, "cancelled"),
        Ignored(4, "cancelled"),
        Cash(5, movement(3)),
        Failed(6, "Qty", "missing"),
        Imported(7, (), None, (movement(4),)),
    ) as reading:
        assert (reading.rows, reading.imported, reading.executions, reading.cash_movements) == (6, 2, 2, 2)
        assert reading.ignored == {"cancelled": 2, "dividend": 1}
        assert reading.errors == [Failed(6, "Qty", "missing")]
        assert [(warned.line, warned.message) for warned in reading.warnings] == [(2, "look here")]
        assert [(entry.line, entry.part) for entry in reading.fills()] == [(2, 0), (2, 1)]
        assert [(entry.line, int(entry.movement.amount)) for entry in reading.movements()] == [(5, 3), (7, 4)]


def test_errors_are_listed_up_to_a_thousand_and_counted_beyond(document: Document) -> None:
    with of(document, *(Failed(line, None, "no") for line in range(1, MAX_LISTED + 51))) as reading:
        assert (len(reading.errors), reading.error_count) == (MAX_LISTED, MAX_LISTED + 50)


def test_warnings_are_listed_up_to_a_thousand_and_counted_beyond(document: Document) -> None:
    with of(document, *(Imported(line, (), "hm") for line in range(1, MAX_LISTED + 51))) as reading:
        assert (len(reading.warnings), reading.warning_count) == (MAX_LISTED, MAX_LISTED + 50)


@pytest.mark.parametrize("second", [2, 1])
def test_an_importer_that_gives_a_row_twice_or_out_of_order_is_broken(document: Document, second: int) -> None:
    with pytest.raises(AccountingBroken):
        of(document, Ignored(2, "x"), Ignored(second, "x"))


def test_a_row_that_the_file_breaks_has_failed_whatever_the_importer_made_of_it(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text('datetime,symbol,side,quantity,price\n2026-01-02,A,buy,1,1\n2026-01-02,A,buy,1,"1')
    reading, _ = registry.read_file(Document.open(path), None, NEW_YORK)
    with reading:
        assert (reading.imported, reading.error_count) == (1, 1)
        assert "quote" in reading.errors[0].message


def test_equal_fills_have_ordinals_and_identities_of_their_own(document: Document) -> None:
    same = [Imported(line, (bought(),)) for line in (2, 3, 4)]
    with of(document, *same) as reading:
        entries = list(reading.fills())
    assert [entry.ordinal for entry in entries] == [0, 1, 2]
    assert [entry.sequence for entry in entries] == [0, 1, 2]
    assert len({entry.identity for entry in entries}) == 3


def test_a_fill_with_an_id_is_the_same_fill_however_often_it_stands_there(document: Document) -> None:
    with of(document, Imported(2, (bought(own_id="7"),)), Imported(3, (bought(9, own_id="7"),))) as reading:
        entries = list(reading.fills())
    assert [entry.ordinal for entry in entries] == [0, 0]
    assert len({entry.identity for entry in entries}) == 1


def test_a_file_with_its_newest_row_first_is_turned_round(document: Document) -> None:
    rows = [(5, 1), (5, 2), (3, 3), (3, 4), (3, 5)]
    outcomes = [Imported(line, (bought(minutes, quantity),)) for line, (minutes, quantity) in enumerate(rows, start=2)]
    with of(document, *outcomes) as reading:
        assert reading.newest_first
        placed = [(entry.fill.at, entry.sequence, entry.fill.quantity) for entry in reading.fills()]
    assert [int(quantity) for _, _, quantity in sorted(placed)] == [5, 4, 3, 2, 1]


def test_the_fills_of_one_row_keep_their_order_when_a_file_is_turned_round(document: Document) -> None:
    outcomes = [Imported(2, (bought(5, 1), bought(5, 2))), Imported(3, (bought(0, 3), bought(5, 4)))]
    with of(document, *outcomes) as reading:
        placed = [(entry.fill.at, entry.sequence, entry.fill.quantity) for entry in reading.fills()]
    assert [int(quantity) for _, _, quantity in sorted(placed)] == [3, 4, 1, 2]


@pytest.mark.parametrize("newest_first", [True, False])
def test_where_times_do_not_tell_the_format_does(document: Document, newest_first: bool) -> None:  # noqa: FBT001
    outcomes = [Imported(line, (bought(0, line),)) for line in (2, 3)]
    with of(document, *outcomes, newest_first=newest_first) as reading:
        assert reading.newest_first is newest_first
        assert [entry.sequence for entry in reading.fills()] == ([1, 0] if newest_first else [0, 1])


def test_a_sequence_of_the_brokers_own_comes_first(document: Document) -> None:
    with of(document, Imported(2, (bought(sequence=42),)), Imported(3, (bought(1),))) as reading:
        assert [entry.sequence for entry in reading.fills()] == [42, 0]


def test_a_sequence_counts_within_its_instant_so_that_overlapping_files_agree(document: Document) -> None:
    early = [Imported(2, (bought(0, 1),)), Imported(3, (bought(5, 2),))]
    late = [Imported(2, (bought(5, 2),)), Imported(3, (bought(5, 3),))]
    with of(document, *early) as one, of(document, *late) as other:
        sequences = {entry.identity: entry.sequence for entry in one.fills()}
        assert [sequences.get(entry.identity, -1) for entry in other.fills()] == [0, -1]
        assert [entry.sequence for entry in other.fills()] == [0, 1]


def test_the_labels_of_accounts_are_counted(document: Document) -> None:
    rows = [Imported(2, (bought(account="A"),)), Imported(3, (bought(account="B"), bought(account="A")))]
    with of(document, *rows) as reading:
        assert reading.accounts == {"A": 2, "B": 1}


def test_many_fills_come_back_as_they_went_in(document: Document) -> None:
    made = [bought(number, number + 1, commission=Decimal("0.10"), stated=None) for number in range(30_000)]
    with of(document, *(Imported(line, (one,)) for line, one in enumerate(made, start=2))) as reading:
        assert [entry.fill for entry in reading.fills()] == made
        instruments = {id(entry.fill.instrument) for entry in reading.fills()}
    assert len(instruments) == 1


def test_progress_is_told_in_rows_and_parts_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    rows = "".join(f"2026-01-02 10:00:00,AAPL,buy,1,{price}\n" for price in range(1, 10_001))
    path.write_text("datetime,symbol,side,quantity,price\n" + rows)
    told: list[tuple[int, float]] = []
    reading, _ = registry.read_file(
        Document.open(path), "generic", NEW_YORK, progress=lambda count, part: told.append((count, part))
    )
    reading.close()
    assert told == sorted(told)
    assert told[-1] == (10_000, 1.0)
    assert len(told) > 3


def test_an_error_of_the_importer_leaves_no_file_open(document: Document) -> None:
    def broken() -> Iterator[Outcome]:
        yield Ignored(2, "x")
        raise ZeroDivisionError

    one = Told()
    one.outcomes = broken()
    with pytest.raises(ZeroDivisionError):
        read(document, one, NEW_YORK)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_file_read_in_another_zone_is_the_same_file(case: Case) -> None:
    document = Document.open(case.path)
    here, _ = registry.read_file(document, None, case.options)
    with here:
        expected = [entry.identity for entry in here.fills()]
    try:
        there, _ = registry.read_file(document, None, replace(case.options, timezone=ZoneInfo("Asia/Tokyo")))
    except NeedsInput:
        pytest.skip("its times carry their zone's name, and ask for that zone")
    with there:
        assert [entry.identity for entry in there.fills()] == expected


@given(minutes=st.lists(st.integers(0, 3), max_size=30), times=st.integers(0, 3))
def test_ordinals_and_sequences_are_a_numbering(minutes: list[int], times: int) -> None:
    reading = Reading(Told())
    with reading:
        for line, minute in enumerate(minutes, start=2):
            reading.add(Imported(line, tuple(bought(minute) for _ in range(times))))
        reading.settle(newest_first=False)
        entries = list(reading.fills())
    for key in ("ordinal", "sequence"):
        numbered: dict[datetime, list[int]] = {}
        for entry in entries:
            numbered.setdefault(entry.fill.at, []).append(getattr(entry, key))
        assert all(sorted(numbers) == list(range(len(numbers))) for numbers in numbered.values())
    assert len({entry.identity for entry in entries}) == len(entries)
