"""Lines of the standard library's `logging`, by which third parties speak: they go the same way as ours."""

import logging
from typing import Final

from keel.logs.levels import ROOT, Levels
from keel.logs.logger import Sink, line, raised

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class Bridge(logging.Handler):
    """The one handler of the root logger."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        if not self._sink.wants(record.name, record.levelno):
            return
        try:
            said = record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit the format are the caller's mistake, not the end
            said = str(record.msg)
        more = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        self._sink.put(line(record.levelno, record.name, said, more, raised(record.exc_info)))


class Standing:
    """How `logging` was set up before, and how the bridge sets it up for as long as it stands."""

    def __init__(self, bridge: Bridge, levels: Levels) -> None:
        self._bridge = bridge
        self._levels = levels
        root = logging.getLogger()
        self._before: tuple[int, list[logging.Handler]] = root.level, list(root.handlers)
        self._raised: dict[str, int] = {}
        root.addHandler(bridge)
        self.follow()
        levels.changed.append(self.follow)

    def follow(self) -> None:
        """Let loggers make the records that are wanted, and no others."""
        for name, before in self._raised.items():
            logging.getLogger(name).setLevel(before)
        self._raised = {}
        logging.getLogger().setLevel(self._levels.of(ROOT))
        for name, override in self._levels.overrides().items():
            if name != ROOT:
                logger = logging.getLogger(name)
                self._raised[name] = logger.level
                logger.setLevel(override.level)

    def end(self) -> None:
        """Leave everything as it was."""
        self._levels.changed.remove(self.follow)
        for name, before in self._raised.items():
            logging.getLogger(name).setLevel(before)
        root = logging.getLogger()
        root.removeHandler(self._bridge)
        root.setLevel(self._before[0])
