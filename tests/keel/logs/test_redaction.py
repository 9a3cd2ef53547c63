import time
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keel.logs.logger import frozen
from keel.logs.redaction import LONGEST_TEXT, REDACTED, Redaction, Room

SECRET = "hunter2-Zx9"
REDACTION = Redaction("test")


@pytest.mark.parametrize(
    "text",
    [
        f"password={SECRET}&x=1",
        f"https://example.com/?a=1&token={SECRET}#top",
        f"new_password[]={SECRET}",
        f"password%3D{SECRET}",
        f"{{'password': '{SECRET}', 'a': 1}}",
        f"{{'password': 'it\\'s {SECRET}', 'a': 1}}",
        f'{{"access_token": "{SECRET}"}}',
        f'{{\\"password\\": \\"{SECRET}\\"}}',
        f"Login(email=None, password={SECRET!r})",
        f"Authorization: Bearer {SECRET}",
        f"authorization: {SECRET} and more",
        f"Proxy-Authorization: Basic {SECRET}",
        f"Cookie: a=1; session={SECRET}; b=2",
        f"[(b'cookie', b'a=1; s={SECRET}'), (b'host', b'x')]",
        f"('authorization', '{SECRET}')",
        f"sent Bearer {SECRET}",
        f"redis://user:{SECRET}@cache:6379/0",
        f"cannot connect to postgresql+asyncpg://u:{SECRET}@db/x",
        f"[SQL: SELECT 1 WHERE a = ?]\n[parameters: ('{SECRET}', 3)]",
        f"DETAIL:  Key (token)=({SECRET}) already exists.",
        f"X-API-Key: {SECRET}",
        f"api_key = {SECRET}",
        f"client_secret=>{SECRET}",
    ],
)
def test_a_secret_is_found_by_the_name_that_it_stands_under(text: str) -> None:
    assert SECRET not in REDACTION.text(text)
    assert REDACTED in REDACTION.text(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", REDACTED),
        ("held by tsk_9sYq0vT3mXo1kQ2wE4rT5yU6iO7pA8sD9fG0hJ1kL2z.", f"held by {REDACTED}."),
        ("card 4111 1111 1111 1111, paid", f"card {REDACTED}, paid"),
        ("order 7 4111111111111111 9", f"order 7 {REDACTED} 9"),
        ("4111-1111-1111-1111,378282246310005", f"{REDACTED},{REDACTED}"),
    ],
)
def test_a_secret_is_found_by_how_it_looks(text: str, shown: str) -> None:
    assert REDACTION.text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "imported 4111 rows from statement.csv",
        "4111 1111 1111 1112",  # its check digit is wrong
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "request 0199b7a3-5c1e-7c55-9a3e-8f1de2a45c0b",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "at 1732383072123456789 ns",
        "the password is wrong",
        "the token has expired",
        "/api/v1/portfolio/summary?by=symbol",
        "SELECT users.id FROM users WHERE users.email = $1",
        "tests_keel_logs_test_redaction_test_what_is_no_secret_is_left_alone",
        "",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert REDACTION.text(text) == text


def test_an_address_is_shown_as_the_same_hash_everywhere_but_not_under_another_key() -> None:
    texts = ["for Bob@Example.com", "?mail=bob%40example.com", "<bob@example.com>"]
    hashes = {REDACTION.text(text).partition("email:")[2].strip(">") for text in texts}
    assert len(hashes) == 1
    assert hashes != {Redaction("other").text(texts[0]).partition("email:")[2]}
    assert REDACTION.field("email", "bob@example.com") == f"email:{hashes.pop()}"


def test_nested_values_are_looked_into() -> None:
    shown = REDACTION.fields(
        {
            "body": {"user": {"passwordHash": SECRET, "name": "Bob"}, "items": [{"otp": 123456}]},
            "headers": [["Authorization", SECRET], ["Host", "x"], (b"Cookie", 1)],
            "card": 4111111111111111,
            "is_token": True,
            "token": None,
            "n": 7,
        }
    )
    assert shown == {
        "body": {"user": {"passwordHash": REDACTED, "name": "Bob"}, "items": [{"otp": REDACTED}]},
        "headers": [["Authorization", REDACTED], ["Host", "x"], ["b'Cookie'", 1]],
        "card": REDACTED,
        "is_token": True,
        "token": None,
        "n": 7,
    }


nested: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=40)
@given(nested, st.sampled_from(["password", "X-Api-Key", "refreshToken", "Cookie", "authorization"]), st.data())
def test_a_secret_is_found_wherever_it_is_planted(value: object, name: str, data: st.DataObject) -> None:
    places = [each for each in _walk(value) if isinstance(each, dict)]
    holder = data.draw(st.sampled_from(places)) if places else {}
    holder[name] = SECRET
    assert SECRET not in str(REDACTION.field("fields", value if places else holder))


def _walk(value: object) -> list[Any]:
    inner: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [value, *(each for one in inner for each in _walk(one))]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert len(REDACTION.text(text)) <= 20 * max(len(text), 1)


@pytest.mark.parametrize(
    "part",
    [
        "a",
        "eyJ",
        "password",
        "1 ",
        "4 ",
        "1",
        "a@",
        "A1a-",
        "://:",
        "'",
        '\\"',
        "Bearer ",
        "password='",
        "cookie:",
        " ",
    ],
)
def test_hostile_text_takes_no_long_time(part: str) -> None:
    text = (part * 100_000)[:100_000]
    began = time.perf_counter()
    shown = REDACTION.text(text)
    assert time.perf_counter() - began < 2  # some milliseconds; what is quadratic would take minutes
    assert len(shown) <= LONGEST_TEXT + 1


def test_what_refers_to_itself_again_and_again_has_an_end() -> None:
    laughs: list[Any] = ["ha"]
    for _ in range(20):
        laughs = [laughs] * 100
    began = time.perf_counter()
    assert len(str(REDACTION.fields({"a": laughs, "b": [1, 2, 3]}))) < 20_000
    assert len(str(frozen(laughs, Room()))) < 20_000
    assert time.perf_counter() - began < 2


def test_deep_and_wide_values_are_cut() -> None:
    deep: list[Any] = []
    for _ in range(1000):
        deep = [deep]
    assert REDACTION.field("x", deep) == [[[[[["…"]]]]]]
    assert len(REDACTION.field("x", list(range(10_000)))) == 100
