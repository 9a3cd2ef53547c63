import pytest
from starlette.responses import Response

from tests.application import Person
from tradesense.http.preconditions import VersionMismatch, etag, put_etag, require_match


def test_a_version_is_a_strong_entity_tag() -> None:
    response = Response()
    put_etag(response, 3)
    assert response.headers["etag"] == etag(3) == '"3"'


def test_an_edit_of_an_older_version_is_refused() -> None:
    require_match(None, 3)
    require_match(3, 3)
    with pytest.raises(VersionMismatch):
        require_match(2, 3)


@pytest.mark.parametrize(
    ("given", "status"), [('"1"', 200), ("*", 200), ('"0"', 412), ("1", 400), ('W/"1"', 400), ('"01"', 400), ("", 400)]
)
async def test_if_match_is_an_entity_tag_of_ours(user: Person, given: str, status: int) -> None:
    playbook = (await user.post("/playbooks", json={"name": "Gap and go"})).json()
    answer = await user.patch(f"/playbooks/{playbook['id']}", json={"name": "Fade"}, headers={"If-Match": given})
    assert answer.status_code == status, answer.text


async def test_a_read_is_never_older_than_the_version_it_carries(user: Person) -> None:
    written = await user.patch("/auth/me", json={"currency": "EUR"})
    version = int(written.headers["x-data-version"])
    statuses = [
        (await user.get("/tags", headers={"X-Data-Version": str(given)})).status_code
        for given in (0, version, version + 1, -1, "one", 1 << 63)
    ]
    assert statuses == [200, 200, 412, 422, 422, 422]
