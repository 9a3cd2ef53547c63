"""`check_rate_limit` and `@rate_limit`: limits of the running Keel, by name."""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

from keel.context import current_principal
from keel.current import current
from keel.ratelimit.asking import current_asking
from keel.ratelimit.contract import SECOND_US, Algorithm, Limit
from keel.ratelimit.limiter import given

P = ParamSpec("P")
T = TypeVar("T")


class NobodyAsks(RuntimeError):
    """A limit per user met a call of which nobody knows who makes it."""

    def __init__(self, function: str) -> None:
        super().__init__(f"{function} is limited per user, and nobody is known to ask; see keel.context.principal")


async def check_rate_limit(
    key: str, limit: int, window: float, *, cost: int = 1, algorithm: Algorithm | str = Algorithm.GCRA
) -> tuple[bool, int]:
    """Charge `key`, of which `limit` are admitted in `window` seconds; whether it is admitted, and how many still are.

        allowed, remaining = await check_rate_limit(f"api:{user_id}", 100, 60)

    By default up to `limit` at once, and then evenly: `limit` per window. For other terms see `keel.limits.check`.
    """
    decision = await current().limits.check(key, _limit(limit, window, Algorithm(algorithm)), cost=cost)
    return decision.allowed, decision.remaining


@lru_cache(maxsize=4096)
def _limit(count: int, window: float, algorithm: Algorithm) -> Limit:
    return Limit(count, round(window * 1000) * (SECOND_US // 1000), algorithm)


def rate_limit(
    *limits: Limit | str, key: str | Callable[..., str] | None = None, cost: int = 1
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Coroutine[Any, Any, T]]]:
    """Call an async function, or an endpoint, no more often than `limits` admit; else raise LimitExceeded.

        @rate_limit("10/min burst 3", key="export:{account_id}")
        async def export(account_id: UUID) -> bytes: ...

    `key` says who is counted: a text with arguments in it, or a function of the arguments. Without it that is who asks
    (`keel.context.principal`), else the address that a request comes from; where neither is known, NobodyAsks is
    raised. Each function counts for itself. A concurrency is held until the call is over.
    """
    wanted = given(limits)

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"{function!r} is no async function")
        name = f"{function.__module__}.{function.__qualname__}"
        signature = inspect.signature(function)

        @wraps(function)
        async def limited(*args: P.args, **kwargs: P.kwargs) -> T:
            subject = f"{name}:{_subject(name, key, signature, args, kwargs)}"
            limiter = current().limits
            if any(limit.is_held for limit in wanted):
                async with limiter.hold(subject, wanted, cost=cost):
                    return await function(*args, **kwargs)
            await limiter.enforce((subject, wanted), cost=cost)
            return await function(*args, **kwargs)

        return limited

    return decorate


def _subject(
    name: str,
    key: str | Callable[..., str] | None,
    signature: inspect.Signature,
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> str:
    if key is None:
        return _whoever_asks(name)
    if callable(key):
        return key(*args, **kwargs)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return key.format_map({word: _escaped(value) for word, value in bound.arguments.items()})


def _whoever_asks(name: str) -> str:
    principal, request = current_principal(), current_asking()
    if principal is not None:
        return f"user:{principal}"
    if request is not None:
        return request.subject
    raise NobodyAsks(name)


def _escaped(value: object) -> str:
    """A value as it cannot be taken for more than one word of a key."""
    return str(value).replace("%", "%25").replace(":", "%3A")
