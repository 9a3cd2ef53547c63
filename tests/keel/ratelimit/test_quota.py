"""Limits as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keel.ratelimit.contract import Algorithm, Limit, Unit
from keel.ratelimit.quota import QuotaMalformed, parse

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("10/s burst 20", Limit(10, SECOND, burst=20)),
        ("5000/day", Limit(5000, 86_400 * SECOND)),
        ("100 per minute", Limit(100, 60 * SECOND)),
        ("5/5min", Limit(5, 300 * SECOND)),
        ("5/5 min sliding window", Limit(5, 300 * SECOND, Algorithm.SLIDING_WINDOW)),
        (" 1,000/Hours ", Limit(1000, 3600 * SECOND)),
        ("20/250ms token_bucket", Limit(20, SECOND // 4, Algorithm.TOKEN_BUCKET)),
        ("3/h fixed window", Limit(3, 3600 * SECOND, Algorithm.FIXED_WINDOW)),
        ("3/day fixed window", Limit(3, 86_400 * SECOND, Algorithm.FIXED_WINDOW, unit=Unit.DAY)),
        ("3/2days fixed window in UTC", None),
        (
            "7/w in Asia/Tokyo",
            Limit(7, 7 * 86_400 * SECOND, Algorithm.FIXED_WINDOW, unit=Unit.WEEK, zone="Asia/Tokyo"),
        ),
        ("9/month", Limit(9, 30 * 86_400 * SECOND, Algorithm.FIXED_WINDOW, unit=Unit.MONTH)),
        ("9/year in UTC", Limit(9, 365 * 86_400 * SECOND, Algorithm.FIXED_WINDOW, unit=Unit.YEAR)),
        ("3 at once", Limit(3, 60 * SECOND, Algorithm.CONCURRENCY)),
        ("3 at once for 30s", Limit(3, 30 * SECOND, Algorithm.CONCURRENCY)),
    ],
)
def test_a_text_is_read_as_it_is_meant(text: str, limit: Limit | None) -> None:
    if limit is None:
        with pytest.raises(QuotaMalformed):
            parse(text)
    else:
        assert parse(text) == limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "often",
        "10",
        "10/",
        "/s",
        "0/s",
        "-1/s",
        "10/fortnight",
        "10/0s",
        "10/s burst 0",
        "10/s fixed window burst 3",
        "10/s burst 3 fixed window",
        "10/min in Europe/Berlin",
        "10/day in Atlantis",
        "10/2month",
        "10/month gcra",
        "10/s sometimes",
        "3 at once for ever",
        "3 at once burst 2",
        "10/s\nburst 3;",
    ],
)
def test_what_is_no_limit_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(QuotaMalformed, match="is no limit"):
        parse(text)


@given(st.text(max_size=40))
def test_any_text_is_a_limit_or_refused(text: str) -> None:
    try:
        assert parse(text).count > 0
    except QuotaMalformed:
        return


def test_the_name_is_that_which_is_told() -> None:
    assert parse("10/s", "imports").name == "imports"
