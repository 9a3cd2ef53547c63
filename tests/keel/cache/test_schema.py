"""Types as text."""

import dataclasses
from types import GenericAlias
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar

import msgspec
import pytest
from pydantic import BaseModel, Field, create_model

from keel.cache.schema import Schema, class_fingerprint

T = TypeVar("T")
named_tuple: Any = NamedTuple  # mypy reads the special forms only where they make a type of its own
typed_dict: Any = TypedDict


def struct(*fields: Any, **options: Any) -> type:  # noqa: ANN401 - as defstruct takes them
    return msgspec.defstruct("C", fields, module="m", **options)


def data_class(*fields: Any) -> type:  # noqa: ANN401 - as make_dataclass takes them
    cls = dataclasses.make_dataclass("C", fields)
    cls.__module__ = "m"
    return cls


def model(**fields: Any) -> type[BaseModel]:  # noqa: ANN401 - as create_model takes them
    return create_model("C", __module__=__name__, **fields)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (data_class(("a", int)), data_class(("b", int))),
        (data_class(("a", int)), data_class(("a", str))),
        (data_class(("a", int)), data_class(("a", int, 1))),
        (data_class(("a", data_class(("x", int)))), data_class(("a", data_class(("x", str))))),
        (struct(("a", int)), struct(("a", str))),
        (struct(("a", int)), struct(("a", int, 1))),
        (struct(("a", int)), struct(("a", int), ("b", int))),
        (struct(("a", int)), struct(("a", int), rename="upper")),
        (struct(("a", int)), struct(("a", int), array_like=True)),
        (struct(("a", int)), struct(("a", int), tag=True)),
        (struct(("a", int, 1), omit_defaults=True), struct(("a", int, 2), omit_defaults=True)),
        (model(a=(int, ...)), model(b=(int, ...))),
        (model(a=(int, ...)), model(a=(str, ...))),
        (model(a=(int, ...)), model(a=(int, 1))),
        (model(a=(int, 1)), model(a=(int, 2))),
        (model(a=(Annotated[int, Field(gt=1)], ...)), model(a=(Annotated[int, Field(gt=2)], ...))),
        (named_tuple("C", [("a", int)]), named_tuple("C", [("a", str)])),
        (typed_dict("C", {"a": int}), typed_dict("C", {"a": str})),
        (typed_dict("C", {"a": int}), typed_dict("C", {"a": int}, total=False)),
        (NewType("N", int), NewType("N", str)),
        (Literal["a"], Literal["b"]),
        (list[int], list[str]),
        (tuple[int], tuple[int, ...]),
        (int | None, int),
    ],
)
def test_another_schema_has_another_fingerprint(one: object, other: object) -> None:
    assert Schema(one).fingerprint != Schema(other).fingerprint


def test_the_same_schema_has_the_same_fingerprint() -> None:
    one, other = (model(a=(frozenset[str], frozenset(words))) for words in (("x", "y", "z"), ("z", "y", "x")))
    assert Schema(one).fingerprint == Schema(other).fingerprint
    assert class_fingerprint(data_class(("a", int))) == class_fingerprint(data_class(("a", int)))
    assert Schema(Optional[int]).text == Schema(int | None).text  # noqa: UP045 - both ways of writing it


class Node(BaseModel):
    label: str
    children: "list[Node]" = []


@dataclasses.dataclass
class Unknown:
    a: "NotThere"  # type: ignore[name-defined]  # noqa: F821 - a name for the type checker alone


class Bare(BaseModel, Generic[T]):
    item: T


class Alias:
    """A type alias of Python 3.12, which may refer to itself."""

    def __init__(self) -> None:
        self.__value__ = GenericAlias(list, (self,))

    def __repr__(self) -> str:
        return "Alias"


def test_what_comes_again_inside_itself_is_described_once() -> None:
    assert Schema(Node).text.count("label") == 1
    assert Schema(Alias()).text == "Alias=builtins:list[Alias]"


def test_a_name_that_stands_for_nothing_is_taken_as_it_is_written() -> None:
    assert "NotThere" in Schema(Unknown).text


@pytest.mark.parametrize("annotation", [Any, object, list, dict[str, Any], Bare, list[T]])  # type: ignore[valid-type]
def test_a_part_of_which_nothing_is_known_makes_a_schema_open(annotation: object) -> None:
    assert Schema(annotation).is_open


@pytest.mark.parametrize("annotation", [int, Node, list[int], dict[str, Node | None], Bare[int]])
def test_a_schema_of_known_parts_is_closed(annotation: object) -> None:
    assert not Schema(annotation).is_open
