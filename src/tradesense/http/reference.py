"""The API's reference as a page: plain HTML made of the OpenAPI document, with no script and nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from tradesense.http.openapi import Document, operations

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
summary{cursor:pointer;padding:.3rem 0}code,pre{font-family:ui-monospace,monospace;font-size:.9em}
b.method{display:inline-block;width:4.5rem;text-transform:uppercase}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;border-top:1px solid #d0d7de}
details>*:not(summary){margin-left:4.7rem}pre{overflow-x:auto;background:#f6f8fa;padding:.6rem}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}pre{background:#161b22}a{color:#79c0ff}}
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""What the page may load: its own style, by hash."""


def render(document: Document) -> str:
    """The whole page."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    body = "".join(_sections(document))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>'
        f'<p>{escape(info.get("description", ""))}</p><p><a href="openapi.json">openapi.json</a></p>{body}</html>'
    )


def _sections(document: Document) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, method, operation in operations(document):
        tag = (operation.get("tags") or ["other"])[0]
        by_tag.setdefault(tag, []).append(_operation(path, method, operation))
    for tag, found in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>{''.join(found)}"
    yield "<h2>schemas</h2>"
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield _schema(name, schema)


def _operation(path: str, method: str, operation: Document) -> str:
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    if operation.get("security"):
        parts.append("<p>Needs a session.</p>")
    parts.append(_table("parameter", [(each["name"], _parameter(each)) for each in operation.get("parameters", [])]))
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<p>Body: <code>{escape(media_type)}</code> {_kind(content.get('schema', {}))}</p>")
    parts.append(
        _table("answer", [(status, _response(each)) for status, each in sorted(operation["responses"].items())])
    )
    head = f'<b class="method">{method}</b><code>{escape(path)}</code> {escape(operation.get("summary", ""))}'
    return f'<details id="{escape(operation["operationId"])}"><summary>{head}</summary>{"".join(parts)}</details>'


def _parameter(parameter: Document) -> str:
    needed = " (required)" if parameter.get("required") else ""
    return f"{parameter['in']}{needed}: {_kind(parameter['schema'])} {escape(parameter.get('description', ''))}"


def _response(response: Document) -> str:
    contents = response.get("content", {}).values()
    codes = ", ".join(code for each in contents for code in each.get("examples", {}))
    kinds = " ".join(_kind(each.get("schema", {})) for each in contents)
    return f"{escape(response.get('description', ''))} {kinds} {escape(codes)}"


def _schema(name: str, schema: Document) -> str:
    needed = schema.get("required", [])
    rows = [
        (key, f"{_kind(each)}{' (required)' if key in needed else ''} {escape(each.get('description', ''))}")
        for key, each in schema.get("properties", {}).items()
    ]
    about = f"<p>{escape(schema.get('description', ''))}</p>"
    return f'<details id="{escape(name)}"><summary>{escape(name)}</summary>{about}{_table("field", rows)}</details>'


def _kind(schema: Any) -> str:  # noqa: ANN401 - a schema is whatever JSON it is
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    if alternatives := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(_kind(each) for each in alternatives)
    words = [schema.get("type", "anything"), schema.get("format", ""), " | ".join(map(str, schema.get("enum", [])))]
    return f"<code>{escape(' '.join(word for word in words if word))}</code>"


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = "".join(f"<tr><td><code>{escape(name)}</code><td>{text}" for name, text in rows)
    return f"<table><tr><th>{title}<th>{lines}</table>"
