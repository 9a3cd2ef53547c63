"""What holds whatever is measured, and whatever anybody asks for."""

import math

from hypothesis import given
from hypothesis import strategies as st

from keel.context import Segment
from keel.metrics.contract import DURATIONS_S
from keel.metrics.rendering import Form
from keel.metrics.requests import Tally

DURATIONS = st.integers(min_value=1, max_value=100_000_000_000)
"""In nanoseconds."""


def ended(took_ns: int) -> Segment:
    segment = Segment("http", "", "ab" * 16, 1, is_kept=True)
    segment.ended_ns = segment.began_ns + took_ns
    return segment


@given(st.lists(DURATIONS, max_size=30))
def test_every_request_is_in_one_bucket_and_buckets_only_rise(durations: list[int]) -> None:
    tally = Tally(DURATIONS_S)
    for each in durations:
        tally.add(ended(each))
    samples = list(tally.samples("x", {}))
    buckets = {math.inf if s.labels["le"] == "+Inf" else float(s.labels["le"]): s for s in samples if "le" in s.labels}
    for bound, sample in buckets.items():
        assert sample.value == sum(each / 1e9 <= bound for each in durations)
        if sample.exemplar:
            below = max((each for each in buckets if each < bound), default=-math.inf)
            assert below < sample.exemplar.value <= bound
    totals = {sample.name: sample.value for sample in samples if "le" not in sample.labels}
    assert totals["x_count"] == len(durations)
    assert math.isclose(totals["x_sum"], sum(durations) / 1e9, abs_tol=1e-9)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["text/plain", "application/json", "application/openmetrics-text", "*/*", "image/png", ""]),
            st.sampled_from(["", ";q=0", ";q=0.5", "; q=1", ";q=nan", ";q=", ";version=1.0.0;q=0.2", ";;"]),
        )
    )
    | st.text("aq=*/;,. 01", max_size=20).map(lambda text: [(text, "")])
)
def test_whatever_is_asked_for_there_is_an_answer(parts: list[tuple[str, str]]) -> None:
    wanted = Form.wanted(",".join(name + rest for name, rest in parts))
    assert wanted in Form
    if wanted is not Form.TEXT:
        assert any(name in wanted.media_type for name, _ in parts if name)
