"""Endpoints whose answers are kept: the key of a request, the answer on a hit, and what is stored on a miss.

A request is known by what it asks, not by the arguments that were made of it: path, query, declared headers and
cookies, and the user. So what a dependency reads of it counts, too, and the key can be told before routing.
"""

import weakref
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import parse_qsl

import msgspec
from starlette.background import BackgroundTask
from starlette.requests import Request, cookie_parser
from starlette.responses import Response
from starlette.types import Scope

from keel.cache import rendering
from keel.cache.calls import Call
from keel.cache.canonical import canonical_all, digest
from keel.cache.codec import Codec, codec_for
from keel.cache.contract import Event, Loading
from keel.cache.flights import Ask, Manner
from keel.cache.hybrid import HybridCache
from keel.cache.memory import Entry
from keel.cache.rendering import Inputs
from keel.cache.stored import Answer, Policy, StoredResponse, answer, stored
from keel.current import current

HOT: Final = "keel.hot"
"""Where in a scope the hot path's own list of endpoints is, if there is a hot path."""
_CREDENTIALS: Final = (b"authorization", b"cookie")
_KEPT: Final = frozenset({"GET", "HEAD"})
_OK: Final = 200


class Access(StrEnum):
    """Who may have an answer: rules that can be decided before routing."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"


class Learn(Protocol):
    """Is told by endpoints on which exact path they are."""

    def __call__(self, path: str, known: "Known") -> None:
        """Answer this path ahead of routing from now on."""


@dataclass(frozen=True, slots=True)
class HttpTerms:
    """On which terms answers are kept; see `cache_response`."""

    vary: tuple[str, ...] = ()
    unkeyed: tuple[str, ...] = ()
    query: tuple[str, ...] | None = None
    cache_control: str | None = None
    hot: Access | None = None


class Endpoint:
    """A function as an endpoint; `wrapper` is what the routes know it by."""

    def __init__(self, call: Call, terms: HttpTerms) -> None:
        if terms.hot is Access.PUBLIC and call.terms.user_aware:
            raise ValueError("an answer that is a user's own is not public: hot='authenticated'")
        self.call = call
        self.terms = terms
        self.codec: Codec = codec_for(StoredResponse)
        self.manner = Manner(call.options, self.codec, call.terms.user_aware)
        self._known: dict[int, Known] = {}
        self._response_name = call.parameters.find(Response)

    # Being asked

    async def __call__(
        self, request: Request, injected: Response | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:  # noqa: ANN401 - an Answer, or whatever the function returns where nothing is kept
        """Answer a request, with the arguments that were made of it."""
        call, scope = self.call, request.scope
        arguments = call.parameters.bind(args, kwargs)
        injected = injected or kwargs.get(self._response_name or "")
        user = call.user(arguments) if call.terms.user_aware else None
        if scope["method"] not in _KEPT or _has_status(injected) or (user is None and call.terms.user_aware):
            return await call.function(*args, **kwargs)
        known = self.known(scope)
        key, cache = known.key(scope, user), current().cache
        entry = cache.peek(key, None if call.version is None else call.version())
        if entry is not None:
            return known.hit(entry, scope, injected)
        if scope["method"] == "HEAD":  # what a function makes for it may have no body, and a GET must not get that
            return await call.function(*args, **kwargs)
        return await _Miss(self, known, request, injected, args, kwargs).answer(cache, key)

    def known(self, scope: Scope) -> "Known":
        """What is known of the endpoint on the route by which it was reached."""
        route = rendering.route_of(scope)
        known = self._known.get(id(route))
        if known is None:
            known = self._known[id(route)] = Known(self, route)
            weakref.finalize(route, self._known.pop, id(route)).atexit = False  # functions outlive an application
        learn: Learn | None = scope.get(HOT)
        if learn is not None and self.terms.hot is not None and not scope.get("path_params"):
            learn(scope["path"], known)
        return known

    def with_own_response(self, kwargs: dict[str, Any]) -> tuple[dict[str, Any], Response | None]:
        """The arguments with a Response of the function's own, if it wants one: what it says there is to be stored."""
        if self._response_name is None:
            return kwargs, None
        own = Response()
        del own.headers["content-length"]
        own.status_code = None  # type: ignore[assignment] # as FastAPI hands it out: nothing was said yet
        return {**kwargs, self._response_name: own}, own


def _has_status(injected: Response | None) -> bool:
    """Whether a dependency has chosen another status already."""
    return injected is not None and injected.status_code not in {None, _OK}


