"""What a call is: the values of its parameters, whatever way it was written, and the names that are made of them."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from string import Formatter
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints
from uuid import UUID

from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection
from starlette.responses import Response

from keel.cache.canonical import digest
from keel.context import Principal

Arguments = tuple[Any, ...]
"""The values of all parameters, in their order, defaults filled in."""

RECEIVERS: Final = frozenset({"self", "cls"})
_LONGEST_WORD: Final = 64
_UNSAFE: Final = re.compile(r"[%:{}*\x00-\x20\x7f\ud800-\udfff]")
_PLAIN: Final = (str, int, UUID, Decimal, date)
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_VARIADIC: Final = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def word(value: object) -> str:
    """A value as one word of a key or tag: no separator, brace or pattern can be smuggled in with it.

    Most values stay as they are; what could be mistaken is escaped as `%3a`, what is long is hashed. Raises TypeError
    for what is no plain value: str, int, UUID, Decimal, date, Enum, bool or None.
    """
    if value is None or isinstance(value, bool):
        return f"%{value}"
    if isinstance(value, Enum):
        return word(value.value)
    if not isinstance(value, _PLAIN):
        raise TypeError(f"{type(value).__qualname__} cannot be a word of a key or tag: name one of its attributes")
    text = str(value)
    if len(text) > _LONGEST_WORD:
        return f"%#{digest(text)}"
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02x}"


@lru_cache(maxsize=4096, typed=True)
def user_name(principal: Principal) -> str:
    """A principal as keys and tags know it: a UUID and its text, in whichever case, are the same one."""
    text = str(principal)
    return text.lower() if _UUID.fullmatch(text) else word(text)


class Parameters:
    """The parameters of a function; `key_names` are those whose values tell one call from another.

    That is all of them but what was injected (a default or annotation with a `dependency`, as FastAPI's `Depends`),
    Starlette's Request, Response and BackgroundTasks, the receiver of a method, and `besides`. A receiver is part of a
    key by its class alone, or by what its class's `__cache_key__` gives.
    """

    def __init__(self, function: Callable[..., Any], besides: frozenset[str] = frozenset()) -> None:
        self.signature = signature_of(function)
        parameters = list(self.signature.parameters.values())
        self.names = tuple(each.name for each in parameters)
        self.receiver = bool(self.names) and self.names[0] in RECEIVERS
        self.has_injected = any(_is_injected(each) for each in parameters)
        self._has_variadic = any(each.kind in _VARIADIC for each in parameters)
        self._positional = sum(each.kind in _POSITIONAL for each in parameters)
        is_plain = not self._has_variadic and self._positional == len(self.names)
        self.plain_count = len(self.names) if is_plain else -1
        """So many arguments by position alone are the values themselves; -1 where none are."""
        self._shapes: dict[tuple[Any, ...], _Shape] = {}
        skipped = {each.name for each in parameters if _is_injected(each) or class_in(each, HTTPConnection, *_OUTGOING)}
        left_out = skipped | besides | set(self.names[:1] if self.receiver else ())
        self.key_names = tuple(name for name in self.names if name not in left_out)
        self._key_at = tuple(self.names.index(name) for name in self.key_names)
        self.is_whole = self.key_names == self.names

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        """The values of all parameters; raises TypeError where the function could not be called so."""
        if self._has_variadic:
            return self._bound(args, kwargs)
        if not kwargs and len(args) == self.plain_count:
            return args
        called = (len(args), *kwargs)
        shape = self._shapes.get(called)
        if shape is None:
            shape = self._shapes[called] = self._shape(args, kwargs)
        return tuple([args[at] if name is None else kwargs.get(name, default) for at, name, default in shape])

    def key_values(self, arguments: Arguments) -> Arguments:
        """Those values that tell one call from another."""
        return arguments if self.is_whole else tuple([arguments[at] for at in self._key_at])

    def named(self, arguments: Arguments) -> dict[str, Any]:
        """The values by name."""
        return dict(zip(self.names, arguments, strict=True))

    def find(self, *classes: type) -> str | None:
        """The first parameter that is annotated with one of the classes."""
        return next((name for name, each in self.signature.parameters.items() if class_in(each, *classes)), None)

    def _bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return tuple(bound.arguments[name] for name in self.names)

    def _shape(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "_Shape":
        self.signature.bind(*args, **kwargs)  # to refuse what could not be called
        parameters = self.signature.parameters.values()
        return tuple((at, None if at < len(args) else each.name, each.default) for at, each in enumerate(parameters))


_Shape = tuple[tuple[int, str | None, Any], ...]
_OUTGOING: Final = (Response, BackgroundTasks)
_POSITIONAL: Final = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature, with annotations evaluated where that is possible already."""
    try:
        return inspect.signature(function, eval_str=True)
    except NameError:
        return inspect.signature(function)


def return_annotation(function: Callable[..., Any]) -> object:
    """What the function says it returns; a text where that stands for nothing yet, Any where it says nothing."""
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        hints = function.__annotations__
    return hints.get("return", Any)


def class_in(parameter: inspect.Parameter, *classes: type) -> bool:
    """Whether the parameter is annotated with one of the classes, or with a class that extends one."""
    annotation = parameter.annotation
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, str):
        return annotation.rpartition(".")[2] in {each.__name__ for each in (*classes, *_known(classes))}
    return isinstance(annotation, type) and issubclass(annotation, classes)


