"""Rules from a TOML file that may be changed while the program runs.

A table is named after a rule; what it has replaces what the rule of that name had, and `enabled = false` takes it away:

    [api]
    limits = ["200/min burst 100", "20000/day in Europe/Berlin"]
    tiers.admin = []
    shadow = true
"""

import asyncio
import logging
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from keel.ratelimit.contract import Outage
from keel.ratelimit.rules import Per, Rule, RuleBook

LOOK_EVERY_S: Final = 1.0
_LOG: Final = logging.getLogger(__name__)
_FIELDS: Final[Mapping[str, type]] = {
    "limits": list,
    "per": str,
    "routes": list,
    "excluding": list,
    "tiers": dict,
    "outage": str,
    "shadow": bool,
    "leased": bool,
    "by_user_zone": bool,
    "enabled": bool,
}
_KINDS: Final = {"per": Per, "outage": Outage}


class RulesMalformed(ValueError):
    """The file has mistakes; the message names the rule and the field."""


def read(text: str, defaults: Iterable[Rule] = ()) -> list[Rule]:
    """The rules of a file, over the `defaults`; raises RulesMalformed."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesMalformed(str(error)) from None
    rules = {rule.name: rule for rule in defaults}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise RulesMalformed(f"{name} is no table: rules are written [{name}]")
        fields = {key: _field(name, key, value) for key, value in table.items()}
        if not fields.pop("enabled", True):
            rules.pop(name, None)
            continue
        try:
            rules[name] = replace(rules.get(name) or Rule(name, ()), **fields)
        except ValueError as error:
            raise RulesMalformed(f"{name}: {error}") from None
    return list(rules.values())


def _field(rule: str, key: str, value: object) -> Any:  # noqa: ANN401 - of whatever type the field is
    if key not in _FIELDS:
        raise RulesMalformed(f"{rule}: {key} is no field of a rule; there are {', '.join(_FIELDS)}")
    if not isinstance(value, _FIELDS[key]):
        raise RulesMalformed(f"{rule}: {key} is not of type {_FIELDS[key].__name__}")
    if key in _KINDS:
        kinds = [each.value for each in _KINDS[key]]
        if value not in kinds:
            raise RulesMalformed(f"{rule}: {key} is one of {', '.join(kinds)}")
        return _KINDS[key](value)
    for texts in value.values() if isinstance(value, dict) else [value]:
        if isinstance(texts, list) and not all(isinstance(each, str) for each in texts):
            raise RulesMalformed(f"{rule}: {key} has something in it that is no text")
    return value


class RuleFile:
    """Keeps a book as the file has it; where that has mistakes, as it was."""

    def __init__(self, path: Path, book: RuleBook, defaults: Iterable[Rule]) -> None:
        self._path = path
        self._book = book
        self._defaults = tuple(defaults)
        self._seen: tuple[int, int] | None = None

    def load(self) -> None:
        """Read it now; raises RulesMalformed, and OSError where it cannot be read."""
        state = self._path.stat()
        self._seen = state.st_mtime_ns, state.st_size
        self._book.replace(read(self._path.read_text("utf-8"), self._defaults))

    async def follow(self) -> None:
        """Read it whenever it has changed, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                state = await asyncio.to_thread(self._path.stat)
                if (state.st_mtime_ns, state.st_size) == self._seen:
                    continue
                await asyncio.to_thread(self.load)
            except (OSError, ValueError) as error:
                _LOG.error("%s is not followed, the rules stay as they were: %s", self._path, error)
                await asyncio.sleep(LOOK_EVERY_S * 10)
            else:
                _LOG.info("rate limits: %d rules from %s", len(list(self._book)), self._path)
