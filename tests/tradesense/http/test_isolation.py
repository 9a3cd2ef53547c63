"""What is another's is not there: generated from the routes, so that a new one is covered or fails until it is."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from tests.application import ORIGIN, Person, Served
from tests.samples import DAY, Samples, failed_import, fill
from tradesense.http.authentication import AdminRequired
from tradesense.http.openapi import Document, operations
from tradesense.http.problems import MEDIA_TYPE

Schema = dict[str, Any]

OPEN_TO_ALL: Final = {"register", "login", "get_health", "get_liveness", "get_readiness"}
DATES: Final = {"date": DAY}
NEEDED: Final = {"by": "symbol", "from": DAY, "to": DAY, "channel": f"user:{UUID(int=7)}"}
"""Values of query parameters that must be given."""
NOBODYS: Final = str(UUID(int=7))
"""An id that nothing has."""
PLAIN: Final = {
    "array": [],
    "binary": b"",
    "boolean": True,
    "integer": 1,
    "string": "x",
    "uuid": NOBODYS,
}
"""Values of types and formats."""


@pytest.fixture
def document(app: Served) -> Document:
    return app.app.openapi()


def requests_of(document: Document, ids: dict[str, str]) -> Iterator[tuple[str, Schema, httpx.Request]]:
    """Every operation that is somebody's, as a request that names these ids in its path; a new name fails."""
    for path, method, operation in operations(document):
        if operation["operationId"] in OPEN_TO_ALL:
            continue
        names = re.findall(r"\{(\w+)\}", path)
        unknown = set(names) - ids.keys()
        assert not unknown, f"{method} {path}: tests/samples.py has no {unknown} to ask for"
        url = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)
        yield path, operation, request(document, method, f"{ORIGIN}{url}", operation)


def request(document: Document, method: str, url: str, operation: Schema, **values: str) -> httpx.Request:
    """A request that the operation takes, with some values of its query or of its body's fields set."""
    needed = {
        each["name"]: NEEDED[each["name"]]
        for each in operation.get("parameters", [])
        if each["in"] == "query" and each.get("required")
    }
    names = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
    query = {**needed, **{name: value for name, value in values.items() if name in names}}
    rest = {name: value for name, value in values.items() if name not in names}
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        body = {**sample(document, content["schema"]), **rest}
        if kind == "application/json":
            return httpx.Request(method, url, params=query, json=body)
        fields = {name: value for name, value in body.items() if value != b""}
        return httpx.Request(method, url, params=query, data=fields, files={"file": ("empty.csv", b"a,b\n1,2\n")})
    return httpx.Request(method, url, params=query)


