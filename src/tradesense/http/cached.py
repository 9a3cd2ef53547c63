"""Answers that are kept: on what terms, and how they are found before a request is routed."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, ParamSpec, TypeVar, cast

from starlette.requests import HTTPConnection
from starlette.types import Scope

from keel import cache_response
from keel.cache.signatures import Tags
from keel.context import Principal as Asking
from keel.errors import Forbidden, NotAuthenticated
from tradesense.http.authentication import authenticate, known_principal
from tradesense.http.versions import HEADER, demanded_freshness

P = ParamSpec("P")
T = TypeVar("T")

_HEADER: Final = HEADER.lower().encode()
_HOT: Final = "authenticated"
TTL: Final = timedelta(minutes=10)
"""How long an answer is kept that no write makes worthless."""


def kept(name: str, *, tags: Tags = ()) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Keep a user's own answers, under `name`, until a write of theirs or the next day makes them worthless.

    The endpoint asks for `DataVersion`, so that no answer is older than the user's data. `tags` as of `cache_response`.
    """
    keep = cache_response(TTL, name, user_aware=True, tags=tags, version=demanded_freshness, unkeyed=[HEADER], hot=_HOT)
    return cast("Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]", keep)


async def identify(scope: Scope) -> Asking | None:
    """Who asks, for the hot path; None leaves it to the endpoint to refuse."""
    try:
        return (await authenticate(HTTPConnection(scope))).user_id
    except (NotAuthenticated, Forbidden):
        return None


def version_of(scope: Scope, _asking: Asking | None) -> int | None:
    """What the answer must be computed from, for the hot path; None leaves it to the endpoint."""
    principal = known_principal(scope)
    if principal is None:
        return None
    asked = next((value for name, value in scope["headers"] if name == _HEADER), b"0")
    return principal.freshness if asked.isdigit() and int(asked) <= principal.data_version else None
