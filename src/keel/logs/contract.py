"""What a log line is made of, and where lines go."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from keel.context import Segment

LEVELS: Final[Mapping[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class Form(StrEnum):
    """How lines look."""

    JSON = "json"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Source:
    """Who writes: the same in every line."""

    service: str = ""
    version: str = ""
    environment: str = ""
    instance: str = ""


@dataclass(frozen=True, slots=True)
class Rotation:
    """A file is renamed when it is larger than `max_bytes` or of an earlier `period`; `keep` of the renamed stay."""

    max_bytes: int = 50 << 20
    period: timedelta = timedelta(days=1)
    keep: int = 14


@dataclass(frozen=True, slots=True)
class Collector:
    """Where an OTLP collector is: `endpoint` without `/v1/…`, and headers that it wants, such as a key.

    Raises ValueError for an endpoint that is none.
    """

    endpoint: str
    headers: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        parts = urlsplit(self.endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a collector's endpoint is a URL such as http://localhost:4318")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What is written, how, and where: to `file`, else to the standard output; and to the `collector`, if any."""

    level: str = "info"
    form: Form = Form.JSON
    file: Path | None = None
    rotation: Rotation = Rotation()
    source: Source = Source()
    collector: Collector | None = None
    most_waiting: int = 10_000
    """Lines that may wait to be written; what comes beyond is dropped, and counted."""


class Line(NamedTuple):
    """What was said, not yet rendered."""

    at_ns: int
    level: int
    logger: str
    event: str
    fields: Mapping[str, Any] | None
    exception: Mapping[str, Any] | None
    segment: Segment | None
    span_id: int


@dataclass(slots=True)
class LogStats:
    """Since the start."""

    written: int = 0
    dropped: int = 0
    """For want of room."""
    failed: int = 0
    """Which could not be rendered or written."""