def sample(document: Document, schema: Schema) -> Any:  # noqa: ANN401 - whatever JSON the schema takes
    """The least that a schema takes, by its examples."""
    if "$ref" in schema:
        return sample(document, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "properties" in schema:
        return {name: sample(document, schema["properties"][name]) for name in schema.get("required", [])}
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return sample(document, {**alternatives[0], **schema, "anyOf": None, "oneOf": None})
    found = [*schema.get("examples", []), *schema.get("enum", [])]
    return found[0] if found else PLAIN[schema.get("format") or schema["type"]]


def is_of_administrators(operation: Schema) -> bool:
    """Whether it is for administrators alone, as it says itself."""
    refused = operation["responses"].get("403", {"content": {MEDIA_TYPE: {"examples": {}}}})
    return AdminRequired.code in refused["content"][MEDIA_TYPE]["examples"]


def is_endless(operation: Schema) -> bool:
    """Whether its answer is a stream that does not end by itself; see the tests of events."""
    return "text/event-stream" in operation["responses"].get("200", {}).get("content", {})


def id_inputs(document: Document, operation: Schema) -> Iterator[str]:
    """The query parameters and fields of the body that take somebody's id."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" and parameter["name"].endswith("_id"):
            yield parameter["name"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        schema = content["schema"]
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        yield from (name for name in schema.get("properties", {}) if name.endswith("_id") or name == "playbook")


async def everything(document: Document, person: Person, samples: Samples) -> dict[str, tuple[int, Any]]:
    """What a person sees: the answer to every GET, and what they have by its id."""
    return {
        f"{path} {request.url.query.decode()}": ((answer := await send(person, request)).status_code, answer.text)
        for path, operation, request in requests_of(document, samples.ids)
        if request.method == "GET" and not is_of_administrators(operation) and not is_endless(operation)
    }


def meaning(answer: httpx.Response) -> tuple[int, str]:
    """What an answer says, but for the id of the request."""
    return answer.status_code, answer.text.replace(answer.headers["x-request-id"], "")


async def send(person: Person, request: httpx.Request) -> httpx.Response:
    request.headers.update(person.headers)
    return await person.send(request)


async def test_nobody_sees_anything_without_logging_in(app: Served, user: Person, document: Document) -> None:
    samples, anyone = await fill(user), await app.person()
    for path, _, asked in requests_of(document, samples.ids):
        answer = await send(anyone, asked)
        assert answer.status_code == 401, f"{asked.method} {path}: {answer.text}"


async def test_nobody_but_an_administrator_is_answered_what_is_for_them(user: Person, document: Document) -> None:
    samples = await fill(user)
    for path, operation, asked in requests_of(document, samples.ids):
        if is_of_administrators(operation):
            answer = await send(user, asked)
            assert (answer.status_code, answer.json()["code"]) == (403, "admin_required"), f"{asked.method} {path}"


async def test_an_id_of_anothers_is_not_there(app: Served, user: Person, document: Document) -> None:
    samples, other = await fill(user), await app.user()
    before = await everything(document, user, samples)
    for path, operation, asked in requests_of(document, {**samples.ids, **DATES}):
        if "_id}" in path:
            answer = await send(other, asked)
            refused = 403 if is_of_administrators(operation) else 404
            assert answer.status_code == refused, f"{asked.method} {path}: {answer.status_code} {answer.text}"
    assert await everything(document, user, samples) == before


async def test_an_id_of_anothers_is_not_there_in_a_query_or_a_body_either(
    app: Served, user: Person, document: Document
) -> None:
    theirs, other = await fill(user), await app.user()
    own = await fill(other, "MSFT")
    own.ids["import_id"] = await failed_import(other)
    before = await everything(document, user, theirs)
    for path, method, operation in operations(document):
        for name in id_inputs(document, operation):
            wanted = name if name.endswith("_id") else f"{name}_id"
            assert wanted in theirs.ids, f"{method} {path}: tests/samples.py has no {wanted} to ask for"
            url = re.sub(r"\{(\w+)\}", lambda found: own.ids[found[1]], path)
            answers = [
                await send(other, request(document, method, f"{ORIGIN}{url}", operation, **{name: named}))
                for named in (theirs.ids[wanted], NOBODYS)
            ]
            assert meaning(answers[0]) == meaning(answers[1]), f"{method} {path} {name}: {answers[0].text}"
            # A filter that nothing passes through may leave a list empty; nothing is done with what is another's.
            assert method == "get" or answers[0].status_code in {404, 422}, f"{method} {path} {name}: {answers[0].text}"
    assert await everything(document, user, theirs) == before


async def test_lists_and_figures_are_ones_own_alone(app: Served, user: Person, document: Document) -> None:
    samples = await fill(user)
    alone = await everything(document, user, samples)
    assert {status for status, _ in alone.values()} == {200}
    other = await app.user()
    empty = await everything(document, other, Samples({**samples.ids, "date": "2026-02-16"}))
    theirs = await fill(other, "MSFT")
    assert await everything(document, user, samples) == alone
    others = await everything(document, other, theirs)
    for name, (status, text) in [*others.items(), *empty.items()]:
        assert status in {200, 404}, (name, text)
        for what, identifier in samples.ids.items():
            assert what == "date" or identifier not in text, f"{name} shows the {what} of another"
        assert "AAPL" not in text, name
    assert json.loads(others["/api/v1/auth/me "][1])["email"] == other.email
