"""The loggers of structlog, writing to us: `structlog.get_logger(__name__).info("imported", rows=3)`."""

import sys
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, Protocol
from uuid import UUID

from structlog import BoundLoggerBase

from keel.clock import wall_ns
from keel.context import current_doing
from keel.logs.contract import LEVELS, Line
from keel.logs.exceptions import described
from keel.logs.redaction import DEEPEST, LONGEST_READ, Room

_PLAIN: Final = frozenset({float, bool, type(None), UUID})
_INTEGERS: Final = range(-(1 << 63), 1 << 64)
"""Those that JSON's readers and writers agree upon; others become text."""


class Sink(Protocol):
    """Where lines go."""

    def wants(self, logger: str, level: int) -> bool:
        """Whether lines of a logger at this level are written now."""

    def put(self, line: Line) -> None:
        """Have a line written."""


class Target:
    """A logger's name, and where its lines go: what structlog calls the wrapped logger."""

    __slots__ = ("name", "sink")

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.sink = sink


class Logger(BoundLoggerBase):
    """What `structlog.get_logger` gives. `bind` adds to all lines that follow; `exc_info=True` adds the exception."""

    def debug(self, event: object, *args: object, **fields: Any) -> None:  # noqa: ANN401 - whatever is said
        """Say something of use to who looks for a mistake."""
        self._say(LEVELS["debug"], event, args, fields)

    def info(self, event: object, *args: object, **fields: Any) -> None:  # noqa: ANN401 - whatever is said
        """Say what has happened."""
        self._say(LEVELS["info"], event, args, fields)

    def warning(self, event: object, *args: object, **fields: Any) -> None:  # noqa: ANN401 - whatever is said
        """Say what somebody should look at some time."""
        self._say(LEVELS["warning"], event, args, fields)

    def error(self, event: object, *args: object, **fields: Any) -> None:  # noqa: ANN401 - whatever is said
        """Say what has failed."""
        self._say(LEVELS["error"], event, args, fields)

    def critical(self, event: object, *args: object, **fields: Any) -> None:  # noqa: ANN401 - whatever is said
        """Say what keeps the program from its work."""
        self._say(LEVELS["critical"], event, args, fields)

    def exception(self, event: object, *args: object, **fields: Any) -> None:  # noqa: ANN401 - whatever is said
        """Say what has failed, with the exception that is being handled."""
        self._say(LEVELS["error"], event, args, {"exc_info": True, **fields})

    def _say(self, level: int, event: object, args: tuple[object, ...], fields: dict[str, Any]) -> None:
        target: Target = self._logger
        if target.sink.wants(target.name, level):
            exception = raised(fields.pop("exc_info", None))
            said = {**self._context, **fields}
            target.sink.put(line(level, target.name, _formatted(event, args), said, exception))


def line(
    level: int, logger: str, event: str, fields: Mapping[str, Any] | None, exception: Mapping[str, Any] | None = None
) -> Line:
    """What is said now, with the ids of what is under way."""
    doing = current_doing()
    room = Room()
    kept = None if not fields else {name: frozen(value, room) for name, value in fields.items()}
    if doing is None:
        return Line(wall_ns(), level, logger, event, kept, exception, None, 0)
    return Line(wall_ns(), level, logger, event, kept, exception, doing.segment, doing.span_id)


def raised(exc_info: object) -> dict[str, Any] | None:
    """What is said of the exception that `exc_info` means, as `logging` understands it."""
    if isinstance(exc_info, BaseException):
        return described(exc_info)
    if isinstance(exc_info, tuple):
        return raised(exc_info[1]) if len(exc_info) > 1 else None
    return raised(sys.exception()) if exc_info else None


def frozen(value: Any, room: Room, depth: int = 0) -> Any:  # noqa: ANN401 - whatever is logged
    """A value as it is now, of plain types and bounded size, for a thread to render later."""
    if type(value) in _PLAIN or (type(value) is int and value in _INTEGERS):
        return value
    if isinstance(value, str):
        return value[:LONGEST_READ]
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return "…" if depth >= DEEPEST else _frozen_items(value, room, depth + 1)
    return _shown(value)


def _frozen_items(value: Any, room: Room, depth: int) -> Any:  # noqa: ANN401 - a collection
    if isinstance(value, Mapping):
        pairs = islice(value.items(), room.take(len(value)))
        return {str(name)[:256]: frozen(each, room, depth) for name, each in pairs}
    return [frozen(each, room, depth) for each in islice(value, room.take(len(value)))]


def _shown(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{len(value)} bytes>"
    try:
        return str(value)[:LONGEST_READ]
    except Exception:  # noqa: BLE001 - what cannot even say what it is
        return f"<{type(value).__qualname__}>"


def _formatted(event: object, args: tuple[object, ...]) -> str:
    text = event if isinstance(event, str) else _shown(event)
    if args:
        try:
            text %= args
        except (TypeError, ValueError):
            text = f"{text} {args}"
    return text[:LONGEST_READ]
