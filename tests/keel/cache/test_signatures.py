"""How calls are read, and the names that are made of their arguments."""

import inspect
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.background import BackgroundTasks
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keel.cache.signatures import Format, Parameters, TagsOf, return_annotation, user_name, word


class Injected:
    dependency = None


class Symbol(StrEnum):
    ES = "ES"


async def mixed(a: int, /, b: str = "b", *, c: int = 3, d: int | None = None) -> list[int]:
    return [a, c, d or 0, len(b)]


_CALLS = st.tuples(
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.integers(), max_size=4),
)


@given(_CALLS)
def test_a_call_is_bound_as_python_would(call: tuple[list[int], dict[str, int]]) -> None:
    args, kwargs = call
    parameters = Parameters(mixed)
    try:
        bound = inspect.signature(mixed).bind(*args, **kwargs)
    except TypeError:
        for _ in range(2):
            with pytest.raises(TypeError):
                parameters.bind(tuple(args), kwargs)
        return
    bound.apply_defaults()
    for _ in range(2):
        assert parameters.named(parameters.bind(tuple(args), kwargs)) == bound.arguments


def test_only_what_tells_calls_apart_is_part_of_a_key() -> None:
    async def endpoint(
        request: Request, response: Response, tasks: BackgroundTasks, made: "JSONResponse", account: int, *,
        one: Annotated[int, Injected()], other: int = Injected(),  # type: ignore[assignment] # as Depends is written
        asked: "Request | None" = None,
    ) -> None:  # fmt: skip
        """Take all that an endpoint may take."""

    parameters = Parameters(endpoint, frozenset({"asked"}))
    assert parameters.key_names == ("account",)
    assert parameters.has_injected
    assert parameters.find(Request) == "request"


def test_annotations_that_stand_for_nothing_yet_are_read_by_their_names() -> None:
    async def endpoint(request: "starlette.requests.Request", later: "Unknown") -> "Unknown":  # type: ignore[name-defined] # noqa: F821
        """Name what is not there."""

    assert Parameters(endpoint).key_names == ("later",)
    assert return_annotation(endpoint) == "Unknown"


def test_what_says_nothing_returns_anything() -> None:
    async def silent():  # type: ignore[no-untyped-def] # noqa: ANN202 - that is the point
        return 1

    assert return_annotation(silent) is Any
    assert return_annotation(mixed) == list[int]


@given(st.text())
def test_a_word_has_no_separator_brace_or_pattern(text: str) -> None:
    assert not set(word(text)) & set(":{}* \n\x00")
    assert len(word(text)) <= 200


@given(st.text(alphabet="%:*{}a2\n25", max_size=8), st.text(alphabet="%:*{}a2\n25", max_size=8))
def test_different_texts_are_different_words(one: str, other: str) -> None:
    assert (word(one) == word(other)) is (one == other)


def test_words_of_other_values_are_what_people_would_write() -> None:
    unique = UUID("0190b8a0-7b3c-7def-8123-456789abcdef")
    assert [word(each) for each in (42, unique, Symbol.ES, Decimal("1.5"), date(2026, 1, 2))] == [
        "42", str(unique), "ES", "1.5", "2026-01-02",
    ]  # fmt: skip
    assert word(datetime(2026, 1, 2, tzinfo=UTC)) == "2026-01-02%2000%3a00%3a00+00%3a00"
    assert len({word(each) for each in (None, "None", True, "True", "%None")}) == 5
    with pytest.raises(TypeError, match="float cannot be a word"):
        word(1.5)


def test_long_texts_cannot_be_imitated_by_short_ones() -> None:
    assert word("x" * 65) != word("x" * 66)
    assert word(word("x" * 65)) != word("x" * 65)


def test_users_are_compared_as_words_and_uuids_in_any_case() -> None:
    unique = UUID("0190b8a0-7b3c-7def-8123-456789abcdef")
    assert user_name(unique) == user_name(str(unique)) == user_name(str(unique).upper())
    assert user_name("Bob") != user_name("bob")
    assert user_name(1) == user_name("1") != user_name("1:")


def test_a_format_takes_attributes_of_parameters() -> None:
    assert Format("of:{value.real}:{name}", ("name", "value")).write(("n", 7)) == "of:7:n"


@pytest.mark.parametrize("text", ["{a:>3}", "{a!r}", "{b}", "{}", "{0}"])
def test_other_formats_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"a field is|there is no parameter"):
        Format(text, ("a",))


def test_a_function_of_tags_is_called_as_the_function_is() -> None:
    async def variadic(a: int, *rest: int, b: int = 2, **more: int) -> None:
        """Take anything."""

    parameters = Parameters(variadic)
    tags = TagsOf(lambda a, *rest, b, **more: [str(each) for each in (a, *rest, b, *more.values())], parameters)
    assert tags(parameters.bind((1, 5, 6), {"z": 9})) == ("1", "5", "6", "2", "9")
