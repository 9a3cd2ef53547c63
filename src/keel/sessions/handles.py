"""The sessions of the Keel that is running."""

from collections.abc import Callable, Mapping
from typing import Final

from keel.current import current
from keel.sessions.contract import Session, SessionStore, Subject


class _RunningSessions:
    """`keel.sessions.contract.SessionStore`, by way of the running Keel; it has nothing of its own."""

    async def create_session(self, user_id: Subject, data: Mapping[str, str]) -> str:
        return await current().sessions.create_session(user_id, data)

    async def get(self, token: str) -> Session:
        return await current().sessions.get(token)

    async def touch(self, token: str) -> Session:
        return await current().sessions.touch(token)

    async def rotate(self, token: str) -> str:
        return await current().sessions.rotate(token)

    async def revoke(self, user_id: Subject, session_id: str) -> bool:
        return await current().sessions.revoke(user_id, session_id)

    async def revoke_others(self, user_id: Subject, session_id: str) -> int:
        return await current().sessions.revoke_others(user_id, session_id)

    async def invalidate_user_sessions(self, user_id: Subject) -> int:
        return await current().sessions.invalidate_user_sessions(user_id)

    async def get_user_sessions(self, user_id: Subject) -> list[Session]:
        return await current().sessions.get_user_sessions(user_id)

    def watch(self, token: str, doubt: Callable[[], None]) -> Callable[[], None]:
        return current().sessions.watch(token, doubt)


session_store: Final[SessionStore] = _RunningSessions()
"""The sessions of the running Keel, for code that is handed none."""
