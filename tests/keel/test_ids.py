from hypothesis import given
from hypothesis import strategies as st

from keel.clock import wall_ns
from keel.ids import uuid7

TIMES = st.integers(0, 1 << 67)


@given(TIMES)
def test_an_id_is_a_uuid_of_version_7_that_carries_its_time(at_ns: int) -> None:
    made = uuid7(at_ns)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == at_ns // 1_000_000


@given(TIMES, st.integers(245, 10**12))
def test_ids_sort_by_time_to_a_quarter_of_a_microsecond(at_ns: int, later_ns: int) -> None:
    assert uuid7(at_ns) < uuid7(at_ns + later_ns)


def test_ids_made_at_the_same_time_differ() -> None:
    assert len({uuid7(0) for _ in range(1000)}) == 1000


def test_an_id_is_made_for_now_by_default() -> None:
    assert uuid7() < uuid7(wall_ns() + 10**9)
