"""How often the API may be asked."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
import redis

from tests.application import PASSWORD, Person, Serve, Served
from tradesense.app import create_app
from tradesense.http.openapi import operations
from tradesense.settings import Settings, SettingsInvalid

WRONG = "wrong horse battery"
ON = {"rate_limits": "on", "limit_register": "1000/s"}


@pytest.fixture
async def limited(serve: Serve) -> Served:
    return await serve(**ON)


async def login(person: Person, email: str, password: str = WRONG) -> int:
    answer = await person.post("/auth/login", json={"email": email, "password": password})
    return answer.status_code


async def test_every_answer_says_where_its_asker_stands(limited: Served) -> None:
    user = await limited.user()
    answer = await user.get("/auth/me")
    assert answer.headers["RateLimit-Policy"] == '"api";q=100;w=60'
    assert answer.headers["RateLimit"].startswith('"api";r=49;t=')
    both = await user.get("/analytics/summary")
    assert both.headers["RateLimit-Policy"] == '"api";q=100;w=60, "analytics";q=50;w=300'


async def test_whoever_asks_too_often_is_told_until_when_in_the_apis_own_form(serve: Serve) -> None:
    served = await serve(**{**ON, "limit_api": "60/min burst 3"})
    user, other = await served.user(), await served.user()
    answers = [await user.get("/auth/me") for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    refused = answers[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["code"] == "limit_exceeded"
    assert refused.json()["request_id"] == refused.headers["X-Request-ID"]
    assert int(refused.headers["Retry-After"]) == 1
    assert (await other.get("/auth/me")).status_code == 200


async def test_answers_from_the_cache_are_counted_like_any_other(serve: Serve) -> None:
    served = await serve(**{**ON, "limit_analytics": "3/h"})
    user = await served.user()
    answers = [await user.get("/analytics/summary") for _ in range(5)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429, 429]
    assert answers[2].headers["X-Cache"] == "hit"
    assert answers[2].headers["RateLimit"].endswith('"analytics";r=0;t=3600')


async def test_strangers_are_counted_by_their_address(serve: Serve) -> None:
    served = await serve(**{**ON, "limit_api": "60/min burst 3"})
    stranger, another = await served.person(), await served.person()
    statuses = [(await each.get("/auth/me")).status_code for each in (stranger, another, stranger, another)]
    assert statuses == [401, 401, 401, 429]


async def test_a_session_is_no_way_to_try_passwords(limited: Served) -> None:
    ann, bob = await limited.user(), await limited.user()

    async def change(person: Person, password: str) -> httpx.Response:
        passwords = {"current_password": password, "new_password": "another password"}
        return await person.post("/auth/change-password", json=passwords)

    answers = [await change(ann, WRONG) for _ in range(6)]
    assert [each.status_code for each in answers] == [403] * 5 + [429]
    assert answers[-1].json()["code"] == "limit_exceeded"
    assert (await change(bob, PASSWORD)).status_code == 204


async def test_logins_are_limited_for_each_account_from_each_address(limited: Served) -> None:
    user, stranger = await limited.user("ann@example.com"), await limited.person()
    # The fixture has logged in once.
    assert [await login(stranger, "ann@example.com") for _ in range(6)] == [401] * 4 + [429] * 2
    assert await login(stranger, " ANN@example.com ", PASSWORD) == 429
    assert await login(stranger, "bob@example.com") == 401
    assert (await user.get("/auth/me")).status_code == 200


async def test_no_key_in_redis_has_an_address_in_it(serve: Serve, redis_url: str, redis_namespace: str) -> None:
    served = await serve(**ON, redis_url=redis_url, environment=redis_namespace)
    await served.user("ann@example.com")
    stranger = await served.person()
    for email in ("ann@example.com", " ANN@example.com ", "nobody@example.com"):
        assert await login(stranger, email) == 401
    with redis.Redis.from_url(redis_url) as server:
        keys = [key.decode() for key in server.scan_iter(f"*{redis_namespace}*")]
    of_logins = [key for key in keys if "login:" in key]
    assert len(of_logins) == 2
    assert not [key for key in keys if "example.com" in key.lower()]


async def test_a_stranger_elsewhere_can_lock_nobody_out(serve: Serve) -> None:
    served = await serve(**ON, trusted_proxies=("127.0.0.1",))
    await served.user("ann@example.com")
    stranger, ann = await served.person(), await served.person()
    stranger.headers["X-Forwarded-For"] = "203.0.113.66"
    ann.headers["X-Forwarded-For"] = "203.0.113.7"
    assert [await login(stranger, "ann@example.com") for _ in range(7)] == [401] * 5 + [429] * 2
    assert await login(ann, "ann@example.com", PASSWORD) == 200


async def test_an_address_is_limited_over_all_accounts_and_undone_charges_do_not_count(limited: Served) -> None:
    stranger = await limited.person()
    statuses = [await login(stranger, f"user{number % 7}@example.com") for number in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    standing = await limited.state["limits"].peek("ip:127.0.0.1", limited.state["limits"].rules.limits("login-ip"))
    assert standing.remaining == 0


async def test_who_does_not_say_through_whom_they_come_is_not_believed(limited: Served) -> None:
    stranger = await limited.person()
    statuses = []
    for number in range(7):
        stranger.headers["X-Forwarded-For"] = f"203.0.113.{number}"
        statuses.append(await login(stranger, "ann@example.com"))
    assert statuses == [401] * 5 + [429] * 2


async def test_registrations_are_limited_by_address_and_mistakes_are_not_charged(serve: Serve) -> None:
    served = await serve(rate_limits="on")
    person = await served.person()

    async def register(email: str) -> httpx.Response:
        return await person.post("/auth/register", json={"email": email, "password": PASSWORD})

    assert [(await register("no address")).status_code for _ in range(5)] == [422] * 5
    assert [(await register(f"u{number}@example.com")).status_code for number in range(5)] == [201] * 3 + [429] * 2
    answer = await register("u@example.com")
    assert answer.headers["RateLimit-Policy"] == '"register";q=3;w=3600'


async def test_imports_are_limited(limited: Served) -> None:
    user = await limited.user()
    files = {"file": ("fills.csv", b"datetime,symbol,side,quantity,price\n2026-03-02T15:00:00Z,A,buy,1,1\n")}
    answers = [await user.post("/imports", files=files) for _ in range(11)]
    assert [each.status_code for each in answers[8:]] == [202, 202, 429]
    assert (await user.get("/imports")).status_code == 200


async def test_limits_can_be_off(serve: Serve) -> None:
    served = await serve(rate_limits="off", limit_api="1/h")
    user = await served.user()
    answers = [await user.get("/auth/me") for _ in range(5)]
    assert [each.status_code for each in answers] == [200] * 5
    assert "RateLimit" not in answers[0].headers


async def test_a_file_of_rules_holds_and_is_followed_while_the_server_runs(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text('[api]\nlimits = ["1000/s"]\ntiers.admin = []\n')
    served = await serve(**ON, rate_limits_file=path)
    user = await served.user()
    assert (await user.get("/auth/me")).headers["RateLimit-Policy"] == '"api";q=1000;w=1'
    path.write_text('[api]\nlimits = ["2000/s"]\n')
    os.utime(path, ns=(1, 1))
    async with asyncio.timeout(10):
        while (await user.get("/auth/me")).headers["RateLimit-Policy"] != '"api";q=2000;w=1':  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def test_a_file_with_mistakes_keeps_the_server_from_starting(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    with pytest.raises(SettingsInvalid, match="TRADESENSE_RATE_LIMITS_FILE"):
        await serve(**ON, rate_limits_file=path)
    path.write_text('[api]\nlimits = ["often"]\n')
    with pytest.raises(SettingsInvalid, match="is no limit"):
        await serve(**ON, rate_limits_file=path)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("TRADESENSE_LIMIT_API", "often"), ("TRADESENSE_TRUSTED_PROXIES", "everybody"), ("TRADESENSE_RATE_LIMITS", "so")],
)
def test_settings_of_limits_that_make_no_sense_are_refused(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=variable):
        Settings.load({variable: value})


def test_every_operation_documents_what_it_answers_to_who_asks_too_often() -> None:
    document = create_app(Settings.load({})).openapi()
    for _, _, operation in operations(document):
        refused = operation["responses"]["429"]
        assert {"Retry-After", "RateLimit", "RateLimit-Policy"} == refused["headers"].keys()
