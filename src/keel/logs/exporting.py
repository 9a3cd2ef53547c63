"""Hands what was observed to a collector over HTTP, from a thread with a bounded queue: requests never notice.

OTLP/HTTP with JSON bodies (https://opentelemetry.io/docs/specs/otlp/#otlphttp). What a collector refuses for good is
dropped; what it cannot take now is tried again after 1, 2, 4, … s, or when it says so, and then dropped, too.
"""

import gzip
import http.client
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from keel.logs.contract import Collector

T = TypeVar("T")

MOST_WAITING: Final = 8192
_AT_ONCE: Final = 512
_TRIES: Final = 5
_TIMEOUT_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 30.0
_LATER: Final = frozenset({429, 502, 503, 504})
_OK: Final = range(200, 300)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(slots=True)
class ExportStats:
    """Since the start."""

    sent: int = 0
    dropped: int = 0


class Exporter(Generic[T]):
    """Sends to `collector` under `path`, every `every_s` seconds or as soon as there is enough for one request.

    `encode` makes a body of what was put, in the thread.
    """

    def __init__(
        self, collector: Collector, path: str, encode: Callable[[Sequence[T]], bytes], *, every_s: float = 1.0
    ) -> None:
        self.stats = ExportStats()
        self._place = _Place(collector, path)
        self._encode = encode
        self._every_s = every_s
        self._waiting: deque[T] = deque()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._until = float("inf")
        self._thread = threading.Thread(target=self._run, name=f"exporting to {path}", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Have it sent, unless too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            self.stats.dropped += 1
            return
        self._waiting.append(item)
        if len(self._waiting) >= _AT_ONCE and not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_s: float = 3.0) -> None:
        """Send what waits, for so long at most, and end the thread; idempotent."""
        self._until = monotonic() + timeout_s
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout_s + 0.5)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(self._every_s)
            self._wake.clear()
            self._send_all()
        self._send_all()
        self._place.close()

    def _send_all(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            if self._send(some):
                self.stats.sent += len(some)
            else:
                self.stats.dropped += len(some)

    def _send(self, some: Sequence[T]) -> bool:
        try:
            body = gzip.compress(self._encode(some), 1)
        except Exception:  # noqa: BLE001 - whatever was recorded, the thread goes on
            return False
        for turn in range(_TRIES):
            status, pause_s = self._place.post(body, min(_TIMEOUT_S, max(self._until - monotonic(), 0.1)))
            if status in _OK or (status and status not in _LATER):
                return status in _OK
            pause_s = min(pause_s or 2.0**turn, _LONGEST_PAUSE_S)
            if monotonic() + pause_s > self._until or turn == _TRIES - 1:
                return False
            self._closing.wait(pause_s)
        return False


class _Place:
    """One URL, and the connection to it that is kept."""

    def __init__(self, collector: Collector, path: str) -> None:
        parts = urlsplit(collector.endpoint)
        self._address = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._is_https = parts.scheme == "https"
        self._path = f"{parts.path.rstrip('/')}{path}"
        self._headers = {**dict(collector.headers), "Content-Type": "application/json", "Content-Encoding": "gzip"}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes, timeout_s: float) -> tuple[int, float]:
        """The status of the answer, and after how long to come again; 0 where there is no answer."""
        try:
            connection = self._connection = self._connection or self._connect(timeout_s)
            connection.request("POST", self._path, body, self._headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            return 0, 0.0
        after = answer.headers.get("Retry-After", "")
        return answer.status, float(after) if after.isdecimal() else 0.0

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        host, port = self._address
        if self._is_https:
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, port, timeout=timeout_s)
