"""Who asks: a session's token, as a bearer token or in a cookie, and what keeps other sites from using the cookie."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Annotated, Final, NewType, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from keel.context import act_as
from keel.errors import Forbidden, NotAuthenticated
from tradesense.http.state import part

UserId = NewType("UserId", UUID)

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
VERSION_HEADER: Final = "X-Data-Version"
_VERSION: Final = b"x-data-version"
BEARER: Final = "bearer"
_LONGEST_TOKEN: Final = 256
_LONGEST_VERSION: Final = 19
_MEMO: Final = "tradesense.principal"


class LoginRequired(NotAuthenticated):
    """No session token came with the request."""

    def __init__(self) -> None:
        super().__init__("Log in, and send the session's token as a bearer token or in the session cookie.")


class CrossSiteRequest(Forbidden):
    """A page of another site tried to act with the session cookie."""

    def __init__(self) -> None:
        super().__init__("This request comes from another site; the session cookie does not count for it.")


class KeyOnlyReads(Forbidden):
    """The API key may read, and nothing else."""

    def __init__(self) -> None:
        super().__init__("This API key may read only; make one of the scope write.")


class SessionRequired(Forbidden):
    """An API key cannot do this; it takes somebody who is logged in."""

    def __init__(self) -> None:
        super().__init__("No API key can do this; log in.")


class AdminRequired(Forbidden):
    """Only an administrator may do this."""

    def __init__(self) -> None:
        super().__init__("Only an administrator may do this.")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, through which session or API key. `data_version` is the version of their data as it is known."""

    user_id: UserId
    session_id: str
    token: str = field(repr=False)
    email: str
    is_admin: bool
    timezone: str
    currency: str
    data_version: int
    ledger_version: int = 0
    labels_version: int = 0
    """The versions that the last writes have made which touched these; see `db.writes.Touches`."""
    day: int = 0
    """The day it is in their time zone, counted from the year 1."""
    by_cookie: bool = False
    key_id: str = ""
    only_reads: bool = False

    @property
    def subject(self) -> str:
        """Who is counted and held to account: the user, or each of their API keys by itself."""
        return f"key:{self.key_id}" if self.key_id else f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The cookie that carries the token. Over https its name binds it to this host (RFC 6265bis, `__Host-`)."""

    https: bool
    lifetime: timedelta

    @property
    def name(self) -> str:
        """What the cookie is called."""
        return "__Host-tradesense" if self.https else "tradesense"

    def put(self, response: Response, token: str) -> None:
        """Let the browser keep `token`."""
        seconds = int(self.lifetime.total_seconds())
        response.set_cookie(self.name, token, max_age=seconds, secure=self.https, httponly=True, samesite="lax")

    def take_back(self, response: Response) -> None:
        """Let the browser forget the token."""
        response.delete_cookie(self.name, secure=self.https, httponly=True, samesite="lax")

    def find(self, connection: HTTPConnection) -> str | None:
        """The token in the request's cookies."""
        return cookie_parser(connection.headers.get("cookie", "")).get(self.name)


@dataclass(frozen=True, slots=True)
class TrustedOrigins:
    """The origins whose pages may act for a user: our own and those that CORS allows."""

    origins: frozenset[str]

    def refuse_others(self, connection: HTTPConnection) -> None:
        """Raise `CrossSiteRequest` for a request that a page of another site has sent and that may change something.

        A browser says where a request comes from in `Sec-Fetch-Site`, older ones in `Origin` (Fetch standard); what
        says neither is no browser, and has no cookies of another's.
        """
        if connection.scope.get("method") in SAFE_METHODS:
            return
        if connection.headers.get("sec-fetch-site") in {"same-origin", "none"}:
            return
        origin = connection.headers.get("origin")
        came_from_page = origin is not None or "sec-fetch-site" in connection.headers
        if came_from_page and origin not in self.origins and not _same_host(origin, connection):
            raise CrossSiteRequest


def _same_host(origin: str | None, connection: HTTPConnection) -> bool:
    if origin is None or "sec-fetch-site" in connection.headers:
        return False
    return urlsplit(origin).netloc == connection.headers.get("host")


class Identify(Protocol):
    """Finds the principal of a token."""

    async def __call__(self, token: str, at_least: int = 0) -> Principal:
        """Who holds it, as of `at_least` this version of their data if there is one; raises `NotAuthenticated`."""


Known = Callable[[], Principal | None]
"""Says who holds a token each time that it is asked, but for the token, where memory knows all about them; else None.

It is the same object for as long as nothing about them has changed.
"""


class Glance(Protocol):
    """Finds the principal of a token where memory knows all about them."""

    def __call__(self, token: str, at_least: int = 0) -> Known:
        """What says who holds it."""


def _nobody(token: str, at_least: int = 0) -> Known:  # noqa: ARG001 - a Glance
    return lambda: None