class Known:
    """An endpoint on one route: what its keys are made of, and how it is answered for."""

    def __init__(self, endpoint: Endpoint, route: object) -> None:
        call, terms = endpoint.call, endpoint.terms
        self.endpoint = endpoint
        self.user_aware = call.terms.user_aware
        self.access = terms.hot
        self.versioned = call.version is not None
        inputs = rendering.inputs_of(route, own_credentials=self.user_aware)
        declared = [each for each in inputs.headers if each not in {_name(other) for other in terms.unkeyed}]
        headers = dict.fromkeys((*map(_name, terms.vary), *declared))
        self._inputs = Inputs(
            inputs.query if terms.query is None else frozenset(terms.query), tuple(headers), inputs.cookies
        )
        self.is_own = self.user_aware and self.access is Access.AUTHENTICATED and terms.cache_control is None
        """Whether answers are a user's own, and may be sent ahead of routing to whoever is known."""
        self.is_of_query_alone = not headers and not inputs.cookies
        """Whether keys are made of nothing but path, query and user."""
        varies = dict.fromkeys((*headers, *(_CREDENTIALS if self.user_aware else ())))
        if inputs.cookies:
            varies[b"cookie"] = None
        self.policy = Policy(
            call.options.ttl,
            self.user_aware,
            tuple(varies),
            None if terms.cache_control is None else terms.cache_control.encode("latin-1"),
        )
        self._seed = canonical_all((call.name, endpoint.codec.fingerprint, rendering.fingerprint(route, call.function)))

    def key(self, scope: Scope, user: str | None) -> str:
        """The key of a request: the same before routing and within."""
        inputs = self._inputs
        parts: list[object] = [scope["path"], query(scope["query_string"], inputs.query)]
        if inputs.headers:
            parts.append([_sent(scope, name) for name in inputs.headers])
        if inputs.cookies:
            cookies: dict[str, str] = {}
            for each in _sent(scope, b"cookie"):
                cookies |= cookie_parser(each.decode("latin-1"))
            parts.append([cookies.get(name) for name in inputs.cookies])
        hashed = digest(self._seed + canonical_all(parts))
        prefix = self.endpoint.call.prefix
        return f"{prefix}{hashed}" if user is None else f"{prefix}user_{user}:{hashed}"

    def hit(self, entry: Entry, scope: Scope, injected: Response | None = None) -> Answer:
        """The answer to a request whose entry is in memory."""
        entry.group.memory_hits += 1
        return with_injected(answer(entry.value, self.policy, scope, Event.HIT), entry.value, injected)


def query(string: bytes, names: frozenset[str] | None) -> list[tuple[str, str]]:
    """The parameters that count (None: all), sorted by name; those of one name stay in their order."""
    if not string:
        return []
    pairs = parse_qsl(string.decode("latin-1"), keep_blank_values=True)
    return sorted((each for each in pairs if names is None or each[0] in names), key=_first)


def _name(header: str) -> bytes:
    return header.lower().encode("latin-1")


def _first(pair: tuple[str, str]) -> str:
    return pair[0]


def _sent(scope: Scope, name: bytes) -> list[bytes]:
    """A header as often as it was sent: an endpoint can tell none from an empty one, and two from one with a comma."""
    return [value for each, value in scope["headers"] if each == name]


def with_injected(sent: Answer, stored_: StoredResponse, injected: Response | None) -> Answer:
    """The answer with the headers that this request's dependencies have set, where FastAPI would add them."""
    if injected is not None and stored_.takes_injected and injected.raw_headers:
        sent.raw_headers = [*sent.raw_headers, *injected.raw_headers]
    return sent


class _Miss:
    """One request that memory cannot answer."""

    def __init__(
        self,
        endpoint: Endpoint,
        known: Known,
        request: Request,
        injected: Response | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._endpoint = endpoint
        self._known = known
        self._request = request
        self._injected = injected
        self._args = args
        self._kwargs = kwargs
        self._background: BackgroundTask | None = None

    async def answer(self, cache: HybridCache, key: str) -> Any:  # noqa: ANN401 - see Endpoint
        """The stored answer, or one that is for this request alone."""
        call = self._endpoint.call
        tags = call.tags(self._args, self._kwargs, _call_tag(call, self._args, self._kwargs))
        version = None if call.version is None else call.version()
        ask = Ask(cache.known(key, tags), self._endpoint.manner, self._load, version, monotonic())
        found = await self._resolved(cache, ask)
        if isinstance(found, StoredResponse):
            sent = answer(found, self._known.policy, self._request.scope, ask.outcome)
            sent.background = self._background
            return with_injected(sent, found, self._injected)
        if found.owner is self:
            return self._mine(found)
        return await call.function(*self._args, **self._kwargs)

    async def _resolved(self, cache: HybridCache, ask: Ask) -> Any:  # noqa: ANN401 - StoredResponse or _Unstored
        """What was injected is closed with the request, which therefore outlasts what it has begun to compute."""
        try:
            return await cache.resolve(ask)
        finally:
            if self._endpoint.call.parameters.has_injected:
                await cache.ended(ask)

    async def _load(self, loading: Loading) -> "StoredResponse | _Unstored":
        made_version = self._endpoint.call.terms.made_version
        loading.version = loading.version if made_version is None else made_version()
        kwargs, own = self._endpoint.with_own_response(self._kwargs)
        made = await self._endpoint.call.function(*self._args, **kwargs)
        route = rendering.route_of(self._request.scope)
        response = None if _has_status(own) else await rendering.rendered(made, self._request, route, own)
        kept = stored(response, self._known.policy) if isinstance(response, Response) else None
        if kept is None:
            loading.store = False
            return _Unstored(self, made, own)
        if made is response:
            self._background = response.background
            return msgspec.structs.replace(kept, takes_injected=False)
        return kept

    def _mine(self, found: "_Unstored") -> Any:  # noqa: ANN401 - see Endpoint
        """What the function has returned, with what it has said of it where FastAPI looks for that."""
        if found.own is not None and self._injected is not None:
            self._injected.status_code = found.own.status_code or self._injected.status_code
            self._injected.raw_headers.extend(found.own.raw_headers)
        return found.value


class _Unstored(NamedTuple):
    """What is for nobody but the request that had it made; `own` is the Response that the function was handed."""

    owner: _Miss
    value: Any
    own: Response | None


def _call_tag(call: Call, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[str, ...]:
    """The key that a plain call would have, as a tag, so that `invalidate` finds what the endpoint has answered."""
    with suppress(TypeError):  # arguments that have no key have no such tag, either
        return (call.certain_key(args, kwargs),)
    return ()
