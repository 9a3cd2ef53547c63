"""Edits that must not overwrite another's: ETag out, If-Match in (RFC 9110, 13.1.1)."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header
from starlette.responses import Response

from keel.errors import Malformed, Stale

_TAG: Final = re.compile(r'"(0|[1-9][0-9]{0,17})"', re.ASCII)


class VersionMismatch(Stale):
    """It has been edited since it was read; read it again."""

    def __init__(self) -> None:
        super().__init__("It has been edited since it was read; read it again.")


class EntityTagMalformed(Malformed):
    """`If-Match` is neither `*` nor an ETag of ours."""

    def __init__(self) -> None:
        super().__init__("If-Match must be the ETag of an earlier answer, or *.")


def etag(version: int) -> str:
    """The strong entity tag of a row's version."""
    return f'"{version}"'


def put_etag(response: Response, version: int) -> None:
    """Say which version the answer shows."""
    response.headers["ETag"] = etag(version)


async def _if_match(
    if_match: Annotated[
        str | None,
        Header(
            description="The ETag that the edit is meant for; the edit is refused if there is a newer one.",
            max_length=40,
            examples=['"3"'],
        ),
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    found = _TAG.fullmatch(if_match.strip())
    if found is None:
        raise EntityTagMalformed
    return int(found[1])


IfMatch = Annotated[int | None, Depends(_if_match)]
"""The parameter of an edit: the version that it is meant for, None for whichever there is."""


def require_match(expected: int | None, current: int) -> None:
    """Raise `VersionMismatch` unless the edit is meant for the current version."""
    if expected not in {None, current}:
        raise VersionMismatch