@dataclass(frozen=True, slots=True)
class Authentication:
    """What is needed to know who asks."""

    identify: Identify
    session_cookie: SessionCookie
    origins: TrustedOrigins
    glance: Glance = _nobody

    def known(self, given: Mapping[bytes, bytes]) -> Known | None:
        """What says who asks by these headers for something that changes nothing; None says nothing."""
        authorization = given.get(b"authorization")
        if authorization is not None:
            scheme, _, word = authorization.partition(b" ")
            token = word.strip().decode("latin-1") if scheme.lower() == b"bearer" else None
        else:
            token = cookie_parser(given.get(b"cookie", b"").decode("latin-1")).get(self.session_cookie.name)
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        known = self.glance(token, read_version(given.get(_VERSION, b"")))
        return known if authorization is not None else partial(_without_key, known)

    async def principal(self, connection: HTTPConnection) -> Principal:
        """Who asks; raises `NotAuthenticated`, and `Forbidden` for another site's page that uses the cookie."""
        token, at_least = bearer_token(connection), _carried_version(connection)
        if token is not None:
            return _within_scope(await self._known(token, at_least), connection)
        principal = await self._known(self.session_cookie.find(connection), at_least)
        if principal.key_id:
            raise LoginRequired
        self.origins.refuse_others(connection)
        return replace(principal, by_cookie=True)

    async def _known(self, token: str | None, at_least: int) -> Principal:
        if not token or len(token) > _LONGEST_TOKEN:
            raise LoginRequired
        return await self.identify(token, at_least)


def _without_key(known: Known) -> Principal | None:
    """Who comes by the cookie, which no key is for."""
    principal = known()
    return None if principal is None or principal.key_id else principal


def _within_scope(principal: Principal, connection: HTTPConnection) -> Principal:
    if principal.only_reads and connection.scope.get("method", "GET") not in SAFE_METHODS:
        raise KeyOnlyReads
    return principal


def bearer_token(connection: HTTPConnection) -> str | None:
    """The token of the `Authorization` header; empty where the header has another scheme.

    Browsers set no headers of a WebSocket: there it may be offered as the subprotocol after `bearer`.
    """
    given = connection.headers.get("authorization")
    if given is None:
        offered = connection.scope.get("subprotocols", [])
        return "".join(offered[offered.index(BEARER) + 1 :][:1]) if BEARER in offered else None
    scheme, _, token = given.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _carried_version(connection: HTTPConnection) -> int:
    """The version of the user's data that the request has seen; what cannot be read is refused by who reads it."""
    return read_version(connection.headers.get(VERSION_HEADER, "").encode("latin-1"))


def read_version(carried: bytes) -> int:
    """The version that a header gives; 0 where it cannot be read."""
    return int(carried) if carried.isdigit() and len(carried) <= _LONGEST_VERSION else 0


async def authenticate(connection: HTTPConnection) -> Principal:
    """Who asks, found once per request."""
    found = known_principal(connection.scope)
    if found is not None:
        return found
    principal = await part(connection, "authentication", Authentication).principal(connection)
    connection.scope[_MEMO] = principal
    act_as(principal.user_id)
    return principal


def known_principal(scope: Scope) -> Principal | None:
    """Who asks, where that has been found already."""
    found = scope.get(_MEMO)
    return found if isinstance(found, Principal) else None


def known_at_once(scope: Scope, given: Mapping[bytes, bytes]) -> Known | None:
    """What says who asks for something that changes nothing, where memory can tell for certain; None says nothing.

    It leaves no trace in the scope, for who is found there is not asked again.
    """
    authentication: Authentication = scope["state"]["authentication"]
    return authentication.known(given)


def remember(scope: Scope, principal: Principal) -> None:
    """Let a request that this process makes itself be `principal`'s."""
    scope[_MEMO] = principal
    act_as(principal.user_id)


class SessionToken(SecurityBase):
    """The dependency behind `CurrentUser`, which tells OpenAPI about itself."""

    model = HTTPBearer(description="The session's token, as `POST /auth/login` gave it, or an API key.")
    scheme_name = "bearer"

    async def __call__(self, connection: HTTPConnection) -> Principal:
        """Who asks; raises `NotAuthenticated`."""
        return await authenticate(connection)


CurrentUser = Annotated[Principal, Depends(SessionToken())]
"""The parameter of every endpoint that is somebody's."""


async def _signed_in(user: CurrentUser) -> Principal:
    if user.key_id:
        raise SessionRequired
    return user


SignedInUser = Annotated[Principal, Depends(_signed_in)]
"""As `CurrentUser`, for what decides who may come in: an API key is refused."""


async def refuse_other_sites(connection: HTTPConnection) -> None:
    """For endpoints that set the cookie without having it: another site must not log its visitors in as somebody."""
    part(connection, "authentication", Authentication).origins.refuse_others(connection)


async def administrator(user: CurrentUser) -> Principal:
    """Who asks, if they are an administrator; raises `AdminRequired`."""
    if not user.is_admin:
        raise AdminRequired
    return user


Administrator = Annotated[Principal, Depends(administrator)]
"""The parameter of endpoints that are for administrators alone."""
