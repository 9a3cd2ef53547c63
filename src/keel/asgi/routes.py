"""Which route a path belongs to, known before anything is routed: `/trades/7` is one of `/trades/{trade_id}`."""

import re
from collections.abc import Iterable
from typing import Final

from starlette.types import Scope

_PARAMETER: Final = re.compile(r"\{[^{}]*\}")


class RouteTemplates:
    """Finds templates by path: exact ones at once, others by the length of their path in segments."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._by_length: dict[int, list[tuple[re.Pattern[str], str]]] = {}
        for template in dict.fromkeys(templates):
            if "{" in template:
                pattern = "[^/]+".join(re.escape(part) for part in _PARAMETER.split(template))
                self._by_length.setdefault(template.count("/"), []).append((re.compile(pattern), template))
            else:
                self._exact.add(template)

    def find(self, scope: Scope) -> str | None:
        """The template of a request's path; None where no route has it."""
        path: str = scope["path"]
        if path in self._exact:
            return path
        for pattern, template in self._by_length.get(path.count("/"), ()):
            if pattern.fullmatch(path):
                return template
        return None
