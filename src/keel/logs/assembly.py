"""Logs, opened: the loggers of structlog and of the standard library write to one place until they are closed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from keel.context import Segment
from keel.logs.bridge import Bridge, Standing
from keel.logs.contract import LEVELS, LogOptions, LogStats
from keel.logs.files import Output, RotatingFile, Stream
from keel.logs.levels import Levels
from keel.logs.logger import Logger, Target
from keel.logs.otlp import OtlpLines
from keel.logs.redaction import Redaction
from keel.logs.rendering import ACCESS, Renderer, level_of
from keel.logs.writing import Writer

_UNNAMED: Final = "app"


class Logs:
    """Where all lines of this process go. It observes requests: each has one line of its own."""

    def __init__(self, options: LogOptions, output: Output) -> None:
        self.levels = Levels(options.level)
        self.levels.changed.append(self._levels_changed)
        self._has_all_requests = False
        self.redaction = Redaction(options.source.service)
        self._writer = Writer(Renderer(options.source, options.form, self.redaction), output, options.most_waiting)
        self.also = self._writer.also
        self.put = self._writer.put
        self.flush = self._writer.flush
        self.close = self._writer.close
        self._levels_changed()

    @classmethod
    @contextmanager
    def open(cls, options: LogOptions | None = None, output: Output | None = None) -> Iterator["Logs"]:
        """Write lines to `output`, by default as the options say, until the block is left; then what waits is written.

        Raises OSError where the file of the options cannot be written.
        """
        options = options or LogOptions()
        logs = cls(options, output or _output(options))
        standing, before = Standing(Bridge(logs), logs.levels), structlog.get_config()
        structlog.configure(
            processors=[],
            wrapper_class=Logger,
            context_class=dict,
            logger_factory=lambda *names: Target(str(names[0]) if names else _UNNAMED, logs),
            cache_logger_on_first_use=False,
        )
        exporter = None if options.collector is None else OtlpLines(options.collector, options.source)
        if exporter is not None:
            logs.also.append(exporter.put)
        try:
            yield logs
        finally:
            structlog.configure(**before)
            standing.end()
            logs.close()
            if exporter is not None:
                exporter.close()

    @property
    def stats(self) -> LogStats:
        """What was written and what was not."""
        return self._writer.stats

    def wants(self, logger: str, level: int) -> bool:
        """Whether lines of a logger at this level are written now."""
        return level >= self.levels.of(logger)

    def observed(self, request: Segment) -> None:
        """The one line of a request, WebSocket or job."""
        if self.levels.expires:
            self.levels.of(ACCESS)
        is_certain = self._has_all_requests and request.kind != "job" and not request.is_routine
        if is_certain or self.levels.of(ACCESS) <= level_of(request):
            self._writer.put_request(request)

    def _levels_changed(self) -> None:
        self._has_all_requests = self.levels.of(ACCESS) <= LEVELS["info"]


def _output(options: LogOptions) -> Output:
    return Stream(sys.stdout.buffer) if options.file is None else RotatingFile(options.file, options.rotation)
