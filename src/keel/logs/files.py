"""Where lines end up: the standard output, or a file that is rotated by size and by age.

A file may be renamed, removed or truncated by others, such as logrotate, at any time, and several processes may write
to the same one: no line is ever torn in two.
"""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from keel.clock import wall_ns
from keel.logs.contract import Rotation

_MODE: Final = 0o640
_PIPE_BYTES: Final = 4096
_SECOND_NS: Final = 1_000_000_000


class Output(Protocol):
    """Takes whole lines; used by one thread."""

    def write(self, lines: bytes) -> None:
        """Write them; raises OSError where that cannot be."""

    def close(self) -> None:
        """Be done."""


class Stream:
    """A stream that somebody else owns, and other processes may write to: a pipe takes 4 KiB at a time whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, lines: bytes) -> None:
        """Write lines, and let them go at once."""
        while lines:
            end = lines.rfind(b"\n", 0, _PIPE_BYTES) + 1 or lines.find(b"\n") + 1 or len(lines)
            self._stream.write(lines[:end])
            self._stream.flush()
            lines = lines[end:]

    def close(self) -> None:
        """Leave it open: it is not ours."""


class RotatingFile:
    """A file under `path`; what was rotated away has the moment behind its name: `app.log.20260302T120000.000001Z`."""

    def __init__(self, path: Path, rotation: Rotation) -> None:
        self._path = path
        self._rotation = rotation
        self._descriptor = -1
        self._open()

    def write(self, lines: bytes) -> None:
        """Append lines to the file that has the name now, after rotating it if it is time."""
        self._follow()
        if self._is_due(os.fstat(self._descriptor), len(lines)):
            self._rotate(len(lines))
        while lines:
            lines = lines[os.write(self._descriptor, lines) :]

    def close(self) -> None:
        """Close it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        self.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)

    def _follow(self) -> None:
        """Open the file anew if the one that was open is no longer under the name."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            self._open()
            return
        ours = os.fstat(self._descriptor) if self._descriptor >= 0 else None
        if ours is None or (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev):
            self._open()

    def _is_due(self, state: os.stat_result, more: int) -> bool:
        if not state.st_size:
            return False
        if state.st_size + more > self._rotation.max_bytes:
            return True
        period_ns = round(self._rotation.period.total_seconds()) * _SECOND_NS
        return state.st_mtime_ns // period_ns < wall_ns() // period_ns

    def _rotate(self, more: int) -> None:
        """Rename the file, unless another process has; and forget the oldest of those that were renamed."""
        lock = os.open(f"{self._path}.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._follow()
            if self._is_due(os.fstat(self._descriptor), more):
                second, rest = divmod(wall_ns(), _SECOND_NS)
                moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(second))
                self._path.rename(f"{self._path}.{moment}.{rest:09d}Z")
                self._open()
                self._forget()
        finally:
            os.close(lock)

    def _forget(self) -> None:
        renamed = sorted(self._path.parent.glob(f"{_literal(self._path.name)}.????????T??????.*Z"))
        for path in renamed[: max(0, len(renamed) - self._rotation.keep)]:
            with suppress(FileNotFoundError):
                path.unlink()


def _literal(name: str) -> str:
    """A name in which nothing stands for anything else."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in name)
