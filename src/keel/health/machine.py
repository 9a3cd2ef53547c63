"""Whether the machine has room: on its disk, and in memory."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from keel.health.contract import Answer

SCARCE: Final = 2 << 30
FULL: Final = 256 << 20
"""Bytes free on a disk below which it is worth a word, and below which writing is about to fail."""
_LITTLE: Final = 0.10
_NEXT_TO_NOTHING: Final = 0.03
_CGROUP: Final = Path("/sys/fs/cgroup")
_PROC: Final = Path("/proc")


class DiskCheck:
    """Whether the disk of a folder has room."""

    def __init__(self, folder: Path, *, scarce: int = SCARCE, full: int = FULL) -> None:
        self._folder = folder
        self._scarce = scarce
        self._full = full

    def __call__(self) -> Answer:
        """What to say of it."""
        usage = shutil.disk_usage(self._folder)
        status = "unhealthy" if usage.free < self._full else "degraded" if usage.free < self._scarce else "healthy"
        return {"status": status, "message": _room(usage.free, status), "free": usage.free, "total": usage.total}


class MemoryCheck:
    """Whether there is memory left, to this process's group (cgroup v2) if that is limited, else to the machine."""

    def __init__(self, cgroup: Path = _CGROUP, proc: Path = _PROC) -> None:
        self._cgroup = cgroup
        self._proc = proc

    def __call__(self) -> Answer:
        """What to say of it; where the system does not tell, all is well."""
        found = _of_group(self._cgroup) or _of_machine(self._proc)
        if found is None:
            return {"status": "healthy", "message": "this system does not tell"}
        share = found.available / found.total
        status = "unhealthy" if share < _NEXT_TO_NOTHING else "degraded" if share < _LITTLE else "healthy"
        return {"status": status, "message": _room(found.available, status), **found._asdict()}


class _Memory(NamedTuple):
    available: int
    total: int


def _of_group(folder: Path) -> _Memory | None:
    """What the group has left; file pages that were not used lately can be had back, so they count as free."""
    try:
        total = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        inactive = _table(folder / "memory.stat").get("inactive_file", 0)
    except (OSError, ValueError):
        return None
    return None if total == "max" else _Memory(max(int(total) - used + inactive, 0), int(total))


def _of_machine(folder: Path) -> _Memory | None:
    try:
        table = _table(folder / "meminfo")
        return _Memory(table["MemAvailable:"] * 1024, table["MemTotal:"] * 1024)
    except (OSError, ValueError, KeyError):
        return None


def _table(file: Path) -> Mapping[str, int]:
    return {words[0]: int(words[1]) for line in file.read_text().splitlines() if len(words := line.split()) > 1}


def _room(free: int, status: str) -> str:
    return "" if status == "healthy" else f"{free / (1 << 20):.0f} MiB left"
