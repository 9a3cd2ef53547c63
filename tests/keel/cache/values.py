"""Strategies for values of every kind that a codec may meet."""

from datetime import UTC, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.keel.cache.data import Account, Currency, Fill, Lot, Mark, Point, Rating, Shape, Side

ZONES = st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30)), timezone(timedelta(hours=1), "CET")]) | (
    st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]).map(ZoneInfo)
)
TEXT = st.text(st.characters(codec="utf-8"))
HASHABLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    TEXT,
    st.binary(),
    st.decimals(allow_nan=False),
    st.datetimes(timezones=st.none() | ZONES),
    st.dates(),
    st.times(timezones=st.none() | st.just(UTC)),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([*Side, *Shape, *Currency, *Rating, Mark.PLANNED, Mark.PLANNED | Mark.REVIEWED]),
    st.builds(Point, st.integers(), TEXT),
    st.builds(Lot, st.integers(), st.decimals(allow_nan=False)),
    st.builds(Fill, st.decimals(allow_nan=False), st.frozensets(TEXT, max_size=3)),
    st.complex_numbers(allow_nan=False),
)
LEAVES = HASHABLE | st.builds(
    Account,
    id=st.uuids(),
    balance=st.decimals(allow_nan=False, allow_infinity=False),
    opened=st.dates(),
    at=st.none() | st.datetimes(timezones=ZONES),
    hold=st.timedeltas(min_value=timedelta(days=-1000), max_value=timedelta(days=1000)),
    side=st.sampled_from(Side),
    pair=st.tuples(st.integers(-(2**60), 2**60), TEXT),
    tags=st.sets(TEXT, max_size=3),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXT, inner, max_size=4),
        st.dictionaries(HASHABLE, inner, max_size=3),
        st.sets(HASHABLE, max_size=4),
        st.frozensets(HASHABLE, max_size=4),
        st.builds(bytearray, st.binary()),
    ),
    max_leaves=12,
)


def kinds(value: object) -> object:
    """The types within a value, in its own shape; and what equality does not see."""
    if isinstance(value, dict):
        return type(value), [(kinds(key), kinds(each)) for key, each in value.items()]
    if isinstance(value, list | tuple):
        return type(value), [kinds(each) for each in value]
    if isinstance(value, set | frozenset):
        return type(value), sorted(str(kinds(each)) for each in value)
    return type(value), str(value) if isinstance(value, Decimal) else getattr(value, "tzinfo", None)
