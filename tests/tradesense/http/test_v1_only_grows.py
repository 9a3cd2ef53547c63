"""What clients rely on stays: nothing that stands in `docs/openapi.json` is taken away or asked for anew."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.openapi_document import agreed, current

PROSE: Final = frozenset({"description", "summary", "example", "examples", "title", "default"})


def broken(old: Any, new: Any, path: str = "", *, asked: bool = False) -> Iterator[str]:  # noqa: ANN401 - JSON
    """What of `old` is gone from `new`, or differs; below a request (`asked`), what `new` asks for besides."""
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _members(old, new, path, asked=asked)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _items(old, new, path, asked=asked)
    elif old != new:
        yield f"{path} was {old!r} and is {new!r}"


def _members(old: dict[str, Any], new: dict[str, Any], path: str, *, asked: bool) -> Iterator[str]:
    for key in old.keys() - PROSE - {"required"}:
        if key in new:
            yield from broken(old[key], new[key], f"{path}/{key}", asked=asked or key == "requestBody")
        else:
            yield f"{path}/{key} is gone"
    needed = new.get("required", [])
    if asked and isinstance(needed, list):
        yield from (f"{path} now requires {name}" for name in set(needed) - set(old.get("required", [])))


def _items(old: list[Any], new: list[Any], path: str, *, asked: bool) -> Iterator[str]:
    """Words (of an enumeration, say) and named things (parameters) must still be there."""
    named = {each["name"]: each for each in new if isinstance(each, dict) and "name" in each}
    for each in old:
        name = each.get("name") if isinstance(each, dict) else each
        if isinstance(each, dict) and name in named:
            yield from broken(each, named[name], f"{path}/{name}", asked=asked)
        elif name is not None and name not in new:
            yield f"{path} no longer has {name}"


def test_nothing_that_clients_rely_on_is_taken_away() -> None:
    assert list(broken(agreed(), current())) == []


def test_the_document_in_docs_is_the_applications_own() -> None:
    assert agreed() == current(), "`make openapi` writes docs/openapi.json anew"


@pytest.mark.parametrize(
    "path",
    [
        ("paths", "/api/v1/trades"),
        ("paths", "/api/v1/trades", "get"),
        ("paths", "/api/v1/trades", "get", "responses", "200"),
        ("components", "schemas", "TradeView", "properties", "net_pnl"),
    ],
)
def test_what_is_taken_away_is_found(path: tuple[str, ...]) -> None:
    changed = copy.deepcopy(agreed())
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    assert list(broken(agreed(), changed)) == [f"/{'/'.join(path)} is gone"]


def test_a_parameter_that_is_taken_away_is_found() -> None:
    changed = copy.deepcopy(agreed())
    parameters = changed["paths"]["/api/v1/trades"]["get"]["parameters"]
    parameters[:] = [each for each in parameters if each["name"] != "symbol"]
    assert list(broken(agreed(), changed)) == ["/paths//api/v1/trades/get/parameters no longer has symbol"]
