"""The version of a user's data: writes say which one they made, and a read that carries it back is never older."""

from collections.abc import Collection
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends, Header
from sqlalchemy import update
from starlette.requests import HTTPConnection
from starlette.responses import Response

from keel.errors import Stale
from tradesense.db import outbox
from tradesense.db.engine import WriteConnection
from tradesense.db.tables import users
from tradesense.db.writes import Touches
from tradesense.http import freshness
from tradesense.http.authentication import VERSION_HEADER, CurrentUser, UserId
from tradesense.http.types import INT64_MAX

HEADER: Final = VERSION_HEADER


class VersionAhead(Stale):
    """The data is older than the version that the request asks for."""

    def __init__(self) -> None:
        super().__init__(f"There is no such version of your data yet; leave {HEADER} out.")


def put_data_version(response: Response, version: int) -> None:
    """Say which version of the user's data a write has made."""
    response.headers[HEADER] = str(version)


async def raise_data_version(
    connection: WriteConnection,
    user: UserId,
    accounts: Collection[UUID] | None = None,
    touches: Touches = Touches.LEDGER,
) -> int:
    """Count a write of the user's data, in its own transaction, and return the version that it makes.

    It leaves a row in the outbox, and once it is committed, copies of what the user saw before are thrown away, as far
    as it `touches` them. `accounts` are those that it concerns; None is all of them.
    """
    version = users.c.data_version + 1
    values = {"data_version": version}
    if touches is not Touches.NOTES:
        values[f"{touches}_version"] = version
    raised = update(users).where(users.c.id == user).values(values)
    made = (await connection.execute(raised.returning(users.c.data_version))).scalar_one()
    await outbox.record(connection, user, made, accounts, touches)
    return made


async def _data_version(
    connection: HTTPConnection,
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
    freshness.demand(connection.scope, user, x_data_version or 0)
    return user.data_version


DataVersion = Annotated[int, Depends(_data_version)]
"""The parameter of a read of the user's data: its version, no older than what the request asked for."""
