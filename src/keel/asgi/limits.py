"""Holds requests to the rules of `keel.limits`, before anything is done for them.

Every answer says where its asker stands, by draft-ietf-httpapi-ratelimit-headers-10: `RateLimit-Policy` and
`RateLimit`. What is refused is answered 429 with `Retry-After` and a problem document (RFC 9457).
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from math import ceil
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keel.asgi.addresses import counted_as
from keel.current import current
from keel.errors import Refusal
from keel.ratelimit.asking import Asker, Asking, asking
from keel.ratelimit.contract import SECOND_US, Decision, Limit, LimitExceeded, LimitsUnavailable, Verdict
from keel.ratelimit.limiter import RateLimits
from keel.ratelimit.rules import UNKNOWN

Identify = Callable[[Scope], Awaitable[Asker | None]]
"""Who asks; None where nobody is known to."""
Template = Callable[[Scope], str | None]
"""The template of the route that a request is for; None where there is none."""
Exempt = Callable[[Scope], bool]
"""Whether a request is the program's own."""
Refuse = Callable[[Scope, Refusal], ASGIApp]
"""How a refusal is answered in the application's own form, be it of a request or of a WebSocket's handshake."""

QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_DENIED: Final = "websocket.http.response"
_TRY_AGAIN_LATER: Final = 1013


class RateLimiting:
    """The middleware. It stands outside of whatever costs something, within what says who is connected."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        identify: Identify | None = None,
        template: Template | None = None,
        exempt: Exempt | None = None,
        refuse: Refuse | None = None,
    ) -> None:
        self._app = app
        self._identify = identify
        self._template = template or _no_template
        self._exempt = exempt
        self._refuse = refuse or _problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Charge the request, and pass it on or refuse it."""
        if scope["type"] == "lifespan" or (self._exempt is not None and self._exempt(scope)):
            await self._app(scope, receive, send)
            return
        limiter, template = current().limits, self._template(scope)
        method = scope.get("method", "GET")
        with asking(Asking(_address(scope))) as request:
            if limiter.rules.covers(method, template or UNKNOWN):
                if self._identify is not None:
                    request.asker = await self._identify(scope)
                charges = limiter.rules.charges(method, template or UNKNOWN, request)
                refusal = await _refused(limiter.enforce(*charges))
                if refusal is not None:
                    await self._answer(scope, receive, send, request, refusal)
                    return
            await self._pass(limiter, scope, receive, send, request)

    async def _pass(self, limiter: RateLimits, scope: Scope, receive: Receive, send: Send, request: Asking) -> None:
        charged = tuple(request.decisions)
        try:
            await self._app(scope, receive, _telling(send, request.decisions))
        finally:
            for decision in charged:
                if decision.token:
                    await limiter.leave(decision)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, request: Asking, refusal: Refusal) -> None:
        if scope["type"] == "http" or _DENIED in scope.get("extensions", {}):
            await self._refuse(scope, refusal)(scope, receive, _telling(send, request.decisions))
        else:
            await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": refusal.detail})


async def _refused(enforcing: Awaitable[object]) -> Refusal | None:
    try:
        await enforcing
    except (LimitExceeded, LimitsUnavailable) as refusal:
        return refusal
    return None


def _address(scope: Scope) -> str:
    peer = scope.get("client")
    return counted_address(peer[0]) if peer else ""


counted_address: Final = lru_cache(maxsize=4096)(counted_as)
"""Under which name an address is counted."""


def _no_template(_scope: Scope) -> str | None:
    return None


def _problem(_scope: Scope, refusal: Refusal) -> ASGIApp:
    """A problem document of the draft's kind."""
    status = 429 if isinstance(refusal, LimitExceeded) else 503
    document: dict[str, object] = {"title": "Too Many Requests", "status": status, "detail": refusal.detail}
    if isinstance(refusal, LimitExceeded):
        violated = [each.limit.name for part in refusal.decisions.parts for each in part.refusing]
        document |= {"type": QUOTA_EXCEEDED, "violated-policies": violated}
    else:
        document["title"] = "Service Unavailable"
    wait = 1 if refusal.retry_after is None else ceil(refusal.retry_after.total_seconds())
    return Response(json.dumps(document), status, {"Retry-After": str(wait)}, "application/problem+json")


# Headers


def _telling(send: Send, decisions: Sequence[Decision]) -> Send:
    """A send that adds the headers, of all that has been decided when the answer begins."""

    async def telling(message: Message) -> None:
        if decisions and message["type"] in {"http.response.start", f"{_DENIED}.start"}:
            policies, standing = told(each for decision in decisions for each in decision.verdicts)
            if policies:
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"], headers["RateLimit"] = policies, standing
        await send(message)

    return telling


def told(verdicts: Iterable[Verdict]) -> tuple[str, str]:
    """`RateLimit-Policy` and `RateLimit`, as lists of structured fields (RFC 9651); shadows are not mentioned."""
    policies, standing, remaining = templates(verdicts)
    return policies, standing % remaining


def templates(verdicts: Iterable[Verdict]) -> tuple[str, str, tuple[int, ...]]:
    """What `told` gives, but how many remain apart: for who tells the same again of others."""
    policies, standing, remaining, names = [], [], [], set[str]()
    for each in verdicts:
        limit = each.limit
        if limit.shadow:
            continue
        name, policy = _policy(limit)
        if name in names:
            name = f"{name}-{limit.period_us // SECOND_US}"
        names.add(name)
        policies.append(f'"{name}"{policy}')
        until = "" if limit.is_held else f";t={-(-each.reset_us // SECOND_US)}"
        standing.append(f'"{name}";r=%d{until}')
        remaining.append(each.remaining)
    return ", ".join(policies), ", ".join(standing), tuple(remaining)


@lru_cache(maxsize=4096)
def _policy(limit: Limit) -> tuple[str, str]:
    if limit.is_held:
        return limit.name, f';q={limit.count};qu="concurrent-requests"'
    if limit.period_us < SECOND_US:
        return limit.name, f";q={limit.count * SECOND_US // limit.period_us};w=1"
    return limit.name, f";q={limit.count};w={round(limit.period_us / SECOND_US)}"
