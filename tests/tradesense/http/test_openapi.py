"""The OpenAPI document of the whole application: what it says of every operation, including those still to come."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.application import Person
from tradesense.app import WITHOUT_KEYS, create_app
from tradesense.http.openapi import operations
from tradesense.http.problems import MEDIA_TYPE
from tradesense.settings import Settings

Schema = dict[str, Any]

PROBES: Final = {f"GET /api/v1/monitoring/health{each}" for each in ("", "/live", "/ready")}
BOUNDS: Final = {
    "string": {"maxLength", "pattern", "format", "enum", "const", "contentMediaType"},
    "integer": {"maximum", "enum", "const"},
    "number": {"maximum", "exclusiveMaximum"},
}


@pytest.fixture(scope="module")
def document() -> Schema:
    return create_app(Settings(data_dir=Path())).openapi()


@pytest.fixture(scope="module")
def everything(document: Schema) -> list[tuple[str, Schema]]:
    return [(f"{method.upper()} {path}", operation) for path, method, operation in operations(document)]


def test_every_operation_has_an_id_of_its_own_a_tag_and_a_word_about_it(everything: list[tuple[str, Schema]]) -> None:
    ids = [operation["operationId"] for _, operation in everything]
    assert len(set(ids)) == len(ids)
    for name, operation in everything:
        assert re.fullmatch(r"[a-z_]+", operation["operationId"]), name
        assert operation.get("tags"), name
        assert operation.get("description"), name


def test_every_operation_says_who_may_ask_but_for_those_that_let_one_in(everything: list[tuple[str, Schema]]) -> None:
    public = {name for name, operation in everything if not operation.get("security")}
    assert public == {"POST /api/v1/auth/register", "POST /api/v1/auth/login", *PROBES}
    for name, operation in everything:
        if name not in public:
            assert operation["security"] == [{"bearer": []}, {"cookie": []}], name
            assert {"login_required", "session_expired"} <= codes(operation, 401), name
            assert name.startswith("GET") or "cross_site_request" in codes(operation, 403), name


def codes(operation: Schema, status: int) -> set[str]:
    return set(operation["responses"][str(status)]["content"][MEDIA_TYPE]["examples"])


def test_every_error_is_a_problem_with_an_example(everything: list[tuple[str, Schema]]) -> None:
    for name, operation in everything:
        for status, response in operation["responses"].items():
            if int(status) >= 400 and not (status == "503" and "/monitoring/health" in name):
                content = response["content"][MEDIA_TYPE]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, (name, status)
                assert content["examples"], (name, status)
                assert list(response["content"]) == [MEDIA_TYPE], (name, status)


def test_what_takes_a_body_says_what_becomes_of_bad_ones(everything: list[tuple[str, Schema]]) -> None:
    for name, operation in everything:
        statuses = set(operation["responses"])
        assert ("requestBody" in operation) <= ({"400", "413", "422"} <= statuses), name
        assert bool(operation.get("parameters")) <= ("422" in statuses), name


def test_every_post_of_a_user_takes_an_idempotency_key(everything: list[tuple[str, Schema]]) -> None:
    for name, operation in everything:
        keyed = [each for each in operation.get("parameters", []) if each["name"] == "Idempotency-Key"]
        method, _, path = name.partition(" ")
        assert bool(keyed) == (method == "POST" and not path.startswith(WITHOUT_KEYS)), name
        if keyed:
            assert "idempotency_key_in_use" in codes(operation, 409)


def test_every_path_with_an_id_may_not_be_there(everything: list[tuple[str, Schema]]) -> None:
    for name, operation in everything:
        if "_id}" in name:
            assert "404" in operation["responses"], name


def test_whatever_comes_in_is_bounded(document: Schema, everything: list[tuple[str, Schema]]) -> None:
    unbounded = [
        f"{name}: {where} ({schema})"
        for name, operation in everything
        for where, schema in inputs(document, operation)
        if not is_bounded(schema)
    ]
    assert not unbounded


def is_bounded(schema: Schema) -> bool:
    kind = schema.get("type")
    if kind == "array":
        return "maxItems" in schema
    if kind == "object" and "properties" not in schema:
        return "maxProperties" in schema
    return kind not in BOUNDS or bool(BOUNDS[kind] & schema.keys())


def inputs(document: Schema, operation: Schema) -> Iterator[tuple[str, Schema]]:
    for parameter in operation.get("parameters", []):
        yield from leaves(document, parameter["schema"], parameter["name"])
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from leaves(document, content.get("schema", {}), kind)


def leaves(document: Schema, schema: Schema, where: str) -> Iterator[tuple[str, Schema]]:
    """Every schema that a schema is made of."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield where, schema
    for name, each in schema.get("properties", {}).items():
        yield from leaves(document, each, f"{where}.{name}")
    for each in [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("prefixItems", [])]:
        yield from leaves(document, each, where)
    for name in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(name), dict):
            yield from leaves(document, schema[name], f"{where}[{name}]")


def test_bodies_have_examples(document: Schema, everything: list[tuple[str, Schema]]) -> None:
    for name, operation in everything:
        for content in operation.get("requestBody", {}).get("content", {}).values():
            assert "example" in str(content) or has_examples(document, content["schema"]), name


def has_examples(document: Schema, schema: Schema) -> bool:
    return any("examples" in each or "example" in each for _, each in leaves(document, schema, ""))


def test_nothing_of_the_frameworks_own_errors_is_left(document: Schema) -> None:
    assert "HTTPValidationError" not in str(document)
    assert {"Problem", "FieldError"} <= document["components"]["schemas"].keys()
    assert document["components"]["securitySchemes"]["cookie"]["name"] == "tradesense"


async def test_the_document_and_the_page_made_of_it_are_served(anyone: Person) -> None:
    document = await anyone.get("http://localhost:8000/openapi.json")
    assert document.json()["info"]["title"] == "TradeSense"
    page = await anyone.get("http://localhost:8000/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    for path, _, operation in operations(document.json()):
        assert path in page.text
        assert f'id="{operation["operationId"]}"' in page.text
    assert "<script" not in page.text
    again = await anyone.get("http://localhost:8000/openapi.json")
    assert again.json() == document.json()
