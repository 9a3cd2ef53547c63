"""Locks within this process."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from keel.clock import wall_ns
from keel.locks.contract import Held, Taken


@dataclass(slots=True)
class _Entry:
    token: str
    ends: float


class MemoryLockStore:
    """`LockStore` for one process; leases end as they would on a server."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._fence = 0
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    async def take(self, name: str, token: str, ttl_s: float) -> Taken | Held:
        """Take a lock that is free."""
        now = monotonic()
        entry = self._entries.get(name)
        if entry is not None and entry.ends > now:
            return Held(entry.ends - now)
        self._entries[name] = _Entry(token, now + ttl_s)
        self._fence = max(self._fence + 1, wall_ns() // 1000)
        return Taken(self._fence)

    async def renew(self, name: str, token: str, ttl_s: float) -> bool:
        """Let it last `ttl_s` seconds from now."""
        entry = self._find(name, token)
        if entry is None or entry.ends <= monotonic():
            return False
        entry.ends = monotonic() + ttl_s
        return True

    async def release(self, name: str, token: str) -> bool:
        """Give it back and tell those who wait."""
        entry = self._find(name, token)
        if entry is None:
            return False
        del self._entries[name]
        for freed in list(self._listeners.get(name, ())):
            freed()
        return entry.ends > monotonic()

    def listen(self, name: str, freed: Callable[[], None]) -> Callable[[], None]:
        """Call `freed` when the lock is given back."""
        self._listeners.setdefault(name, []).append(freed)

        def stop() -> None:
            listeners = self._listeners.get(name, [])
            if freed in listeners:
                listeners.remove(freed)
                if not listeners:
                    del self._listeners[name]

        return stop

    def _find(self, name: str, token: str) -> _Entry | None:
        entry = self._entries.get(name)
        return entry if entry is not None and entry.token == token else None