def _known(classes: Iterable[type]) -> Iterable[type]:
    found: list[type] = []
    for known in classes:
        found.extend(known.__subclasses__())
    return found


def _is_injected(parameter: inspect.Parameter) -> bool:
    metadata = getattr(parameter.annotation, "__metadata__", ())
    return any(hasattr(each, "dependency") for each in (parameter.default, *metadata))


class Format:
    """A name with the values of parameters in it: `"account:{account_id}"`, `"user:{user.id}"`.

    Raises ValueError for a field that is no parameter, and for conversions: each field becomes one `word`.
    """

    def __init__(self, text: str, names: tuple[str, ...]) -> None:
        self._parts: list[tuple[str, int | None, tuple[str, ...]]] = []
        for literal, field, spec, conversion in Formatter().parse(text):
            if spec or conversion:
                raise ValueError(
                    f"{text!r}: a field is a parameter or an attribute of one, without a format of its own"
                )
            name, *attributes = (field or "").split(".")
            if field is not None and name not in names:
                raise ValueError(f"{text!r}: there is no parameter {name!r}; there are {', '.join(names) or 'none'}")
            self._parts.append((literal, None if field is None else names.index(name), tuple(attributes)))

    def write(self, arguments: Arguments) -> str:
        """The name for these arguments."""
        return "".join(
            literal if at is None else literal + word(_attribute(arguments[at], attributes))
            for literal, at, attributes in self._parts
        )


def _attribute(value: object, attributes: tuple[str, ...]) -> object:
    for name in attributes:
        value = getattr(value, name)
    return value


Tags = tuple[str, ...] | list[str] | Callable[..., Iterable[str]]
"""Names, with values of parameters in them where they are formats; or a function of the arguments that gives them."""
Key = str | Callable[..., str]
"""A name with values of parameters in it, or a function of the arguments that gives one word."""


class TagsOf:
    """The tags of a call."""

    def __init__(self, tags: Tags, parameters: Parameters) -> None:
        self._parameters = parameters
        self._call = tags if callable(tags) else None
        self._formats = () if callable(tags) else tuple(Format(each, parameters.names) for each in tags)

    def __call__(self, arguments: Arguments) -> tuple[str, ...]:
        """The tags; what a function gives is taken as it is."""
        if self._call is not None:
            return tuple(called(self._call, self._parameters, arguments))
        formats = self._formats
        return tuple([each.write(arguments) for each in formats]) if formats else ()


def called(function: Callable[..., Any], parameters: Parameters, arguments: Arguments) -> Any:  # noqa: ANN401 - its own
    """Call a function with the arguments of another, as they would be written."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for (name, each), value in zip(parameters.signature.parameters.items(), arguments, strict=True):
        if each.kind is each.VAR_POSITIONAL:
            positional.extend(value)
        elif each.kind is each.VAR_KEYWORD:
            named.update(value)
        elif each.kind is each.KEYWORD_ONLY:
            named[name] = value
        else:
            positional.append(value)
    return function(*positional, **named)
