from tests.application import Person, Served


async def test_a_day_is_written_read_and_written_again(user: Person) -> None:
    assert (await user.get("/journal/2026-03-02")).status_code == 404
    written = await user.put("/journal/2026-03-02", json={"notes": "Waited.", "mood": 4})
    assert written.status_code == 200
    assert written.headers["ETag"] == '"1"'
    assert int(written.headers["X-Data-Version"]) == 1
    read = await user.get("/journal/2026-03-02")
    assert read.json() == written.json()
    assert (read.json()["notes"], read.json()["mood"], read.json()["date"]) == ("Waited.", 4, "2026-03-02")
    again = await user.put("/journal/2026-03-02", json={"notes": "Waited well."}, headers={"If-Match": '"1"'})
    assert (again.json()["notes"], again.json()["mood"], again.headers["ETag"]) == ("Waited well.", None, '"2"')


async def test_an_edit_of_a_day_that_was_edited_meanwhile_is_refused(user: Person) -> None:
    await user.put("/journal/2026-03-02", json={"notes": "one"})
    await user.put("/journal/2026-03-02", json={"notes": "two"})
    refused = await user.put("/journal/2026-03-02", json={"notes": "three"}, headers={"If-Match": '"1"'})
    assert refused.status_code == 412
    assert refused.json()["code"] == "version_mismatch"
    assert (await user.get("/journal/2026-03-02")).json()["notes"] == "two"


async def test_the_days_of_a_period_are_listed_in_order(user: Person) -> None:
    for day in ("2026-03-05", "2026-03-02", "2026-04-01"):
        await user.put(f"/journal/{day}", json={"notes": day})
    listed = await user.get("/journal", params={"from": "2026-03-01", "to": "2026-03-31"})
    assert [day["date"] for day in listed.json()["items"]] == ["2026-03-02", "2026-03-05"]


async def test_a_period_that_ends_before_it_begins_or_is_longer_than_a_year_is_refused(user: Person) -> None:
    for period in ({"from": "2026-03-02", "to": "2026-03-01"}, {"from": "2024-01-01", "to": "2026-03-01"}):
        refused = await user.get("/journal", params=period)
        assert (refused.status_code, refused.json()["code"]) == (422, "period_too_long")


async def test_a_playbook_is_added_read_edited_and_taken_away(user: Person) -> None:
    added = await user.post("/playbooks", json={"name": "Opening range", "rules": ["Wait 15 minutes"]})
    assert added.status_code == 201
    playbook = added.json()
    path = f"/playbooks/{playbook['id']}"
    assert added.headers["Location"] == f"/api/v1{path}"
    assert (await user.get("/playbooks")).json()["items"] == [playbook]
    edited = await user.patch(path, json={"name": "Opening drive"}, headers={"If-Match": added.headers["ETag"]})
    assert (edited.json()["name"], edited.json()["rules"]) == ("Opening drive", ["Wait 15 minutes"])
    stale = await user.patch(path, json={"name": "Late"}, headers={"If-Match": added.headers["ETag"]})
    assert stale.status_code == 412
    assert (await user.delete(path)).status_code == 204
    assert (await user.get(path)).status_code == 404
    assert (await user.delete(path)).json()["code"] == "playbook_not_found"
    assert (await user.get("/playbooks")).json() == {"items": [], "next": None}


async def test_another_user_neither_sees_nor_edits_days_and_playbooks(app: Served, user: Person) -> None:
    await user.put("/journal/2026-03-02", json={"notes": "mine"})
    playbook = (await user.post("/playbooks", json={"name": "mine"})).json()
    other = await app.user()
    assert (await other.get("/journal/2026-03-02")).status_code == 404
    assert (await other.get("/journal", params={"from": "2026-01-01", "to": "2026-12-31"})).json()["items"] == []
    path = f"/playbooks/{playbook['id']}"
    answers = [await other.get(path), await other.patch(path, json={"name": "theirs"}), await other.delete(path)]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert (await other.get("/playbooks")).json()["items"] == []
    assert (await user.get(path)).json()["name"] == "mine"


async def test_there_are_no_tags_and_no_orphans_before_anything_is_tagged(user: Person) -> None:
    assert (await user.get("/tags")).json() == {"items": [], "next": None}
    assert (await user.get("/journal/orphans")).json() == {"items": [], "next": None}
