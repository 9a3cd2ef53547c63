from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tradesense.domain.executions import ExecutionId
from tradesense.domain.trades import trade_id

IDS = st.uuids().map(ExecutionId)


@given(IDS)
def test_a_trade_s_id_is_a_uuid7_of_its_anchor_s_time(anchor: ExecutionId) -> None:
    trade = trade_id(anchor)
    assert (trade.version, trade.variant) == (7, UUID(int=0x8000 << 48).variant)
    assert trade.bytes[:6] == anchor.bytes[:6]
    assert trade == trade_id(anchor)


@given(st.lists(IDS, unique=True))
def test_no_two_anchors_share_a_trade_s_id(anchors: list[ExecutionId]) -> None:
    assert len({trade_id(anchor) for anchor in anchors}) == len(anchors)


def test_a_trade_s_id_never_changes() -> None:
    assert str(trade_id(ExecutionId(UUID(int=1)))) == "00000000-0000-7f00-83ff-160886a06628"
