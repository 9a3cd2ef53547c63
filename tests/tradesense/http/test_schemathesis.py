"""schemathesis over the OpenAPI document, against the real application: no 5xx, and no answer that is not documented.

`--schemathesis-examples N` sends N requests of each kind to each operation, others each time (with `--timeout 0`, as
that takes long); without it, they are the same few in every run.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from tests.application import ORIGIN, Person, served
from tests.conftest import DATABASES, migrated
from tests.samples import Samples, fill
from tradesense.app import create_app
from tradesense.http.openapi import operations
from tradesense.settings import Settings

CHECKED: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
FEW: Final = 4
ENDS_SESSIONS: Final = ("/auth/logout", "/auth/change-password", "/sessions")


class Visitor:
    """A user's client in an event loop of its own, for tests that are not asynchronous themselves."""

    def __init__(self, runner: asyncio.Runner, person: Person, samples: Samples) -> None:
        self._runner = runner
        self._person = person
        self.samples = samples

    def send(self, case: Case[Any]) -> httpx.Response:
        """Send a case as the user, who logs in again where a case has logged them out."""
        prepared = requests.Request(**of_requests(case.as_transport_kwargs(ORIGIN))).prepare()
        content: Any = prepared.body
        request = httpx.Request(case.method, str(prepared.url), headers=raw(prepared.headers), content=content)
        request.headers["Authorization"] = self._person.headers["Authorization"]
        response = self._runner.run(self._person.send(request))
        if any(path in case.path for path in ENDS_SESSIONS):
            self._runner.run(self._person.log_in(self._person.email))
        return response


def raw(headers: Mapping[str, str | bytes]) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode(), text.encode("latin-1") if isinstance(text, str) else text) for name, text in headers.items()
    ]


def of_requests(arguments: dict[str, Any]) -> dict[str, Any]:
    known = {"method", "url", "headers", "params", "data", "json", "files", "cookies"}
    return {name: value for name, value in arguments.items() if name in known}


@contextmanager
def visitor(application: Settings) -> Iterator[Visitor]:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        app = runner.run(stack.enter_async_context(served(application)))
        try:
            person = runner.run(app.user())
            yield Visitor(runner, person, runner.run(fill(person)))
        finally:
            runner.run(stack.aclose())


def takes_anything(operation: dict[str, Any]) -> bool:
    """Whether there is anything to ask; what takes nothing at all cannot be asked badly."""
    return bool(operation.keys() & {"parameters", "requestBody", "security"})


@pytest.fixture
def visitors(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Visitor]]:
    """A visitor of an application on each kind of database: making up what to ask takes longer than asking it."""
    with ExitStack() as stack:
        given = {}
        for kind in DATABASES[request.config.getoption("--database")]:
            url = stack.enter_context(migrated(kind, request, tmp_path))
            settings = Settings.load({}, database_url=url, data_dir=tmp_path / kind, rate_limits="off")
            given[kind] = stack.enter_context(visitor(settings))
        yield given


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
def test_every_answer_to_anything_is_documented(
    visitors: dict[str, Visitor], pytestconfig: pytest.Config, mode: GenerationMode
) -> None:
    load_all_checks()
    checks: list[Any] = CHECKS.get_by_names(CHECKED)
    document = create_app(Settings.load({})).openapi()
    schema = schemathesis.openapi.from_dict(document)
    examples: int | None = pytestconfig.getoption("--schemathesis-examples")
    profile = hypothesis.settings(
        max_examples=examples or FEW,
        derandomize=examples is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    for path, method, described in operations(document):
        if mode is GenerationMode.NEGATIVE and not takes_anything(described):
            continue
        operation = schema[path][method.upper()]

        @profile
        @given(case=operation.as_strategy(generation_mode=mode), hits=st.booleans())
        def check(case: Case[Any], *, hits: bool) -> None:
            for kind, user in visitors.items():
                hypothesis.note(f"on {kind}")
                if hits:
                    user.samples.put_into(case.path_parameters)
                case.validate_response(user.send(case), checks=checks)

        check()
