"""Laws of sessions, whatever is done in whatever order, in one process or in two that share a server.

A model says of each token that ever was whether it opens anything. The process that did something knows of it at once,
another one as soon as it has heard; neither ever lets in what has ended, nor keeps out what lives.
"""

import asyncio
import shutil
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final
from uuid import UUID, uuid4

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, multiple, rule, run_state_machine_as_test

from keel.sessions.contract import Lifetimes, Session, SessionExpired, SessionUnknown
from tests.application import Hands
from tests.keel.sessions.houses import House, opened
from tests.valkey import Valkey

LIFETIMES: Final = Lifetimes(idle=timedelta(hours=1), absolute=timedelta(hours=5), per_user=4)
EXAMPLES: Final = settings(
    max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
HEARD_S: Final = 10.0
processes = st.integers(0, 1)
persons = st.integers(0, 1)


@dataclass
class Login:
    """What the model knows of a session; `used` is when, at the latest, and `noted`, at the earliest."""

    user: int
    ends_at: datetime
    used: datetime
    noted: datetime
    id: str = ""
    ended: bool = False


class Laws(RuleBasedStateMachine):
    redis_url: ClassVar[str | None] = None
    database: ClassVar[Path | None] = None

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.clock = Hands()
        self.houses: list[House] = []
        self.users: list[UUID] = []
        self.logins: dict[str, Login] = {}
        self.rotated: set[str] = set()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        return self.runner.run(work)

    @initialize()
    def open(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        url = None
        if self.database is not None:
            place = self.database.parent / f"{uuid4().hex}.db"
            shutil.copyfile(self.database, place)
            url = f"sqlite:///{place}"
        namespace = f"laws:{uuid4().hex}"
        for _ in range(2 if self.redis_url else 1):
            house = opened(url, self.redis_url, namespace, self.clock, LIFETIMES)
            self.houses.append(await self.stack.enter_async_context(house))
        self.users = [await self.houses[0].user() for _ in range(2)]

    def house(self, at: int) -> House:
        return self.houses[at % len(self.houses)]

    @rule(target=tokens, at=processes, whose=persons)
    def log_in(self, at: int, whose: int) -> str:
        store, now = self.house(at).sessions, self.clock.now()
        token: str = self.run(store.create_session(self.users[whose], {"ip": "203.0.113.7"}))
        session: Session = self.run(store.get(token))
        assert token not in self.logins
        self.logins[token] = Login(whose, now + LIFETIMES.absolute, now, now, session.id)
        self._follow_room(whose, token)
        return token

    def _follow_room(self, whose: int, newest: str) -> None:
        """Whoever had too many has lost some: which ones, goes by last use as it was written down."""
        left = {session.id for session in self.run(self.houses[0].sessions.get_user_sessions(self.users[whose]))}
        assert len(left) <= LIFETIMES.per_user
        assert self.logins[newest].id in left
        lost = [each for each in self._living(whose) if each.id not in left]
        assert len(lost) <= 1
        for each in lost:
            others = [other for other in self._living(whose) if other is not each]
            assert len(others) >= LIFETIMES.per_user
            assert each.noted <= min(other.used for other in others), "the least used goes"
            each.ended = True

    def _living(self, whose: int) -> list[Login]:
        now = self.clock.now()
        return [
            each
            for token, each in self.logins.items()
            if each.user == whose
            and not each.ended
            and token not in self.rotated
            and now < self._expiry(each.used, each)
        ]

    def _expiry(self, used: datetime, login: Login) -> datetime:
        return min(used + LIFETIMES.idle, login.ends_at)

    @rule(at=processes, token=tokens, uses=st.booleans())
    def ask(self, at: int, token: str, uses: bool) -> None:  # noqa: FBT001 - a rule's parameter
        store, login, now = self.house(at).sessions, self.logins[token], self.clock.now()
        asking = store.touch if uses else store.get
        if token in self.rotated or login.ended or now >= self._expiry(login.used, login):
            self.run(self._refuses(self.house(at), token))
            return
        try:
            session = self.run(asking(token))
            self.run(self.house(at).noted())
        except SessionExpired:
            assert now >= self._expiry(login.noted, login), "it lives"
            login.ended = True
            return
        assert (session.id, session.user_id) == (login.id, str(self.users[login.user]))
        if uses:
            login.used = now
            if now - login.noted >= LIFETIMES.check:
                login.noted = now

    async def _refuses(self, house: House, token: str) -> None:
        async with asyncio.timeout(HEARD_S):
            while True:
                try:
                    await house.sessions.touch(token)
                except (SessionExpired, SessionUnknown):
                    return
                await asyncio.sleep(0.001)

    @rule(target=tokens, at=processes, token=tokens)
    def rotate(self, at: int, token: str) -> Any:  # noqa: ANN401 - what a rule may give
        login, now = self.logins[token], self.clock.now()
        try:
            new = self.run(self.house(at).sessions.rotate(token))
        except SessionUnknown:
            assert token in self.rotated or login.ended or now >= self._expiry(login.noted, login)
            return multiple()
        assert token not in self.rotated
        assert not login.ended
        self.rotated.add(token)
        self.logins[new] = login
        return new

    @rule(at=processes, token=tokens)
    def revoke(self, at: int, token: str) -> None:
        login = self.logins[token]
        revoked = self.run(self.house(at).sessions.revoke(self.users[login.user], login.id))
        if not revoked:
            assert login.ended or self.clock.now() >= self._expiry(login.noted, login)
        login.ended = True

    @rule(at=processes, token=tokens)
    def revoke_by_another(self, at: int, token: str) -> None:
        login = self.logins[token]
        assert not self.run(self.house(at).sessions.revoke(self.users[1 - login.user], login.id))

    @rule(at=processes, token=tokens)
    def revoke_others(self, at: int, token: str) -> None:
        login = self.logins[token]
        self.run(self.house(at).sessions.revoke_others(self.users[login.user], login.id))
        for each in self.logins.values():
            if each.user == login.user and each is not login:
                each.ended = True

    @rule(at=processes, whose=persons)
    def end_all(self, at: int, whose: int) -> None:
        self.run(self.house(at).sessions.invalidate_user_sessions(self.users[whose]))
        for each in self.logins.values():
            if each.user == whose:
                each.ended = True

    @rule(at=processes, whose=persons)
    def see(self, at: int, whose: int) -> None:
        seen = self.run(self.house(at).sessions.get_user_sessions(self.users[whose]))
        ids = [session.id for session in seen]
        now = self.clock.now()
        assert len(ids) == len({*ids})
        assert {*ids} <= {each.id for each in self._living(whose)}
        assert {*ids} >= {each.id for each in self._living(whose) if now < self._expiry(each.noted, each)}
        assert seen == sorted(seen, key=lambda each: (each.last_seen_at, each.id), reverse=True)

    @rule(minutes=st.sampled_from([0.5, 1, 3, 5, 20, 50, 70]))
    def time_passes(self, minutes: float) -> None:
        self.clock.forward(timedelta(minutes=minutes))

    @rule()
    def empty_the_server(self) -> None:
        if self.database is not None and self.redis_url is not None:
            with redis.Redis.from_url(self.redis_url) as client:
                client.flushall()

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.runner.close()


def test_laws_hold_in_memory() -> None:
    run_state_machine_as_test(type("InMemory", (Laws,), {}), settings=EXAMPLES)


def test_laws_hold_on_a_server(redis_url: str) -> None:
    run_state_machine_as_test(type("OnAServer", (Laws,), {"redis_url": redis_url}), settings=EXAMPLES)


@pytest.mark.parametrize("shared", [True, False])
def test_laws_hold_over_a_database(valkey: Valkey, migrated_sqlite: Path, tmp_path: Path, shared: bool) -> None:  # noqa: FBT001
    place = tmp_path / "empty.db"
    shutil.copyfile(migrated_sqlite, place)
    where = {"redis_url": valkey.url if shared else None, "database": place}
    run_state_machine_as_test(type("OverADatabase", (Laws,), where), settings=EXAMPLES)
