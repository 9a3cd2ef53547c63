from datetime import timedelta

from keel.context import Segment
from tests.application import Hands
from tradesense.monitoring.service import ACTIVE, MOST_ACTIVE, ActiveUsers


def asked(user: str | None) -> Segment:
    return Segment("http", "", "ab" * 16, 1, user_id=user)


def count(users: ActiveUsers) -> float:
    (reading,) = users.readings()
    return reading.value


def test_whoever_asked_lately_is_active_once() -> None:
    clock = Hands()
    users = ActiveUsers(clock)
    for user in ("7", "8", "7", None):
        users.observed(asked(user))
    assert count(users) == 2
    clock.forward(ACTIVE - timedelta(seconds=1))
    users.observed(asked("7"))
    clock.forward(timedelta(seconds=2))
    assert count(users) == 1
    clock.forward(ACTIVE)
    assert count(users) == 0


def test_they_are_bounded() -> None:
    users = ActiveUsers(Hands())
    for number in range(MOST_ACTIVE + 100):
        users.observed(asked(str(number)))
    assert count(users) == MOST_ACTIVE
