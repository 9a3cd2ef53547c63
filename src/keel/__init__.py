"""The ground that an async service stands on; it knows nothing of trading."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keel.cache.response import cache_response

__all__ = ["cache_response"]


def __getattr__(name: str) -> object:
    """Import a handle when it is first asked for: who needs one part of keel does not wait for the others."""
    if name == "cache_response":
        from keel.cache.response import cache_response  # noqa: PLC0415 - that is the point

        return cache_response
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
