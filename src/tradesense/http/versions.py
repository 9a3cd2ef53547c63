"""The version of a user's data: writes say which one they made, and a read that carries it back is never older."""

from collections.abc import Collection
from contextvars import ContextVar
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Header
from sqlalchemy import update
from starlette.responses import Response

from keel.errors import Stale
from tradesense.db import outbox
from tradesense.db.engine import WriteConnection
from tradesense.db.tables import users
from tradesense.http.authentication import CurrentUser, UserId
from tradesense.http.types import INT64_MAX

HEADER: Final = "X-Data-Version"
_demanded: Final[ContextVar[int | None]] = ContextVar("demanded", default=None)


def demanded_freshness() -> int | None:
    """What an answer to this request must at least have been computed from; see `Principal.freshness`."""
    return _demanded.get()


class VersionAhead(Stale):
    """The data is older than the version that the request asks for."""

    def __init__(self) -> None:
        super().__init__(f"There is no such version of your data yet; leave {HEADER} out.")


def put_data_version(response: Response, version: int) -> None:
    """Say which version of the user's data a write has made."""
    response.headers[HEADER] = str(version)


async def raise_data_version(
    connection: WriteConnection, user: UserId, accounts: Collection[UUID] | None = None
) -> int:
    """Count a write of the user's data, in its own transaction, and return the version that it makes.

    It leaves a row in the outbox, and once it is committed, copies of what the user saw before are thrown away.
    `accounts` are those that it concerns; None is all of them.
    """
    raised = update(users).where(users.c.id == user).values(data_version=users.c.data_version + 1)
    version = (await connection.execute(raised.returning(users.c.data_version))).scalar_one()
    await outbox.record(connection, user, version, accounts)
    return version


async def _data_version(
    user: CurrentUser,
    x_data_version: Annotated[
        int | None,
        Header(
            description="The version that an earlier write answered with; the answer is never older.",
            ge=0,
            le=INT64_MAX,
            examples=[42],
        ),
    ] = None,
) -> int:
    # The version only rises, and the read that follows sees no less than the one that found the user.
    if x_data_version is not None and x_data_version > user.data_version:
        raise VersionAhead
    _demanded.set(user.freshness)
    return user.data_version


DataVersion = Annotated[int, Depends(_data_version)]
"""The parameter of a read of the user's data: its version, no older than what the request asked for."""
