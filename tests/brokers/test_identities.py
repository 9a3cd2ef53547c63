"""What a fill is called for ever."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tests.brokers.test_reading import bought
from tradesense.brokers.identities import base_digest, execution_id, with_ordinal

ACCOUNT = UUID("0199d5c0-0000-7000-8000-000000000001")
OTHER = UUID("0199d5c0-0000-7000-8000-000000000002")
WALL = datetime(2026, 1, 2, 9, 30, 5, 250_000)  # noqa: DTZ001


def test_a_fill_with_an_id_is_the_same_in_every_format_of_its_broker() -> None:
    assert base_digest("x", "one", bought(own_id="7")) == base_digest("x", "two", bought(3, own_id="7"))
    assert base_digest("x", "one", bought(own_id="7")) != base_digest("y", "one", bought(own_id="7"))


def test_a_fill_without_one_is_known_by_its_row_and_its_format() -> None:
    assert base_digest("x", "one", bought()) == base_digest("x", "one", bought())
    assert base_digest("x", "one", bought()) != base_digest("x", "two", bought())
    assert base_digest("x", "one", bought()) != base_digest("x", "one", bought(1))


def test_the_first_of_several_keeps_the_base() -> None:
    base = base_digest("x", "one", bought())
    assert with_ordinal(base, 0) == base
    assert len({with_ordinal(base, ordinal) for ordinal in range(100)}) == 100


def test_an_execution_id_has_the_shape_of_version_7_and_the_wall_time() -> None:
    made = execution_id(ACCOUNT, b"i" * 16, WALL)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == 1_767_346_205_250


def test_an_execution_id_is_the_same_whenever_it_is_computed_and_each_accounts_own() -> None:
    assert execution_id(ACCOUNT, b"i" * 16, WALL) == execution_id(ACCOUNT, b"i" * 16, WALL)
    assert execution_id(ACCOUNT, b"i" * 16, WALL) != execution_id(OTHER, b"i" * 16, WALL)
    assert execution_id(ACCOUNT, b"i" * 16, WALL) != execution_id(ACCOUNT, b"j" * 16, WALL)


@given(st.binary(min_size=16, max_size=16), st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31)))  # noqa: DTZ001
def test_execution_ids_sort_by_the_time_on_the_wall(identity: bytes, wall: datetime) -> None:
    made = execution_id(ACCOUNT, identity, wall)
    assert made.version == 7
    assert made.int >> 80 == (wall - datetime(1970, 1, 1)) // timedelta(milliseconds=1)  # noqa: DTZ001
