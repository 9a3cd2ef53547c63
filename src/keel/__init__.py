"""The ground that an async service stands on; it knows nothing of trading."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keel.cache.response import cache_response
    from keel.events.handles import publish, subscribe
    from keel.health.handles import health_checker
    from keel.locks.handles import lock
    from keel.ratelimit.handles import check_rate_limit, rate_limit
    from keel.sessions.handles import session_store
    from keel.traces.monitoring import monitor_performance
    from keel.traces.spans import span

__all__ = [
    "cache_response",
    "check_rate_limit",
    "health_checker",
    "lock",
    "monitor_performance",
    "publish",
    "rate_limit",
    "session_store",
    "span",
    "subscribe",
]

_PLACES: Final = {
    "cache_response": "keel.cache.response",
    "check_rate_limit": "keel.ratelimit.handles",
    "health_checker": "keel.health.handles",
    "lock": "keel.locks.handles",
    "monitor_performance": "keel.traces.monitoring",
    "publish": "keel.events.handles",
    "rate_limit": "keel.ratelimit.handles",
    "session_store": "keel.sessions.handles",
    "span": "keel.traces.spans",
    "subscribe": "keel.events.handles",
}


def __getattr__(name: str) -> object:
    """Import a handle when it is first asked for: who needs one part of keel does not wait for the others."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
