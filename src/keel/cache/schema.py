"""What a type looks like from outside, as text: the same in every process, another one once its fields change."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, cast, get_args, get_origin

import msgspec
from pydantic import BaseModel

_OPEN: Final = frozenset({Any, object, list, dict, tuple, set, frozenset})
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


def class_fingerprint(cls: type) -> str:
    """The fingerprint of a class, remembered."""
    return _remembered(cls)


@lru_cache(maxsize=1024)
def _remembered(annotation: object) -> str:
    return Schema(annotation).fingerprint


def name_of(cls: type) -> str:
    """Where the class lies: `module:qualname`."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_namedtuple(cls: type) -> bool:
    """Whether its instances are tuples with names."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


class Schema:
    """An annotation as text. A class that comes again inside itself is described once.

    `classes` are all that were met; `is_open` says that there are parts of which nothing is known.
    """

    def __init__(self, annotation: object) -> None:
        self.classes: set[type] = set()
        self.is_open = False
        self._aliases: set[int] = set()
        self.text = self._of(annotation)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with the schema: names and types of fields, which have defaults, enum members."""
        return blake2b(self.text.encode("utf-8", "backslashreplace"), digest_size=8).hexdigest()

    def _of(self, annotation: object) -> str:
        if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
            self.is_open |= annotation in _OPEN
            return self._class(annotation)
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is typing.Literal:
            return f"Literal[{arguments!r}]"
        if origin is typing.Annotated:
            return f"{self._of(arguments[0])}!{_text(arguments[1:])}"
        if origin is not None:
            name = "|" if origin in (typing.Union, types.UnionType) else self._origin(origin)
            return f"{name}[{','.join(map(self._of, arguments))}]"
        if isinstance(annotation, list):  # the parameters of a Callable
            return f"[{','.join(map(self._of, annotation))}]"
        self.is_open |= annotation is Any or isinstance(annotation, typing.TypeVar)
        return self._alias(annotation)

    def _alias(self, annotation: object) -> str:
        """A NewType or a type alias, which may refer to itself; else whatever it calls itself."""
        name = _text(annotation)
        for attribute in ("__supertype__", "__value__"):
            if hasattr(annotation, attribute) and id(annotation) not in self._aliases:
                self._aliases.add(id(annotation))
                return f"{name}={self._of(getattr(annotation, attribute))}"
        return name

    def _origin(self, origin: object) -> str:
        return self._class(origin) if isinstance(origin, type) else _text(origin)

    def _class(self, cls: type) -> str:
        name = name_of(cls)
        if cls in self.classes:
            return name
        self.classes.add(cls)
        if issubclass(cls, Enum):
            return f"{name}<{[(key, _text(each.value)) for key, each in cls.__members__.items()]}>"
        fields = _fields(cls)
        if fields is None:
            return name
        described = (f"{key}{'=' if has_default else ':'}{self._of(hint)}" for key, hint, has_default in fields)
        return f"{name}{{{','.join(described)}}}{_form(cls)}"


def _text(value: object) -> str:
    """`repr`, without what differs between two runs: addresses, and the order of sets."""
    if isinstance(value, set | frozenset):
        return f"{{{','.join(sorted(map(_text, value)))}}}"
    if type(value) in (tuple, list):
        return f"({','.join(map(_text, cast('tuple[object, ...]', value)))})"
    return _ADDRESS.sub("", repr(value))


def _fields(cls: type) -> list[tuple[str, object, bool]] | None:
    """Name, type and whether there is a default, of each field; None for a class that is no data."""
    defaults = _defaults(cls)
    if defaults is None:
        return None
    hints = _hints(cls)
    return [(name, hints.get(name, Any), has_default) for name, has_default in defaults.items()]


def _defaults(cls: type) -> dict[str, bool] | None:
    if issubclass(cls, msgspec.Struct):
        names, defaults = cls.__struct_fields__, cls.__struct_defaults__
        defaults = (msgspec.NODEFAULT,) * (len(names) - len(defaults)) + defaults
        return {name: default is not msgspec.NODEFAULT for name, default in zip(names, defaults, strict=True)}
    if issubclass(cls, BaseModel):
        return {name: not each.is_required() for name, each in cls.model_fields.items()}
    if dataclasses.is_dataclass(cls):
        missing = dataclasses.MISSING
        return {
            each.name: (each.default, each.default_factory) != (missing, missing) for each in dataclasses.fields(cls)
        }
    if is_namedtuple(cls):
        given: Mapping[str, object] = getattr(cls, "_field_defaults", {})
        return {name: name in given for name in cls._fields}  # type: ignore[attr-defined]
    if typing.is_typeddict(cls):
        return {name: name in cls.__optional_keys__ for name in cls.__annotations__}  # type: ignore[attr-defined]
    return None


def _hints(cls: type) -> Mapping[str, object]:
    """The types of fields; as they are written where they name what is imported for type checking alone."""
    if issubclass(cls, BaseModel):
        return {name: field.rebuild_annotation() for name, field in cls.model_fields.items()}
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return {name: hint for base in reversed(cls.__mro__) for name, hint in inspect.get_annotations(base).items()}


def _form(cls: type) -> str:
    """What else decides how instances are written: defaults, where they are left out, and the layout of a Struct."""
    if issubclass(cls, BaseModel):
        return _text([(each.default, each.default_factory) for each in cls.model_fields.values()])
    if not issubclass(cls, msgspec.Struct):
        return ""
    config = cls.__struct_config__
    defaults = _text(cls.__struct_defaults__) if config.omit_defaults else ""
    return f"({cls.__struct_encode_fields__},{config.array_like},{config.tag_field},{config.tag},{defaults})"
