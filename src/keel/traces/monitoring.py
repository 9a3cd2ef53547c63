"""`monitor_performance`: a function each call of which is a span."""

import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from functools import wraps
from typing import Any, Final, TypeVar, cast, overload

from keel.context import Doing, doing
from keel.traces.spans import Span

F = TypeVar("F", bound=Callable[..., Any])
_NAME: Final = "code.function.name"


@overload
def monitor_performance(name: F) -> F: ...
@overload
def monitor_performance(name: str | None = None) -> Callable[[F], F]: ...
def monitor_performance(name: "str | F | None" = None) -> "F | Callable[[F], F]":
    """Record each call as a span under `name`, else under the function's own.

    For functions, async functions, and generators of both kinds: of those a span lasts from the first step to the last,
    and what their consumer does between steps is no part of it.
    """
    if name is None or isinstance(name, str):
        return lambda function: _monitored(function, name)
    return _monitored(name, None)


def _monitored(function: F, name: str | None) -> F:
    called = name or function.__qualname__
    attributes = {_NAME: f"{function.__module__}.{function.__qualname__}"}
    if inspect.iscoroutinefunction(function):
        wrapper = _awaited(function, called, attributes)
    elif inspect.isasyncgenfunction(function):
        wrapper = _iterated(function, called, attributes)
    elif inspect.isgeneratorfunction(function):
        wrapper = _stepped(function, called, attributes)
    else:
        wrapper = _called(function, called, attributes)
    return cast("F", wraps(function)(wrapper))


def _called(function: Callable[..., Any], name: str, attributes: dict[str, Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of the function
        with Span(name, "internal", attributes):
            return function(*args, **kwargs)

    return wrapper


def _awaited(function: Callable[..., Any], name: str, attributes: dict[str, Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of the function
        with Span(name, "internal", attributes):
            return await function(*args, **kwargs)

    return wrapper


class _Steps:
    """The span of a generator: current during a step with whatever is open within it, and not between steps."""

    __slots__ = ("_inner", "_outer", "_span")

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        self._span = Span(name, "internal", attributes)
        self._inner: Doing | None = None
        self._outer: Doing | None = None

    def __enter__(self) -> None:
        self._outer = doing.get()
        if self._inner is not None:
            doing.set(self._inner)
        elif self._span.begin():
            doing.set(self._span)

    def __exit__(self, *_: object) -> None:
        now = doing.get()
        self._inner = None if now is self._outer else now
        doing.set(self._outer)

    def end(self, error: BaseException | None) -> None:
        self._span.end(error)


def _stepped(function: Callable[..., Any], name: str, attributes: dict[str, Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:  # noqa: ANN401 - those of the function
        generator, steps = function(*args, **kwargs), _Steps(name, attributes)
        step, given = generator.send, None
        try:
            while True:
                with steps:
                    made = step(given)
                try:
                    step, given = generator.send, (yield made)
                except GeneratorExit:
                    with steps:
                        generator.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - the generator's own affair
                    step, given = generator.throw, thrown
        except StopIteration as over:
            steps.end(None)
            return over.value
        except BaseException as error:
            steps.end(error)
            raise

    return wrapper


def _iterated(function: Callable[..., Any], name: str, attributes: dict[str, Any]) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:  # noqa: ANN401 - those of the function
        generator, steps = function(*args, **kwargs), _Steps(name, attributes)
        step, given = generator.asend, None
        try:
            while True:
                with steps:
                    made = await step(given)
                try:
                    step, given = generator.asend, (yield made)
                except GeneratorExit:
                    with steps:
                        await generator.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - the generator's own affair
                    step, given = generator.athrow, thrown
        except StopAsyncIteration:
            steps.end(None)
        except BaseException as error:
            steps.end(error)
            raise

    return wrapper
