"""What FastAPI knows of a route, seen from outside: the inputs it declares, and how it would encode a value.

FastAPI is not imported. A route of its own has a `dependant`; one that an included router changes has its effective
form in the scope. Values are encoded by FastAPI's own handler, for a copy of the route whose endpoint gives the value.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import AliasChoices, AliasPath, BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from keel.cache.schema import Schema
from keel.cache.signatures import return_annotation

_VALUE: Final = "keel.value"
_CREDENTIALS: Final = frozenset({b"authorization", b"cookie"})


@dataclass(frozen=True, slots=True)
class Inputs:
    """What of a request an answer depends upon: names of query parameters (None: any), headers and cookies."""

    query: frozenset[str] | None
    headers: tuple[bytes, ...] = ()
    cookies: tuple[str, ...] = ()


def route_of(scope: Scope) -> Any:  # noqa: ANN401 - a route of FastAPI or Starlette
    """The route that was taken, as its routers have changed it."""
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def inputs_of(route: Any, *, own_credentials: bool) -> Inputs:  # noqa: ANN401 - a route of FastAPI or Starlette
    """What a route declares, its dependencies included; all of the query where it cannot say.

    `own_credentials`: who asks is part of the key, so that the headers by which that is known need not be.
    """
    dependant = getattr(route, "dependant", None)
    if dependant is None:
        return Inputs(None)
    found: dict[str, set[str]] = {"query_params": set(), "header_params": set(), "cookie_params": set()}
    is_open = False
    for each in _all(dependant):
        for kind, names in found.items():
            for field in getattr(each, kind):
                names.update(_names(field.name, field.field_info))
                is_open = is_open or (kind == "query_params" and _takes_any(field.field_info))
    headers = {each.replace("_", "-").lower().encode("latin-1", "replace") for each in found["header_params"]}
    headers -= _CREDENTIALS if own_credentials else frozenset()
    query = None if is_open else frozenset(found["query_params"])
    return Inputs(query, tuple(sorted(headers)), tuple(sorted(found["cookie_params"])))


def _all(dependant: Any) -> Iterator[Any]:  # noqa: ANN401 - FastAPI's Dependant
    yield dependant
    for each in dependant.dependencies:
        yield from _all(each)


def _names(name: str, info: Any) -> Iterator[str]:  # noqa: ANN401 - a field of FastAPI
    """The names by which a parameter may be given, those of a model's fields among them."""
    yield from _aliases(info) or [name]
    for model in _models(info):
        for inner, field in model.model_fields.items():
            yield from (inner, *_aliases(field))  # a model may take both; one too many would do no harm


def _aliases(info: Any) -> list[str]:  # noqa: ANN401 - a field of pydantic or FastAPI
    given = info.validation_alias
    choices = given.choices if isinstance(given, AliasChoices) else [given]
    named = [str(each.path[0]) if isinstance(each, AliasPath) else each for each in (*choices, info.alias)]
    return list(dict.fromkeys(each for each in named if each is not None))


def _takes_any(info: Any) -> bool:  # noqa: ANN401 - a field of FastAPI
    return any(model.model_config.get("extra") == "allow" for model in _models(info))


def _models(info: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - a field of pydantic or FastAPI
    for each in (info.annotation, *getattr(info.annotation, "__args__", ())):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def fingerprint(route: Any, function: Any) -> str:  # noqa: ANN401 - a route of FastAPI or Starlette, and its endpoint
    """Of the schema of the answers: a deploy that changes it reads no bytes of before."""
    model = getattr(route, "response_model", None)
    return Schema(return_annotation(function) if model is None else model).fingerprint


async def rendered(value: Any, request: Request, route: Any, own: Response | None) -> Any:  # noqa: ANN401 - the endpoint's
    """The value as the response that FastAPI would make of it; as it is where this is no route of FastAPI.

    `own` is the Response that the function was handed, whose headers are added.
    """
    if isinstance(value, Response) or getattr(route, "dependant", None) is None:
        return value
    response = await _handler(request.scope["route"], route)(_with(request, value))
    response.raw_headers.extend([] if own is None else own.raw_headers)
    return response


def _with(request: Request, value: Any) -> Request:  # noqa: ANN401 - the endpoint's
    return Request({**request.scope, _VALUE: value}, request.receive)


async def _given(request: Request) -> Any:  # noqa: ANN401 - the endpoint's
    return request.scope[_VALUE]


def _handler(route: Any, effective: Any) -> Any:  # noqa: ANN401 - a route of FastAPI, and the handler it makes
    """FastAPI's handler for a copy of the route that depends on nothing and gives the value at hand."""
    twin = copy.copy(route)
    for name, setting in vars(effective).items():
        if hasattr(twin, name):
            setattr(twin, name, setting)
    twin.dependant = type(effective.dependant)(call=_given, request_param_name="request")
    twin.body_field = None
    fastapis_own: Any = next(each for each in type(twin).__mro__ if each.__module__.startswith("fastapi."))
    return fastapis_own.get_route_handler(twin)
