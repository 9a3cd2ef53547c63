"""The thread that renders and writes lines, off the request's path, from a queue that is bounded."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from keel.clock import wall_ns
from keel.context import Segment
from keel.logs.contract import LEVELS, Line, LogStats
from keel.logs.files import Output
from keel.logs.rendering import Renderer

GATHERED_S: Final = 0.05
"""How long lines are gathered before they are written together."""
_AT_A_TIME: Final = 48
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
        self._waiting: deque[Line | Segment] = deque()
        self._wake = threading.Event()
        self._is_woken = False
        self._is_closed = False
        self._told = 0
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
        self._thread.start()

    def put(self, line: "Line | Segment") -> None:
        """Have it written, unless too many wait."""
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
        waiting, rendered, size = self._waiting, list[bytes](), 0
        while waiting:
            some = self._rendered([waiting.popleft() for _ in range(min(_AT_A_TIME, len(waiting)))])
            rendered += some
            size += sum(map(len, some))
            if size > _WRITTEN_BYTES:
                self._write(rendered)
                rendered, size = [], 0
            time.sleep(0)
        if self.stats.dropped > self._told:
            count, self._told = self.stats.dropped - self._told, self.stats.dropped
            fields = {"count": count}
            told = Line(wall_ns(), LEVELS["warning"], _LOGGER, "log lines were dropped", fields, None, None, 0)
            rendered += self._rendered([told])
        if rendered:
            self._write(rendered)

    def _rendered(self, lines: Iterable["Line | Segment"]) -> list[bytes]:
        rendered, render = [], self._renderer.render
        for line in lines:
            try:
                if self.also:
                    self._tell(line)
                rendered.append(render(line))
            except Exception:  # noqa: BLE001 - whatever was logged, the thread goes on
                self.stats.failed += 1
        return rendered

    def _tell(self, line: "Line | Segment") -> None:
        said = self._renderer.access(line) if isinstance(line, Segment) else self._renderer.document(line)
        for each in self.also:
            each(said)

    def _write(self, rendered: list[bytes]) -> None:
        try:
            self._output.write(b"".join(rendered))
        except (OSError, ValueError):  # a full disk, a stream that was closed
            self.stats.failed += len(rendered)
        else:
            self.stats.written += len(rendered)
