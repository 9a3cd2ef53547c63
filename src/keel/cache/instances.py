"""Instances of a program's own classes: which of them are data, what is in them, and how they are put together again.

Nothing is imported or called that bytes name. A class is found only where its module is imported already, only if it is
a Struct, a dataclass, a Pydantic model, a NamedTuple or an Enum, and only if its fields are those of the bytes.
"""

import dataclasses
import sys
from enum import Enum, Flag
from typing import Any, Final, cast

import msgspec
from pydantic import BaseModel

from keel.cache.schema import class_fingerprint, is_namedtuple, name_of

_HEAP_TYPE: Final = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class made by a class statement


class Unencodable(TypeError):
    """The value cannot be written such that it would come back as what it was; the message says what to do."""


class Undecodable(ValueError):
    """The bytes are not what is looked for: of another version, or damaged."""


def taken_apart(value: object) -> list[object]:
    """Name and fingerprint of the value's class, and what is in it; raises Unencodable where it is no data."""
    kind = type(value)
    fields = fields_of(kind)
    if fields is None:
        raise Unencodable(
            f"{name_of(kind)} cannot be cached: return builtins, a dataclass, a msgspec.Struct, a NamedTuple or a "
            "Pydantic model"
        )
    if _find(name_of(kind)) is not kind:
        raise Unencodable(
            f"{name_of(kind)} could not be found again by its name: define it at the top of a module, or annotate what "
            "the function returns"
        )
    return [name_of(kind), class_fingerprint(kind), *_state(value, fields)]


def put_together(name: str, expected: str, *state: object) -> object:
    """The instance that `taken_apart` described; raises Undecodable where its class is gone or has changed."""
    kind = _find(name)
    fields = None if kind is None else fields_of(kind)
    if kind is None or fields is None:
        raise Undecodable(f"no class of that name holds data here: {name}")
    if class_fingerprint(kind) != expected:
        raise Undecodable(f"{name} has changed")
    if issubclass(kind, BaseModel):
        return _model(kind, *state)
    if len(fields) != len(state):
        raise Undecodable(f"{name} has {len(fields)} fields, not {len(state)}")
    return _instance(kind, fields, state)


def _find(name: str) -> type | None:
    """The class of that `module:qualname`, if its module is imported; nothing is imported or called to find it."""
    module, _, qualname = name.partition(":")
    found: object = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)  # not getattr: a module's __getattr__ may import
    return found if isinstance(found, type) else None


def fields_of(kind: type) -> tuple[str, ...] | None:
    """What is written of an instance, by name; None for a class that is no data."""
    if issubclass(kind, Enum):
        return ("value" if issubclass(kind, Flag) else "name",)
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if issubclass(kind, BaseModel):
        return tuple(kind.model_fields)
    if is_namedtuple(kind):
        return cast("tuple[str, ...]", kind._fields)  # type: ignore[attr-defined]
    if dataclasses.is_dataclass(kind) and all(base.__flags__ & _HEAP_TYPE for base in kind.__mro__[:-1]):
        return tuple(each.name for each in dataclasses.fields(kind))
    return None  # a dataclass that extends a class written in C is more than its fields


def _state(value: object, fields: tuple[str, ...]) -> list[object]:
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, BaseModel):
        return _model_state(value)
    try:
        return [getattr(value, name) for name in fields]
    except AttributeError as error:
        raise Unencodable(f"{name_of(type(value))} cannot be cached while it is incomplete: {error}") from None


def _model_state(model: BaseModel) -> list[object]:
    """All that makes a model, as Pydantic itself would pickle it, save what properties have remembered."""
    state = cast("dict[str, Any]", BaseModel.__getstate__(model))
    fields = type(model).model_fields
    values = {name: each for name, each in state["__dict__"].items() if name in fields}
    if len(values) != len(fields):
        raise Unencodable(f"{name_of(type(model))} cannot be cached while it is incomplete")
    return [values, state["__pydantic_fields_set__"], state["__pydantic_extra__"], state["__pydantic_private__"]]


def _model(
    kind: type[BaseModel],
    values: Any = None,  # noqa: ANN401 - whatever was in the bytes
    fields_set: Any = None,  # noqa: ANN401 - the same
    extra: Any = None,  # noqa: ANN401 - the same
    private: Any = None,  # noqa: ANN401 - the same
) -> BaseModel:
    if values.keys() != kind.model_fields.keys() or not fields_set <= values.keys() | (extra or {}).keys():
        raise Undecodable(f"{name_of(kind)} has other fields")
    model = kind.__new__(kind)
    BaseModel.__setstate__(
        model,
        {
            "__dict__": values,
            "__pydantic_fields_set__": fields_set,
            "__pydantic_extra__": extra,
            "__pydantic_private__": private,
        },
    )
    return model


def _instance(kind: type, fields: tuple[str, ...], state: tuple[object, ...]) -> object:
    if issubclass(kind, Flag):
        return kind(state[0])
    if issubclass(kind, Enum):
        return kind[cast("str", state[0])]
    if issubclass(kind, msgspec.Struct):
        return kind(**dict(zip(fields, state, strict=True)))
    if issubclass(kind, tuple):
        return tuple.__new__(kind, state)
    instance = object.__new__(kind)  # its __init__ has run when it was made; what that did is in the fields
    for field, each in zip(fields, state, strict=True):
        object.__setattr__(instance, field, each)
    return instance
