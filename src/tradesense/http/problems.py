"""Errors as problem documents (RFC 9457): one map from refusals to HTTP, and no leak of what is inside."""

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, cast

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from keel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotAuthenticated,
    NotFound,
    RateLimited,
    Refusal,
    Stale,
    TooLarge,
    Unavailable,
)
from tradesense.db.postgresql import DatabaseAway

MEDIA_TYPE: Final = "application/problem+json"
STATUS: Final[Mapping[type[Refusal], HTTPStatus]] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    Stale: HTTPStatus.PRECONDITION_FAILED,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    RateLimited: HTTPStatus.TOO_MANY_REQUESTS,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_PHRASES: Final[Mapping[int, str]] = {413: "Content Too Large", 422: "Unprocessable Content"}
_EXAMPLE_ID: Final = "0af7651916cd43dd8448eb211c80319c"


class FieldError(BaseModel):
    """One value that cannot be taken, and why."""

    loc: list[str | int] = Field(
        description="The path to the value: body, query, path or header first.", examples=[["body", "email"]]
    )
    message: str = Field(examples=["value is not an email address"])


class Problem(BaseModel):
    """A problem document (RFC 9457). Programs go by `code`, people by `detail`."""

    type: str = Field(description="The kind of problem, as a URI.", examples=["urn:tradesense:problem:not_found"])
    title: str = Field(description="The kind of problem, in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status, once more.", examples=[404], ge=400, le=599)
    code: str = Field(description="A stable name for programs.", examples=["not_found"])
    detail: str = Field(description="What went wrong this time.", examples=["There is no such account."])
    request_id: str = Field(description="Names this request in the server's logs.", examples=[_EXAMPLE_ID])
    errors: list[FieldError] | None = Field(default=None, description="Each value that cannot be taken.")


def status_of(refusal: type[Refusal]) -> HTTPStatus:
    """The status of a kind of refusal, by its nearest ancestor that has one; raises TypeError where none has."""
    for kind in refusal.__mro__:
        if kind in STATUS:
            return STATUS[kind]
    raise TypeError(f"{refusal.__name__} is no kind of refusal that HTTP knows")


def phrase(status: int) -> str:
    """The reason phrase of a status, as RFC 9110 has it."""
    return _PHRASES.get(status) or HTTPStatus(status).phrase


def request_id(connection: HTTPConnection) -> str:
    """The id of this request, as the middleware gave it."""
    return str(connection.scope.get("state", {}).get("request_id", ""))


def problem(
    connection: HTTPConnection,
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A `Problem` as an answer. Pure ASCII, so that not even half a surrogate pair in what was sent can break it."""
    document = {**_members(status, code, detail), "request_id": request_id(connection)}
    if errors:
        document["errors"] = errors
    return Response(json.dumps(document), status, headers, MEDIA_TYPE)


def _members(status: int, code: str, detail: str) -> dict[str, Any]:
    kind = f"urn:tradesense:problem:{code}"
    return {"type": kind, "title": phrase(status), "status": status, "code": code, "detail": detail}


def refused(connection: HTTPConnection, refusal: Refusal) -> Response:
    """A refusal as an answer."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after.total_seconds()))
    if isinstance(refusal, NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    errors = []
    if isinstance(refusal, Invalid) and refusal.loc:
        errors = [{"loc": refusal.loc, "message": refusal.detail}]
    status = int(status_of(type(refusal)))
    return problem(connection, status, refusal.code, refusal.detail, errors=errors, headers=headers)


async def _on_refusal(request: Request, error: Exception) -> Response:
    return refused(request, cast("Refusal", error))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    error = cast("HTTPException", error)
    code = phrase(error.status_code).lower().replace(" ", "_")
    return problem(request, error.status_code, code, error.detail, headers=error.headers)


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    found = cast("RequestValidationError", error).errors()
    # A value that several dependencies read is named once.
    messages = dict.fromkeys((tuple(each["loc"]), each["msg"].removeprefix("Value error, ")) for each in found)
    errors = [{"loc": loc, "message": message} for loc, message in messages]
    return problem(request, 422, "invalid", "The request is not valid; see errors.", errors=errors)


def unexpected(connection: HTTPConnection) -> Response:
    """The answer to an error of our own: it says nothing of what happened, but names the request."""
    return problem(connection, 500, "internal_error", "Something went wrong on the server; it has been logged.")


def away(connection: HTTPConnection) -> Response:
    """The answer where the database does not."""
    headers = {"Retry-After": str(math.ceil(DatabaseAway.retry_after.total_seconds()))}
    return problem(connection, 503, "database_away", "The database does not answer; try again soon.", headers=headers)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document; what nobody foresaw is `middleware.UnexpectedErrors`' part."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)


def refusals(*kinds: type[Refusal]) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of an operation that may answer with these refusals, each with its example.

    What follows from the operation's form (401, 403, 413, 422, a malformed body) is added by `openapi.complete`.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status = status_of(kind)
        response = responses.setdefault(int(status), described(int(status)))
        response["content"][MEDIA_TYPE]["examples"][kind.code] = example(kind)
    return responses


def described(status: int) -> dict[str, Any]:
    """An OpenAPI response of a status whose body is a problem, with no examples yet."""
    return {
        "description": phrase(status),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
    }


def example(kind: type[Refusal]) -> dict[str, Any]:
    """An OpenAPI example of a refusal."""
    summary = (kind.__doc__ or kind.code).partition("\n")[0]
    members = _members(int(status_of(kind)), kind.code, summary)
    return {"summary": summary, "value": {**members, "request_id": _EXAMPLE_ID}}
