"""Errors go to Sentry as well: grouped as here, with nothing in them that is not kept here, and never in a flood.

What happens is told by hand. The SDK's integrations stay off, so that nothing of a request, no variable and no
breadcrumb is seen by it; it is imported, and used, in a thread of its own. Requests do not notice whether Sentry is
there, away, or hanging.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Full, Queue
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

from keel.failures.contract import MOST_GROUPS, Frame, Occurrence
from keel.failures.recorder import Failures
from keel.logs.contract import Source

if TYPE_CHECKING:
    from sentry_sdk import Client
    from sentry_sdk.types import Event

EVERY_S: Final = 60.0
"""How long nothing more is sent of a group, of which something was."""
MOST_A_MINUTE: Final = 60
"""Events that are sent in a minute, whatever happens."""
MOST_WAITING: Final = 100
CLOSING_S: Final = 2.0
"""How long the last events are given to be sent."""
_LOG: Final = logging.getLogger(__name__)


class SentryStats(msgspec.Struct):
    """Since the start: what was handed to the SDK, what was left out as more of the same, and what found no room."""

    handed: int = 0
    left_out: int = 0
    dropped: int = 0


class Sentry:
    """A sink of `Failures`. Of each group, what was left out since its last event is told by the next one."""

    def __init__(self, dsn: str, source: Source) -> None:
        self.stats = SentryStats()
        self._dsn = dsn
        self._source = source
        self._waiting: Queue[tuple[Occurrence, int] | None] = Queue(MOST_WAITING)
        self._groups: OrderedDict[str, _Group] = OrderedDict()
        self._minute = 0.0
        self._in_minute = 0
        self._thread = threading.Thread(target=self._run, name="sentry", daemon=True)
        self._thread.start()

    def failed(self, occurrence: Occurrence) -> None:
        """Have it sent, unless enough was."""
        now = monotonic()
        group = self._group(occurrence.fingerprint)
        group.since += 1
        if now < group.again_at or not self._has_room(now):
            self.stats.left_out += 1
            return
        try:
            self._waiting.put_nowait((occurrence, group.since))
        except Full:
            self.stats.dropped += 1
            return
        group.again_at, group.since = now + EVERY_S, 0

    def close(self, timeout_s: float = CLOSING_S) -> None:
        """Send what waits, for so long at most, and end."""
        try:
            self._waiting.put(None, timeout=timeout_s)
        except Full:
            return
        self._thread.join(timeout_s + 1)

    def _group(self, fingerprint: str) -> "_Group":
        group = self._groups.get(fingerprint)
        if group is None:
            if len(self._groups) >= MOST_GROUPS:
                self._groups.popitem(last=False)
            group = self._groups[fingerprint] = _Group()
        return group

    def _has_room(self, now: float) -> bool:
        if now >= self._minute:
            self._minute, self._in_minute = now + 60, 0
        self._in_minute += 1
        return self._in_minute <= MOST_A_MINUTE

    def _run(self) -> None:
        """The thread: what is left to send in the end is given CLOSING_S."""
        client: Client | None = None
        while (item := self._waiting.get()) is not None:
            try:
                client = client or _client(self._dsn, self._source)
                client.capture_event(event(*item))
                self.stats.handed += 1
            except Exception:  # noqa: BLE001 - whatever it is, the program goes on without
                self.stats.dropped += 1
                _LOG.warning("an error could not be handed to Sentry", exc_info=True)
        if client is not None:
            client.close(timeout=CLOSING_S)


class _Group(msgspec.Struct):
    """When of a group something may be sent again, and how often it happened since something was."""

    again_at: float = 0.0
    since: int = 0


@contextmanager
def reporting(failures: Failures, dsn: str | None, source: Source) -> Iterator[None]:
    """Let errors go to Sentry until the block is left, if there is one."""
    if dsn is None:
        yield
        return
    sentry = Sentry(dsn, source)
    failures.sinks.append(sentry)
    try:
        yield
    finally:
        failures.sinks.remove(sentry)
        sentry.close()


def _client(dsn: str, source: Source) -> "Client":
    from sentry_sdk import Client  # noqa: PLC0415 - for who uses it; it takes a tenth of a second

    return Client(
        dsn=dsn,
        release=f"{source.service}@{source.version}",
        environment=source.environment,
        server_name=source.instance,
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        include_local_variables=False,
        include_source_context=False,
        send_client_reports=False,
        max_breadcrumbs=0,
        shutdown_timeout=CLOSING_S,
        transport_queue_size=MOST_WAITING,
    )


def event(occurrence: Occurrence, count: int) -> "Event":
    """An error as Sentry's event payloads have it (https://develop.sentry.dev/sdk/data-model/event-payloads/).

    `count` is how often it happened since the last event of its group.
    """
    tags = {"route": occurrence.route, "trace_id": occurrence.trace_id, "request_id": occurrence.request_id}
    frames = [_frame(each) for each in occurrence.frames]
    return {
        "level": "error",
        "platform": "python",
        "timestamp": occurrence.at,
        "fingerprint": [occurrence.fingerprint],
        "transaction": occurrence.route,
        "tags": {name: value for name, value in tags.items() if value},
        "extra": {"occurrences": count},
        "exception": {
            "values": [{"type": occurrence.type, "value": occurrence.message, "stacktrace": {"frames": frames}}]
        },
    }


def _frame(frame: Frame) -> dict[str, Any]:
    return {"filename": frame.file, "lineno": frame.line, "function": frame.function, "in_app": frame.is_own}
