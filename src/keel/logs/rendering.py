"""Lines as bytes: JSON for programs, or text for a terminal. Either way a line is one line, whatever is in it."""

import re
import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from keel.context import Principal, Segment, hex_id
from keel.logs.contract import LEVELS, Form, Line, Source
from keel.logs.levels import level_name
from keel.logs.redaction import Redaction

ACCESS: Final = "keel.access"
"""The logger of the line that each request has."""
_SECOND_NS: Final = 1_000_000_000
_BREAKS: Final = {b"\xc2\x85": b"\\u0085", b"\xe2\x80\xa8": b"\\u2028", b"\xe2\x80\xa9": b"\\u2029"}
"""What JSON leaves as it is, and some readers take for the end of a line."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CACHE: Final = {state: f'"{state}"' for state in ("hit", "stale", "miss")}
_BOOL: Final = ("false", "true")
_FAILED: Final = 500
_TOO_MANY: Final = 429
_DISCONNECTED: Final = '"disconnected":true,'
_Same = tuple[Principal | None, str | None, str, int, str, bool]
"""Of a request that did not raise: user, route, method, status, what the cache had, and whether it is routine."""
_MOST_SAME: Final = 1024
_FIRST: Final = ("timestamp", "level", "event", "logger")
_OWN: Final = frozenset(
    {*_FIRST, "service", "version", "environment", "instance", "request_id", "trace_id", "span_id", "exception"}
)


class Renderer:
    """Makes bytes of lines, with every secret taken out. It may be used by several threads."""

    def __init__(self, source: Source, form: Form, redaction: Redaction) -> None:
        self._source = {
            name: value
            for name, value in (
                ("service", source.service),
                ("version", source.version),
                ("environment", source.environment),
                ("instance", source.instance),
            )
            if value
        }
        self._redaction = redaction
        self._encode = msgspec.json.Encoder(enc_hook=str).encode
        self._is_json = form is Form.JSON
        self._finish = self._json if self._is_json else self._console
        self._source_json = "".join(f'"{name}":{self._text(value)},' for name, value in self._source.items())
        self._same: dict[_Same, tuple[str, str]] = {}
        self._second = (0, "")

    def render(self, line: "Line | Segment") -> bytes:
        """A line, its end included."""
        if not isinstance(line, Segment):
            return self._finish(self.document(line))
        return self.at_once(line) or self._finish(self.access(line))

    def at_once(self, segment: Segment) -> bytes | None:
        """A request's line, where it takes no longer than to have another thread do it; else None."""
        if segment.kind == "http" and segment.exception is None and self._is_json:
            return self._access_json(segment)
        return None

    def document(self, line: Line) -> dict[str, Any]:
        """What a line says, by name."""
        text = self._redaction.text
        said: dict[str, Any] = {
            "timestamp": self._timestamp(line.at_ns),
            "level": level_name(line.level),
            "event": text(line.event),
            "logger": line.logger,
            **self._source,
        }
        if line.segment is not None:
            said |= _ids(line.segment, line.span_id)
        if line.fields:
            for name, value in self._redaction.fields(line.fields).items():
                said[f"{name}_" if name in _OWN else name] = value
        if line.exception is not None:
            said["exception"] = self._exception(line.exception)
        return said

    def access(self, segment: Segment) -> dict[str, Any]:
        """The one line of a request: nothing in it was written by the client, but ids that are well-formed."""
        said: dict[str, Any] = {
            "timestamp": self._timestamp(segment.started_ns + segment.ended_ns - segment.began_ns),
            "level": level_name(level_of(segment)),
            "event": "request" if segment.kind == "http" else segment.kind,
            "logger": ACCESS,
            **self._source,
            **_ids(segment, segment.span_id),
        }
        said |= {"name": segment.name} if segment.kind == "job" else _answer(segment)
        said["duration_ms"] = (segment.ended_ns - segment.began_ns) // 1000 / 1000
        said["db_queries"] = segment.queries
        said["db_ms"] = round(segment.queries_s * 1000, 3)
        if segment.exception is not None:
            said["exception"] = self._exception(segment.exception)
        return said

    def _access_json(self, segment: Segment) -> bytes:
        """As `access`, in a tenth of the time: of a request that did not raise, nearly all is known to be plain.

        What a line says of who has asked, for what, and how it went, is said again and again, and so put together once.
        """
        same = (
            segment.user_id,
            segment.route,
            segment.method,
            segment.status,
            segment.cache,
            segment.is_routine,
        )
        begin, middle = self._same.get(same) or self._put_together(same)
        took_ns = segment.ended_ns - segment.began_ns
        db_ms = round(segment.queries_s * 1000, 3) if segment.queries else 0.0
        ids = f'{segment.request_id}","trace_id":"{segment.trace_id}","span_id":"{segment.span_id:016x}'
        return (
            f'{{"timestamp":"{self._timestamp(segment.started_ns + took_ns)}{begin}{ids}","correlation_id":"'
            f'{segment.correlation_id}{middle}{segment.request_bytes},"response_bytes":{segment.response_bytes},'
            f'{_DISCONNECTED if segment.disconnected else ""}"duration_ms":{took_ns // 1000 / 1000},'
            f'"db_queries":{segment.queries},"db_ms":{db_ms}}}\n'
        ).encode()

    def _put_together(self, same: _Same) -> tuple[str, str]:
        """What stands between the timestamp and the ids, and between those and the sizes."""
        user, route, method, status, cache, is_routine = same
        level = "debug" if is_routine else "error" if status >= _FAILED else "info"
        begin = f'","level":"{level}","event":"request","logger":"{ACCESS}",{self._source_json}"request_id":"'
        middle = (
            f'","user_id":{"null" if user is None else self._text(user)},"route":{msgspec.json.encode(route).decode()},'
            f'"method":"{method}","status":{status},"cache":{_CACHE.get(cache, "null")},'
            f'"rate_limited":{_BOOL[status == _TOO_MANY]},"request_bytes":'
        )
        if len(self._same) >= _MOST_SAME:
            self._same.clear()
        self._same[same] = begin, middle
        return begin, middle

    def _text(self, value: Any) -> str:  # noqa: ANN401 - text, or what becomes text
        return self._json({"": value})[4:-2].decode()

    def _exception(self, exception: Mapping[str, Any]) -> dict[str, Any]:
        said = {**exception, "message": self._redaction.text(exception["message"])}
        if "cause" in said:
            said["cause"] = self._exception(said["cause"])
        return said

    def _timestamp(self, at_ns: int) -> str:
        """RFC 3339 in UTC, to the microsecond."""
        second, rest = divmod(at_ns, _SECOND_NS)
        told = self._second
        if second != told[0]:
            told = self._second = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{told[1]}.{rest // 1000:06d}Z"

    def _json(self, said: dict[str, Any]) -> bytes:
        try:
            line = self._encode(said)
        except UnicodeEncodeError:  # half a surrogate pair
            line = self._encode(_whole(said))
        if not line.isascii():
            for raw, escaped in _BREAKS.items():
                line = line.replace(raw, escaped)
        return line + b"\n"

    def _console(self, said: dict[str, Any]) -> bytes:
        exception = said.pop("exception", None)
        level, event = said["level"], said["event"]
        rest = " ".join(
            f"{name}={_quoted(value)}"
            for name, value in said.items()
            if name not in _FIRST and name not in self._source and value not in {None, ""}
        )
        text = _one_line(f"{said['timestamp']} {level:<8} {event} [{said['logger']}] {rest}").rstrip()
        if exception is not None:
            frames = "".join(f"\n    {each['file']}:{each['line']} {each['function']}" for each in exception["frames"])
            text += f"\n  {exception['type']}: {_one_line(exception['message'])}{frames}"
        return f"{text}\n".encode("utf-8", "replace")


def level_of(segment: Segment) -> int:
    """The level of a segment's line: a job says for itself what it has done, unless it fails.

    What a probe is answered is no failure, whatever it is.
    """
    if segment.is_routine and segment.exception is None:
        return LEVELS["debug"]
    if segment.failed:
        return LEVELS["error"]
    return LEVELS["debug"] if segment.kind == "job" else LEVELS["info"]


def _ids(segment: Segment, span_id: int) -> dict[str, Any]:
    return {
        "request_id": segment.request_id,
        "trace_id": segment.trace_id,
        "span_id": hex_id(span_id),
        "correlation_id": segment.correlation_id,
        "user_id": segment.user_id,
    }


def _answer(segment: Segment) -> dict[str, Any]:
    said: dict[str, Any] = {
        "route": segment.route,
        "method": segment.method,
        "status": segment.status,
        "cache": segment.cache if segment.cache in _CACHE else None,
        "rate_limited": segment.rate_limited,
        "request_bytes": segment.request_bytes,
        "response_bytes": segment.response_bytes,
    }
    if segment.disconnected:
        said["disconnected"] = True
    if segment.close_code:
        said["close_code"] = segment.close_code
    return said


def _whole(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(name): _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


def _quoted(value: Any) -> str:  # noqa: ANN401 - whatever is logged
    text = str(value)
    return repr(text) if " " in text else text


def _one_line(text: str) -> str:
    """Text without what ends a line or steers a terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
