"""Which route a path belongs to, known before anything is routed: `/trades/7` is one of `/trades/{trade_id}`."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from starlette.routing import compile_path
from starlette.types import Scope

_REST = "{path:path}"


class RouteTemplates:
    """Finds templates by path: exact ones at once, others by the length of their path in segments."""

    def __init__(self, templates: Iterable[str]) -> None:
        self._exact: set[str] = set()
        self._by_length: dict[int, list[tuple[re.Pattern[str], str]]] = {}
        self._open: list[tuple[re.Pattern[str], str]] = []
        for template in dict.fromkeys(templates):
            pattern, name, _ = compile_path(template)
            if "{" not in template:
                self._exact.add(template)
            elif ":path}" in template:
                self._open.append((pattern, name))
            else:
                self._by_length.setdefault(template.count("/"), []).append((pattern, name))

    def find(self, scope: Scope) -> str | None:
        """The template of a request's path; None where no route has it."""
        path: str = scope["path"]
        if path in self._exact:
            return path
        for pattern, template in self._by_length.get(path.count("/"), ()):
            if pattern.fullmatch(path):
                return template
        for pattern, template in self._open:
            if pattern.fullmatch(path):
                return template
        return None


def templates(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """The whole templates of routes, of those in routers that were included, and of those in what is mounted.

    What is mounted without telling its routes has one: that of everything beneath it.
    """
    for route in routes:
        effective = getattr(route, "effective_route_contexts", None)
        if effective is not None:  # a router that FastAPI has included
            # one of Starlette's own, a WebSocket's that speaks ASGI for instance, has its path elsewhere
            yield from (f"{prefix}{each.path or each.starlette_route.path}" for each in effective())
            continue
        place, nested = f"{prefix}{getattr(route, 'path', '')}", getattr(route, "routes", None)
        if nested:
            yield from templates(nested, place)
        elif nested is None:
            yield place
        else:
            yield f"{place}/{_REST}"
