import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradesense.http.paging import After, CursorMalformed, CursorMismatch, Paging

ROW = UUID(int=7)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63) + 1, 2**63 - 1),
    str: st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Decimal: st.decimals(-(10**15), 10**15, allow_nan=False, places=8),
    datetime: st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
}


def cursor_of(value: object, selection: object = "all") -> str:
    page = Paging(1, None).page([value, value], lambda each: (each, ROW), selection)
    assert page.next is not None
    return page.next


def made_up(*content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


@given(st.sampled_from(list(VALUES)).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind])))
def test_a_cursor_says_where_the_next_page_starts(case: tuple[type, Any]) -> None:
    kind, value = case
    assert Paging(1, cursor_of(value)).after(kind, "all") == After(value, ROW)


def test_a_page_has_at_most_its_limit_and_a_cursor_where_there_is_more() -> None:
    paging = Paging(2, None)
    assert paging.after(int, "all") is None
    full = paging.page([1, 2, 3], lambda each: (each, ROW), "all")
    assert full.items == [1, 2]
    assert Paging(2, full.next).after(int, "all") == After(2, ROW)
    last = paging.page([1, 2], lambda each: (each, ROW), "all")
    assert (last.items, last.next) == ([1, 2], None)


def test_a_cursor_of_another_selection_is_refused() -> None:
    with pytest.raises(CursorMismatch):
        Paging(1, cursor_of(5, {"symbol": "MNQ"})).after(int, {"symbol": "ES"})


@pytest.mark.parametrize(
    ("kind", "cursor"),
    [
        (int, "A"),
        (int, "AAAA"),
        (int, made_up()),
        (int, made_up("mark", 1)),
        (int, made_up("mark", "one", ROW.hex)),
        (int, made_up("mark", 1, "no id")),
        (int, cursor_of(1 << 64)),
        (str, cursor_of("a\0b")),
        (float, cursor_of(float("inf"))),
        (Decimal, cursor_of(Decimal("1e100"))),
        (datetime, cursor_of(datetime(9999, 12, 31, tzinfo=UTC) - timedelta(1))),
        (datetime, cursor_of(datetime(2026, 1, 1))),  # noqa: DTZ001
    ],
)
def test_a_cursor_that_somebody_made_up_is_refused(kind: type, cursor: str) -> None:
    with pytest.raises(CursorMalformed):
        Paging(1, cursor).after(kind, "all")


@given(st.from_regex(r"[A-Za-z0-9_-]{1,200}", fullmatch=True), st.sampled_from(list(VALUES)))
def test_whatever_comes_as_a_cursor_is_refused_in_our_own_words(cursor: str, kind: type) -> None:
    with pytest.raises((CursorMalformed, CursorMismatch)):
        Paging(1, cursor).after(kind, "all")
