"""Answers that are kept: on what terms, and how they are found before a request is routed."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final, ParamSpec, TypeVar, cast

from starlette.requests import HTTPConnection
from starlette.types import Scope

from keel import cache_response
from keel.context import Principal as Asking
from keel.errors import Forbidden, NotAuthenticated
from tradesense.http import freshness
from tradesense.http.authentication import Principal, authenticate, known_principal
from tradesense.http.types import INT64_MAX
from tradesense.http.versions import HEADER

P = ParamSpec("P")
T = TypeVar("T")

_HEADER: Final = HEADER.lower().encode()
_HOT: Final = "authenticated"
_MOST_DIGITS: Final = len(str(INT64_MAX))
TTL: Final = timedelta(minutes=10)
"""How long an answer is kept that no write makes worthless."""


Accounts = Callable[..., Iterable[str]]
"""Gives the tags of the accounts that an answer is narrowed to, from the endpoint's arguments."""


def kept(name: str, accounts: Accounts) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Keep a user's own answers, under `name`, until a write that touches them or the next day makes them worthless.

    The endpoint asks for `DataVersion`, so that no answer is older than what it shows.
    """
    keep = cache_response(
        TTL,
        name,
        user_aware=True,
        tags=lambda *args, **kwargs: (*accounts(*args, **kwargs), *freshness.tags()),
        version=freshness.demanded,
        made_version=freshness.made,
        unkeyed=[HEADER],
        hot=_HOT,
    )
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
    carried = next((value for name, value in scope["headers"] if name == _HEADER), b"0")
    return _version(scope, principal, carried)


def version_for(scope: Scope, given: Mapping[bytes, bytes], principal: Principal) -> int | None:
    """As `version_of`, for whoever that is, by the headers that were given."""
    return _version(scope, principal, given.get(_HEADER, b"0"))


def _version(scope: Scope, principal: Principal, carried: bytes) -> int | None:
    if not carried.isdigit() or len(carried) > _MOST_DIGITS or int(carried) > principal.data_version:
        return None
    return freshness.demanded_of(scope, principal, int(carried))
