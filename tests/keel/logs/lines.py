"""Lines as tests read them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from keel.logs.assembly import Logs
from keel.logs.contract import LogOptions


@dataclass
class Lines:
    """An output that keeps what was written."""

    written: bytes = b""
    failing: bool = False
    logs: list[Logs] = field(default_factory=list)

    def write(self, lines: bytes) -> None:
        if self.failing:
            raise OSError("no space left")
        self.written += lines

    def close(self) -> None:
        """Nothing."""

    @property
    def text(self) -> str:
        for logs in self.logs:
            logs.flush()
        return self.written.decode()

    @property
    def said(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n") if line]


@contextmanager
def written(options: LogOptions | None = None) -> Iterator[tuple[Logs, Lines]]:
    """Logs that are open, and what they write."""
    lines = Lines()
    with Logs.open(options, lines) as logs:
        lines.logs.append(logs)
        yield logs, lines
        lines.logs.clear()
