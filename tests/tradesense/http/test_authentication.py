import pytest
from starlette.requests import HTTPConnection

from tests.application import ORIGIN, PASSWORD, Person, Serve, Served
from tradesense.http.authentication import AdminRequired, Principal, administrator
from tradesense.http.state import part

CREDENTIALS = {"email": "trader@example.com", "password": PASSWORD}
EDIT = {"currency": "EUR"}


@pytest.fixture
async def browser(anyone: Person) -> Person:
    """A user's browser, which has the cookie and no bearer token."""
    await anyone.post("/auth/register", json=CREDENTIALS)
    await anyone.post("/auth/login", json=CREDENTIALS)
    assert "tradesense" in anyone.cookies
    return anyone


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic dTpw", "Bearer made-up", f"Bearer {'x' * 1000}", "Bearer \xff"],
)
async def test_who_has_no_token_of_a_session_is_refused(anyone: Person, authorization: str | None) -> None:
    headers = {} if authorization is None else {b"Authorization": authorization.encode("latin-1")}
    answer = await anyone.get("/auth/me", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] in {"login_required", "session_unknown"}


async def test_the_scheme_of_a_token_is_written_as_one_likes(user: Person) -> None:
    token = user.headers["Authorization"].removeprefix("Bearer ")
    assert (await user.get("/auth/me", headers={"Authorization": f"bearer {token}"})).status_code == 200


async def test_a_bearer_token_goes_before_the_cookie(app: Served, browser: Person) -> None:
    other = await app.user()
    token = other.headers["Authorization"]
    me = await browser.get("/auth/me", headers={"Authorization": token})
    assert me.json()["email"] == other.email


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(browser: Person) -> None:
    login = await browser.post("/auth/login", json=CREDENTIALS)
    cookie = login.headers["set-cookie"].lower()
    assert cookie.startswith("tradesense=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "max-age=2592000" in cookie
    assert "secure" not in cookie
    assert "domain" not in cookie


async def test_over_https_the_cookie_is_bound_to_the_host(serve: Serve) -> None:
    anyone = await (await serve(public_url="https://journal.example.com")).person()
    await anyone.post("/auth/register", json=CREDENTIALS)
    login = await anyone.post("/auth/login", json=CREDENTIALS)
    cookie = login.headers["set-cookie"]
    assert cookie.startswith("__Host-tradesense=")
    assert "Secure" in cookie
    assert "strict-transport-security" in login.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": ORIGIN}, 200),
        ({"Origin": "http://127.0.0.1:8000", "Host": "127.0.0.1:8000"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:9999"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://x", "Host": "x"}, 403),
    ],
)
async def test_a_page_of_another_site_cannot_use_the_cookie(
    browser: Person, headers: dict[str, str], status: int
) -> None:
    answer = await browser.patch("/auth/me", json=EDIT, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "cross_site_request"
        assert (await browser.get("/auth/me", headers=headers)).status_code == 200


async def test_a_bearer_token_is_taken_from_anywhere(user: Person) -> None:
    answer = await user.patch("/auth/me", json=EDIT, headers={"Origin": "https://tools.example"})
    assert answer.status_code == 200


async def test_another_site_cannot_log_its_visitors_in(anyone: Person) -> None:
    for path in ("/auth/register", "/auth/login"):
        answer = await anyone.post(path, json=CREDENTIALS, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403


async def test_an_origin_that_is_configured_may_use_the_api(serve: Serve) -> None:
    origin = "https://app.example.com"
    anyone = await (await serve(cors_origins=(origin,))).person()
    preflight = await anyone.options("/auth/login", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
    assert preflight.headers["access-control-allow-origin"] == origin
    await anyone.post("/auth/register", json=CREDENTIALS, headers={"Origin": origin})
    login = await anyone.post("/auth/login", json=CREDENTIALS, headers={"Origin": origin})
    assert login.status_code == 200
    assert login.headers["access-control-allow-credentials"] == "true"
    assert (await anyone.patch("/auth/me", json=EDIT, headers={"Origin": origin})).status_code == 200


async def test_errors_have_the_headers_that_let_a_page_read_them(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = "https://app.example.com"
    app = await serve(cors_origins=(origin,))
    anyone = await app.person()
    headers = {"Origin": origin}
    answers = [
        await anyone.get("/auth/me", headers=headers),
        await anyone.get("/nowhere", headers=headers),
        await anyone.post("/auth/login", json={}, headers=headers),
        await anyone.post("/auth/login", content=b"x" * (1 << 21), headers=headers),
    ]

    async def fail(*_arguments: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(type(app.state["logins"]), "log_in", fail)
    answers.append(await anyone.post("/auth/login", json=CREDENTIALS, headers=headers))
    assert [answer.status_code for answer in answers] == [401, 404, 422, 413, 500]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == origin
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        assert answer.headers["x-request-id"] == answer.json()["request_id"]


async def test_only_an_administrator_is_one(app: Served, user: Person) -> None:
    await app.state["users"].promote(user.email)
    identify = app.state["authentication"].identify
    admin = await identify(user.headers["Authorization"].removeprefix("Bearer "))
    assert await administrator(admin) is admin
    other = await identify((await app.user()).headers["Authorization"].removeprefix("Bearer "))
    with pytest.raises(AdminRequired):
        await administrator(other)


async def test_a_principal_does_not_show_its_token(app: Served, user: Person) -> None:
    token = user.headers["Authorization"].removeprefix("Bearer ")
    principal: Principal = await app.state["authentication"].identify(token)
    assert token not in repr(principal)


def test_a_part_of_the_state_is_what_its_name_promises() -> None:
    connection = HTTPConnection({"type": "http", "state": {"number": 5}})
    assert part(connection, "number", int) == 5
    with pytest.raises(TypeError, match="state number is int, not str"):
        part(connection, "number", str)
