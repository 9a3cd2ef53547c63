"""Whatever a check says, it is read, or has failed; and what is passed on is small."""

from hypothesis import given
from hypothesis import strategies as st

from keel.health.answers import LONGEST_MESSAGE, MOST_DETAILS, STATUSES, read
from keel.health.contract import HealthStatus

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text('abc é\n"', max_size=400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["status", "message", "a", "b"]), JSON | st.sampled_from(sorted(map(str, STATUSES)))
    )
)
def test_whatever_a_check_says_is_read_or_has_failed(answer: dict[str, object]) -> None:
    said = read(answer)
    status = answer.get("status")
    known = STATUSES.get(status) if isinstance(status, str) else None
    assert said.status is (known or HealthStatus.FAIL)
    assert len(said.message) <= LONGEST_MESSAGE
    assert len(repr(said.details)) <= 4 * MOST_DETAILS
