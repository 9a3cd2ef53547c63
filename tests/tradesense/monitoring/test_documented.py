"""What administrators are answered is what the OpenAPI document says, also where there is something to tell."""

import re

import pytest
import schemathesis

from tests.application import ORIGIN, Person, Served
from tests.samples import fill, made
from tests.tradesense.http.test_isolation import is_of_administrators
from tests.tradesense.monitoring.conftest import Embedded
from tradesense.accounts.service import Accounts
from tradesense.http.openapi import operations


@pytest.fixture
async def app(embedded: Embedded) -> Served:
    """On SQLite: nothing here depends on the database."""
    return await embedded(trace_sample=1)


async def fails(*_given: object) -> None:
    raise LookupError("planted")


async def test_administrators_are_answered_as_documented(
    app: Served, admin: Person, user: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = await fill(user)
    monkeypatch.setattr(Accounts, "page", fails)
    assert (await user.get("/accounts")).status_code == 500
    (group,) = (await made(admin.get("/monitoring/errors")))["items"]
    trace = (await made(admin.get(f"/monitoring/errors/{group['fingerprint']}")))["sample"]["trace_id"]
    ids = {**samples.ids, "fingerprint": group["fingerprint"], "trace_id": trace}
    document = app.app.openapi()
    schema = schemathesis.openapi.from_dict(document)
    asked = 0
    for path, method, operation in operations(document):
        streams = "text/event-stream" in str(operation["responses"].get("200"))
        if method != "get" or "/monitoring/" not in path or not is_of_administrators(operation) or streams:
            continue
        url = re.sub(r"\{(\w+)\}", lambda found: ids[found[1]], path)
        answer = await admin.get(f"{ORIGIN}{url}")
        assert answer.status_code == 200, f"{path}: {answer.text}"
        schema[path]["GET"].validate_response(answer)
        asked += 1
    assert asked >= 4
