"""Log lines as OTLP has them (opentelemetry-proto 1.x, logs/v1, in its JSON form)."""

import calendar
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from keel.logs.contract import Collector, Source
from keel.logs.exporting import Exporter, ExportStats

PATH: Final = "/v1/logs"
_SEVERITY: Final = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
_NO_ATTRIBUTES: Final = frozenset(
    {"timestamp", "level", "event", "service", "version", "environment", "instance", "trace_id", "span_id", "exception"}
)
_INTEGERS: Final = range(-(1 << 63), 1 << 63)


class OtlpLines:
    """Lines go to a collector."""

    def __init__(self, collector: Collector, source: Source, *, every_s: float = 1.0) -> None:
        def encode(lines: Sequence[Mapping[str, Any]]) -> bytes:
            return encode_lines(lines, source)

        self._exporter = Exporter(collector, PATH, encode, every_s=every_s)
        self.put = self._exporter.put
        self.close = self._exporter.close

    @property
    def stats(self) -> ExportStats:
        """What was sent and what was not."""
        return self._exporter.stats


def encode_lines(lines: Sequence[Mapping[str, Any]], source: Source) -> bytes:
    """The body of a request to `/v1/logs`, of lines as `keel.logs.rendering` has them."""
    records = [_record(each) for each in lines]
    scope = {"scope": {"name": "keel.logs"}, "logRecords": records}
    return msgspec.json.encode({"resourceLogs": [{"resource": resource(source), "scopeLogs": [scope]}]})


def resource(source: Source) -> dict[str, Any]:
    """Who it is from, by the stable conventions."""
    named = {
        "service.name": source.service,
        "service.version": source.version,
        "service.instance.id": source.instance,
        "deployment.environment.name": source.environment,
    }
    return {"attributes": attributes({name: value for name, value in named.items() if value})}


def attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Key-value pairs; None is left out."""
    return [{"key": name, "value": _value(value)} for name, value in values.items() if value is not None]


def exception_attributes(exception: Mapping[str, Any]) -> dict[str, Any]:
    """`exception.*`, of what `keel.logs.exceptions.described` gives, redacted."""
    frames = "".join(f"\n  {each['file']}:{each['line']} in {each['function']}" for each in exception["frames"])
    return {
        "exception.type": exception["type"],
        "exception.message": exception["message"],
        "exception.stacktrace": f"{exception['type']}: {exception['message']}{frames}",
    }


def _value(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int) and value in _INTEGERS:
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, (list, tuple)):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if isinstance(value, Mapping):
        return {"kvlistValue": {"values": attributes(value)}}
    return {"stringValue": str(value).encode("utf-8", "replace").decode()}


def _record(line: Mapping[str, Any]) -> dict[str, Any]:
    more = {name: value for name, value in line.items() if name not in _NO_ATTRIBUTES}
    if "exception" in line:
        more |= exception_attributes(line["exception"])
    record = {
        "timeUnixNano": str(_nanoseconds(line["timestamp"])),
        "severityNumber": _SEVERITY[line["level"]],
        "severityText": line["level"],
        "body": _value(line["event"]),
        "attributes": attributes(more),
    }
    if "trace_id" in line:
        record |= {"traceId": line["trace_id"], "spanId": line["span_id"]}
    return record


def _nanoseconds(timestamp: str) -> int:
    """Since 1970, of RFC 3339 in UTC to the microsecond."""
    second = calendar.timegm(time.strptime(timestamp[:19], "%Y-%m-%dT%H:%M:%S"))
    return second * 1_000_000_000 + int(timestamp[20:26]) * 1000
