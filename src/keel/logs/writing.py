"""The thread that renders and writes lines, off the request's path, from a queue that is bounded.

A request's own line is rendered at once, unless more than that is to be done with it: threads take turns, so another
one would take as long for it, and the turns would be to pay for.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from keel.clock import wall_ns
from keel.context import Segment
from keel.logs.contract import LEVELS, Line, LogStats
from keel.logs.files import Output
from keel.logs.rendering import Renderer

GATHERED_S: Final = 0.05
"""How long lines are gathered before they are written together."""
_AT_A_TIME: Final = 16
"""Lines that are rendered before other threads get their turn: else a request would wait for all of them."""
_WRITTEN_BYTES: Final = 65_536
_LOGGER: Final = __name__


class Writer:
    """Takes lines, and segments for their access line. `close` writes what is left."""

    def __init__(self, renderer: Renderer, output: Output, most_waiting: int) -> None:
        self.stats = LogStats()
        self.also: list[Callable[[dict[str, Any]], None]] = []
        """Called in the thread with what each line says, once it is free of secrets."""
        self._renderer = renderer
        self._output = output
        self._most = most_waiting
        self._waiting: deque[Line | Segment | bytes] = deque()
        self._wake = threading.Event()
        self._is_woken = False
        self._is_closed = False
        self._told = 0
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def put_request(self, segment: Segment) -> None:
        """Have a request's line written, unless too many wait."""
        self.put(segment if self.also else self._renderer.at_once(segment) or segment)

    def put(self, line: "Line | Segment | bytes") -> None:
        """Have it written, unless too many wait; bytes are rendered."""
        if len(self._waiting) >= self._most or self._is_closed:
            self.stats.dropped += 1
            return
        self._waiting.append(line)
        if not self._is_woken:
            self._is_woken = True
            self._wake.set()

    def flush(self) -> None:
        """Write what waits now, in the caller's thread."""
        with self._turn:
            self._drain()

    def close(self, timeout_s: float = 5.0) -> None:
        """Write what waits, for so long at most, and end the thread; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._wake.set()
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            self._output.close()

    def _run(self) -> None:
        while not self._is_closed:
            self._wake.wait()
            if not self._is_closed:
                time.sleep(GATHERED_S)
            self._wake.clear()
            self._is_woken = False
            with self._turn:
                self._drain()
        with self._turn:
            self._drain()

    def _drain(self) -> None:
        waiting, ready, size, rendered = self._waiting, list[bytes](), 0, 0
        while waiting:
            line = waiting.popleft()
            if not isinstance(line, bytes):
                line = self._rendered(line)
                rendered += 1
                if rendered % _AT_A_TIME == 0:
                    time.sleep(0)
            ready.append(line)
            size += len(line)
            if size > _WRITTEN_BYTES:
                self._write(ready)
                ready, size = [], 0
        if self.stats.dropped > self._told:
            count, self._told = self.stats.dropped - self._told, self.stats.dropped
            fields = {"count": count}
            told = Line(wall_ns(), LEVELS["warning"], _LOGGER, "log lines were dropped", fields, None, None, 0)
            ready.append(self._rendered(told))
        if ready:
            self._write(ready)

    def _rendered(self, line: "Line | Segment") -> bytes:
        """A line, or nothing where that fails."""
        try:
            if self.also:
                self._tell(line)
            return self._renderer.render(line)
        except Exception:  # noqa: BLE001 - whatever was logged, the thread goes on
            self.stats.failed += 1
            return b""

    def _tell(self, line: "Line | Segment") -> None:
        said = self._renderer.access(line) if isinstance(line, Segment) else self._renderer.document(line)
        for each in self.also:
            each(said)

    def _write(self, ready: list[bytes]) -> None:
        lines = sum(1 for each in ready if each)
        try:
            self._output.write(b"".join(ready))
        except (OSError, ValueError):  # a full disk, a stream that was closed
            self.stats.failed += lines
        else:
            self.stats.written += lines
