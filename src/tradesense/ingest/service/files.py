"""Kept files: every upload as it came, named by its hash, never changed."""

import contextlib
import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from anyio import to_thread

from keel.errors import TooLarge
from keel.ids import uuid7


class FileTooLarge(TooLarge):
    """The file is larger than what is taken."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The file is larger than {limit / 2**20:.0f} MB; export a shorter period.")


class Kept(NamedTuple):
    """A kept file: the SHA-256 of its bytes in hexadecimal, and their number."""

    sha256: str
    size: int


Read = Callable[[], Awaitable[bytes]]
"""Gives the next bytes of an upload; none at its end."""


class KeptFiles:
    """A folder of files. What is stored in two steps (written elsewhere, then moved) is whole or not there."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def path(self, sha256: str) -> Path:
        """Where a file is kept."""
        return self._folder / sha256

    async def keep(self, read: Read) -> Kept:
        """Store an upload as it streams in; raises `FileTooLarge`."""
        temporary = await self._receive(read)
        try:
            kept = await to_thread.run_sync(_digest, temporary)
            await to_thread.run_sync(_settle, temporary, self.path(kept.sha256))
        finally:
            temporary.unlink(missing_ok=True)
        return kept

    async def remove(self, sha256: str, unless_since: datetime) -> None:
        """Forget a file, unless it has been kept anew since a time."""

        def remove() -> None:
            path = self.path(sha256)
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < unless_since.timestamp():
                    path.unlink()

        await to_thread.run_sync(remove)

    async def remove_leftovers(self, before: datetime) -> None:
        """Forget what uploads left behind whose process died before a time."""

        def remove() -> None:
            for path in self._folder.glob(".*"):
                with contextlib.suppress(FileNotFoundError):
                    if path.stat().st_mtime < before.timestamp():
                        path.unlink()

        await to_thread.run_sync(remove)

    async def borrow(self, read: Read) -> Path:
        """Store an upload for the while it takes to look at it; raises `FileTooLarge`. The caller removes it."""
        return await self._receive(read)

    async def _receive(self, read: Read) -> Path:
        await to_thread.run_sync(lambda: self._folder.mkdir(parents=True, exist_ok=True))
        temporary = self._folder / f".{uuid7()}"
        try:
            await self._copy(read, temporary)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary

    async def _copy(self, read: Read, to: Path) -> None:
        size = 0
        with to.open("xb") as file:
            while some := await read():
                size += len(some)
                if size > self._limit:
                    raise FileTooLarge(self._limit)
                await to_thread.run_sync(file.write, some)


def _digest(path: Path) -> Kept:
    with path.open("rb") as file:
        return Kept(hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _settle(temporary: Path, path: Path) -> None:
    """Make the file last, then give it its name: after a crash it is whole or not there."""
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
