"""The OpenAPI document, completed: what follows from an operation's form is said once, here, for all of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from keel.errors import Invalid, Malformed, Refusal
from keel.ratelimit.contract import LimitExceeded
from keel.sessions.contract import SessionExpired, SessionUnknown
from tradesense.http.authentication import SAFE_METHODS, CrossSiteRequest, KeyOnlyReads, LoginRequired
from tradesense.http.bodies import BodyTooLarge
from tradesense.http.idempotency import (
    HEADER,
    IdempotencyKeyInUse,
    IdempotencyKeyMalformed,
    IdempotencyKeyReused,
)
from tradesense.http.paging import CursorMalformed, CursorMismatch
from tradesense.http.preconditions import EntityTagMalformed, VersionMismatch
from tradesense.http.problems import MEDIA_TYPE, Problem, described, example, status_of
from tradesense.http.versions import VersionAhead

Document = dict[str, Any]

_METHODS: Final = frozenset({"get", "put", "post", "delete", "patch"})
_REFS: Final = "#/components/schemas/{model}"
_BY_PARAMETER: Final[Mapping[str, tuple[type[Refusal], ...]]] = {
    "if-match": (VersionMismatch, EntityTagMalformed),
    "x-data-version": (VersionAhead,),
    "cursor": (CursorMalformed, CursorMismatch),
}
_KEY_PARAMETER: Final[Document] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A name for this request: sent again with it within 24 hours, it is answered but not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\u0021-\u007e]+$"},
    "example": "2f1c9e0c-order-17",
}

_LIMIT_HEADERS: Final[Document] = {
    "Retry-After": {"description": "Seconds until it is worth asking again.", "schema": {"type": "integer"}},
    "RateLimit-Policy": {
        "description": "The limits that hold: `q` in `w` seconds (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string", "examples": ['"api";q=100;w=60']},
    },
    "RateLimit": {
        "description": "What is left of each, `r`, and in how many seconds it is whole again, `t`.",
        "schema": {"type": "string", "examples": ['"api";r=0;t=31']},
    },
}


class BadRequest(Malformed):
    """The body cannot be read."""


def operation_id(route: APIRoute) -> str:
    """The stable id of an operation: its endpoint's name."""
    return route.name


class Documented(FastAPI):
    """An application whose OpenAPI document is completed; see `complete`."""

    def __init__(self, *, cookie: str, without_keys: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        super().__init__(**options, generate_unique_id_function=operation_id, openapi_url=None)
        self._cookie = cookie
        self._without_keys = without_keys

    def openapi(self) -> Document:
        """The document, written when it is first asked for; that takes longer than an event loop should wait."""
        if self.openapi_schema is None:
            document = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            self.openapi_schema = complete(document, cookie=self._cookie, without_keys=self._without_keys)
        return self.openapi_schema


def complete(document: Document, *, cookie: str, without_keys: Sequence[str]) -> Document:
    """Add to the document, in place, what every operation of its form has in common.

    `cookie` is the session cookie's name; POSTs whose path begins with one of `without_keys` take no idempotency key.
    """
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    schemas.update(_problem_schemas())
    schemes = components.setdefault("securitySchemes", {})
    schemes["cookie"] = {
        "type": "apiKey",
        "in": "cookie",
        "name": cookie,
        "description": "The session's token, as a browser keeps it; not taken from pages of other sites.",
    }
    for path, method, operation in operations(document):
        _complete(operation, method, takes_keys=not path.startswith(tuple(without_keys)))
    return document


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Every operation of a document, with its path and its method in lower case."""
    for path, item in document["paths"].items():
        for method in _METHODS & item.keys():
            yield path, method, item[method]


def _problem_schemas() -> Document:
    schema = Problem.model_json_schema(ref_template=_REFS)
    return {**schema.pop("$defs"), "Problem": schema}


def _complete(operation: Document, method: str, *, takes_keys: bool) -> None:
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    kinds: list[type[Refusal]] = [LimitExceeded]
    if operation.get("security"):
        operation["security"] = [{"bearer": []}, {"cookie": []}]
        kinds += [LoginRequired, SessionExpired, SessionUnknown]
        if method.upper() not in SAFE_METHODS:
            kinds += [CrossSiteRequest, KeyOnlyReads]
        if method == "post" and takes_keys:
            operation.setdefault("parameters", []).append(_KEY_PARAMETER)
            kinds += [IdempotencyKeyMalformed, IdempotencyKeyReused, IdempotencyKeyInUse]
    if "requestBody" in operation:
        kinds += [BadRequest, BodyTooLarge]
    parameters = [each["name"].lower() for each in operation.get("parameters", [])]
    for name in parameters:
        kinds += _BY_PARAMETER.get(name, ())
    if parameters or "requestBody" in operation:
        kinds.append(Invalid)
    _add(responses, kinds)


def _add(responses: Document, kinds: Sequence[type[Refusal]]) -> None:
    for kind in kinds:
        status = int(status_of(kind))
        response = responses.setdefault(str(status), described(status))
        response["content"][MEDIA_TYPE]["examples"].setdefault(kind.code, example(kind))
        if kind is LimitExceeded:
            response["headers"] = _LIMIT_HEADERS
