"""Passwords: hashed slowly, few at once."""

import unicodedata
from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from argon2 import PasswordHasher, Type
from argon2.exceptions import VerificationError

from tradesense.security.service.refusals import LoginsBusy

T = TypeVar("T")

_LONGEST_QUEUE: Final = 100


class Passwords:
    """Argon2id (RFC 9106) in threads, so few at once that memory stays bounded: `at_once` times `memory_kib`.

    The default cost is OWASP's (19 MiB, 2 passes, 1 lane). Raises `LoginsBusy` where too many wait for their turn.
    """

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 19456, at_once: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost, memory_kib, parallelism=1, type=Type.ID)
        self._limiter = anyio.CapacityLimiter(at_once)
        self._nobodys = self._hasher.hash("the password of a user who does not exist")

    async def hash(self, password: str) -> str:
        """The hash to keep."""
        return await self._run(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether the hash is of this password; takes as long where there is no hash."""
        return await self._run(lambda: self._verify(kept or self._nobodys, password)) and kept is not None

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, _normal(password))
        except VerificationError:
            return False

    def is_outdated(self, kept: str) -> bool:
        """Whether the hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(kept)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= _LONGEST_QUEUE:
            raise LoginsBusy
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)


def _normal(password: str) -> str:
    """The same password however it was typed (NIST SP 800-63B, 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)
