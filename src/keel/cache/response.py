"""`cache_response`: what a function returns, or an endpoint answers, is kept in the cache of the running Keel."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import update_wrapper, wraps
from time import monotonic
from typing import Any, Concatenate, Final, ParamSpec, Protocol, Self, TypeVar, cast, overload

from starlette.requests import Request
from starlette.responses import Response

from keel.cache.calls import Call, Terms, Version
from keel.cache.contract import Load, Options, Seconds, seconds
from keel.cache.endpoints import Access, Endpoint, HttpTerms
from keel.cache.flights import UNANSWERED, Ask, Unclear
from keel.cache.hybrid import AWAY
from keel.cache.signatures import Key, Tags
from keel.current import current

P = ParamSpec("P")
Q = ParamSpec("Q")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

REQUEST: Final = "keel_request"
RESPONSE: Final = "keel_response"
"""Parameters that a decorated function gains beside its own, so that FastAPI hands over what an endpoint needs."""


class Cached(Protocol[P, T_co]):
    """A function whose results are kept."""

    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T_co]:
        """The kept result, or what the function returns."""

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The key of that call; raises NoPrincipal and OtherPrincipal."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the result of that call, or an endpoint's answers to it; for what it returns see `HybridCache`."""

    @property
    def uncached(self) -> Callable[P, Awaitable[T_co]]:
        """The function itself."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self: "Cached[Concatenate[Any, Q], T_co]", instance: object, owner: type) -> "Cached[Q, T_co]": ...


def cache_response(  # noqa: PLR0913 - each option of an entry, by name
    ttl: Seconds,
    key_prefix: str | None = None,
    *,
    user_aware: bool = False,
    tags: Tags = (),
    vary: tuple[str, ...] | list[str] = (),
    unkeyed: tuple[str, ...] | list[str] = (),
    stale_ttl: Seconds = 0,
    key: Key | None = None,
    l1_ttl: Seconds | None = None,
    refresh_at: float | None = None,
    soft_timeout: Seconds | None = None,
    negative_ttl: Seconds | None = None,
    hard_timeout: Seconds | None = 60,
    version: Version | None = None,
    made_version: Version | None = None,
    query: tuple[str, ...] | list[str] | None = None,
    cache_control: str | None = None,
    hot: str | None = None,
) -> Callable[[Callable[P, Awaitable[T]]], Cached[P, T]]:
    """Keep what an async function or method returns, or an endpoint answers, for `ttl` (seconds or a timedelta).

    **The key** is `key_prefix` (the function's own name unless given), `user_{id}` where `user_aware`, and a hash of
    the arguments and of the schema of what is returned. However a call is written, it has one key; `1`, `True`, `1.0`
    and `"1"` have four. What `Depends` injects, Starlette's Request, Response and BackgroundTasks are no part of it;
    nor is the object of a method, save its class and what the class's `__cache_key__` returns. `key` says otherwise: a
    name such as `"trade:{trade_id}"`, or a function of the arguments that returns one word; values in it are escaped.
    It is the whole key then, beneath `key_prefix` if there is one, and the schema stands at its end. Raises TypeError
    for arguments that no key can be made of.

    **`user_aware`** keeps entries per principal (`keel.context`), tagged `user:{id}`. It fails closed: where nobody is
    known to ask, the function is called and nothing is read or written, for its own checks are then all there is to say
    who may have the result; a `user_id` that is not who asks raises OtherPrincipal, for that can only be a mistake.

    **`tags`** are names, with arguments in them (`"account:{account_id}"`), or a function of the arguments that returns
    them. `version` gives the version of the data that results must be computed from, if there is one, and
    `made_version`, on an endpoint, a later one that a result computed now is sure to be made from. For the times see
    `keel.cache.contract.Options`.

    **On an endpoint** of FastAPI or Starlette, GET answers with status 200 are kept as bytes, with an ETag, and `304`
    is answered to who has them. The key is made of path, query parameters that the route and its dependencies declare
    (`query` names them where the endpoint reads its Request itself; for a route of Starlette's all count), declared
    headers (but `unkeyed` ones, which change nothing in the answer) and cookies, `vary` (more request headers, such as
    `host` where the answer has addresses in it) and the user. `cache_control` replaces the header that is worked
    out: `private, max-age=0, must-revalidate` for a user's own answer, else `max-age` with what is left of the ttl,
    `public` unless the request had credentials. `X-Cache` says `hit`, `stale` or `miss`. A request's own
    `Cache-Control` is not obeyed: entries are not stale, and nobody shall have the source asked at will. Answers
    with Set-Cookie or `no-store`, streams and other statuses are not kept.
    HEAD is answered from what GET has kept. A request that begins a computation outlasts it if dependencies are
    injected, as they are closed with the request. `invalidate` takes the arguments, as of a function.

    **`hot`** says that answers may be sent by `keel.asgi.hot_path` before routing, on a path without parameters: to
    anybody (`"public"`) or to whoever is known (`"authenticated"`). No check of the route's own is made for them.

    What is kept in memory is handed out as it is: results must not be changed by who gets them.
    """
    options = Options(
        seconds(ttl),
        seconds(stale_ttl),
        _optional(l1_ttl),
        refresh_at,
        _optional(soft_timeout),
        _optional(negative_ttl),
        _optional(hard_timeout),
    )
    terms = Terms(options, key_prefix, user_aware, tags, key, version, made_version)
    named = None if query is None else tuple(query)
    http = HttpTerms(tuple(vary), tuple(unkeyed), named, cache_control, None if hot is None else Access(hot))

    def decorate(function: Callable[P, Awaitable[T]]) -> Cached[P, T]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is no async function")
        call = Call(function, terms)
        decorated = _Method(call) if call.parameters.receiver else _function(call, http)
        return cast("Cached[P, T]", decorated)

    return decorate


def _optional(duration: Seconds | None) -> float | None:
    return None if duration is None else seconds(duration)


Routed = Callable[[tuple[Any, ...], dict[str, Any]], Awaitable[Any] | None]
"""Takes what was injected out of the arguments; the answer to the request, where the call is one of its route's."""


def _caller(
    call: Call, routed: Routed | None = None, *, always: bool = False
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """How calls are answered: by one coroutine, as a hit takes no longer than a few of them.

    `routed` is asked about calls with keywords, or `always`.
    """
    function, key_of, version, is_untagged = call.function, call.key, call.version, call.is_untagged

    async def cached(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the function's own
        if routed is not None and (kwargs or always) and (answer := routed(args, kwargs)) is not None:
            return await answer
        key = key_of(args, kwargs)
        if key is None:
            return await function(*args, **kwargs)
        cache = current().cache
        wanted = None if version is None else version()
        entry = cache.peek(key, wanted)
        if entry is not None:
            entry.group.memory_hits += 1
            return entry.value
        known, found = cache.known(key, () if is_untagged else call.tags(args, kwargs)), None
        began = monotonic()
        glance = cache.glance(known, call.manner, wanted)
        if glance is not None:
            try:
                found = await glance
            except AWAY:
                found = UNANSWERED
            if type(found) is not Unclear:
                return found
        ask = Ask(known, call.manner, _later(function, args, kwargs), wanted, began)
        return await cache.settle(ask, found)

    return cached


def _later(function: Callable[..., Awaitable[Any]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Load:
    return lambda: function(*args, **kwargs)


async def _invalidate(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    key, cache = call.certain_key(args, kwargs), current().cache
    done = await cache.invalidate(key)
    return await cache.invalidate_tags(key) and done


# Functions


def _function(call: Call, http: HttpTerms) -> Callable[..., Any]:
    """The decorated function: one that FastAPI, Starlette and everybody else takes for what it is."""
    endpoint = Endpoint(call, http)
    name = call.parameters.find(Request) or REQUEST
    at = call.parameters.names.index(name) if name in call.parameters.names else None

    def routed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any] | None:
        request = injected = None
        if at is not None:
            request = args[at] if len(args) > at else kwargs.get(name)
        elif kwargs:
            request = kwargs.pop(REQUEST, None)
        if kwargs:
            injected = kwargs.pop(RESPONSE, None)
        if request is not None and _is_for(request, cached):
            return endpoint(request, injected, args, kwargs)
        return None

    cached = wraps(call.function)(_caller(call, routed, always=at is not None))
    cached.__signature__ = _with_injected(call)  # type: ignore[attr-defined] # inspect looks for it
    return _named(cached, call)


def _named(cached: Any, call: Call) -> Callable[..., Any]:  # noqa: ANN401 - a function that gains attributes
    cached.key = lambda *args, **kwargs: call.certain_key(args, kwargs)
    cached.invalidate = lambda *args, **kwargs: _invalidate(call, args, kwargs)
    cached.uncached = call.function
    named: Callable[..., Any] = cached
    return named


def _is_for(request: object, cached: Callable[..., Any]) -> bool:
    """Whether this is the endpoint of the request: one that is called by it, or injected into it, answers nobody."""
    if not isinstance(request, Request):
        return False
    endpoint = request.scope.get("endpoint")
    return endpoint is cached or (
        endpoint is not None and inspect.unwrap(endpoint, stop=lambda each: each is cached) is cached
    )


def _with_injected(call: Call) -> inspect.Signature:
    """The signature with parameters for the Request and Response that FastAPI is to hand over."""
    signature = call.parameters.signature
    wanted = {REQUEST: Request, RESPONSE: Response}
    added = [_injected(name, kind) for name, kind in wanted.items() if call.parameters.find(kind) is None]
    parameters = list(signature.parameters.values())
    end = len(parameters)
    if parameters and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD:
        end -= 1
    return signature.replace(parameters=[*parameters[:end], *added, *parameters[end:]])


def _injected(name: str, kind: type) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind)


# Methods


class _Method:
    """A decorated method, as its class has it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.answered = _caller(call)
        self.uncached = call.function
        update_wrapper(self, call.function)

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:  # noqa: ANN401 - the method's own
        return self.answered(*args, **kwargs)

    def key(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - the method's own
        return self.call.certain_key(args, kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, bool]:  # noqa: ANN401 - the method's own
        return _invalidate(self.call, args, kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> "_Method | _Bound":
        return self if instance is None else _Bound(self, instance)


class _Bound:
    """A decorated method of one object."""

    __slots__ = ("__self__", "_method")

    def __init__(self, method: _Method, instance: object) -> None:
        self._method = method
        self.__self__ = instance

    def __call__(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:  # noqa: ANN401 - the method's own
        return self._method.answered(self.__self__, *args, **kwargs)

    def key(self, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - the method's own
        return self._method.call.certain_key((self.__self__, *args), kwargs)

    def invalidate(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, bool]:  # noqa: ANN401 - the method's own
        return _invalidate(self._method.call, (self.__self__, *args), kwargs)

    @property
    def uncached(self) -> Callable[..., Any]:
        bound: Callable[..., Any] = self._method.uncached.__get__(self.__self__)
        return bound
