"""How an endpoint asks for its part of what the lifespan built."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import HTTPConnection

T = TypeVar("T")


def part(connection: HTTPConnection, name: str, kind: type[T]) -> T:
    """`name` of the lifespan's state; raises TypeError where the state has something else under that name."""
    value = connection.scope["state"][name]
    if not isinstance(value, kind):
        raise TypeError(f"state {name} is {type(value).__name__}, not {kind.__name__}")
    return value


def provided(name: str, kind: type[T]) -> Callable[[HTTPConnection], Awaitable[T]]:
    """A dependency that gives `part`: `Annotated[AccountService, Depends(provided("accounts", AccountService))]`."""

    async def dependency(connection: HTTPConnection) -> T:
        return part(connection, name, kind)

    return dependency
