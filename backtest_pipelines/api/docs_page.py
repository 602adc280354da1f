"""A page that shows the description of the API: made on the server, so that a browser loads nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from backtest_pipelines.api.html import page
from backtest_pipelines.api.openapi import ANYWHERE

_STYLE: Final = """
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 2.5rem 0 .25rem; font-size: 1.2rem; }
p { margin: .25rem 0 .75rem; color: var(--soft); }
a { color: var(--act); }
details { margin: .4rem 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
summary { padding: .5rem .75rem; cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; color: var(--act); }
summary code { font-weight: 600; }
summary span { color: var(--soft); font-size: .875rem; }
details > div { padding: .25rem .75rem .75rem; border-top: 1px solid var(--line); overflow-x: auto; }
h3 { margin: .75rem 0 .25rem; font-size: .875rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
td { padding: .2rem .75rem .2rem 0; vertical-align: top; border-top: 1px solid var(--line); }
td:last-child { width: 50%; }
pre { margin: .25rem 0; padding: .5rem; background: var(--ground); border-radius: 6px; overflow-x: auto; }
"""
_DEEPEST: Final = 5
_BOUNDS: Final = {"minimum": "from", "maximum": "to", "maxLength": "at most"}

router = APIRouter()

Json = Mapping[str, Any]


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """Show the description of the API."""
    return page("API", _STYLE, _content(request.app.openapi()))


def _content(description: Json) -> str:
    version = escape(description["info"]["version"])
    sections = "".join(_section(description, tag) for tag in description["tags"])
    errors = "".join(_error(status, text) for status, text in ANYWHERE.items())
    return f"""<p>REST API, version {version}. The same for programs: <a href="openapi.json">openapi.json</a>. In the
examples <code>BACKTEST_API_URL</code> is this server's address, and <code>BACKTEST_TOKEN</code> your token.</p>
{sections}
<h2>errors</h2>
<p>Any request may be answered with one of these. Each error is a problem document of RFC 9457.</p>
{errors}"""


def _section(description: Json, tag: Json) -> str:
    operations = "".join(
        _operation(description, method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    )
    return f"<h2>{escape(tag['name'])}</h2>\n<p>{escape(tag['description'])}</p>\n{operations}"


def _operation(description: Json, method: str, path: str, operation: Json) -> str:
    scopes = [scope for way in operation["security"] for scope in way["token"]]
    needs = f"Needs a token of scope {scopes[0]} where there are tokens." if scopes else "Needs no token."
    inputs = [_input(description, each) for each in operation.get("parameters", ())]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    parts = [
        f"<p>{escape(operation.get('description', ''))} {needs}</p>",
        _table("Path and query", inputs),
        _table("Body", list(_fields(description, body)) if body else []),
        *(_answer(description, status, each) for status, each in operation["responses"].items()),
        f"<h3>Example</h3><pre>{escape(_example(method, path, has_body=body is not None))}</pre>",
    ]
    return f"""<details id="{escape(operation["operationId"])}">
<summary><b>{method}</b> <code>{escape(path)}</code> <span>{escape(operation["summary"])}</span></summary>
<div>{"".join(parts)}</div>
</details>
"""


def _input(description: Json, parameter: Json) -> tuple[str, str, str]:
    schema = parameter["schema"]
    return (
        parameter["name"],
        _kind(description, schema),
        _meaning({**schema, **_said(parameter)}, is_required=parameter["required"]),
    )


def _answer(description: Json, status: str, response: Json) -> str:
    told = response["description"]
    if int(status) >= 400:
        return "" if ANYWHERE.get(status) == told else _error(status, told)
    kinds = response.get("content", {})
    schema = kinds.get("application/json", {}).get("schema")
    heading = f"{status} {', '.join(kinds)}"
    return _table(heading, list(_fields(description, schema))) if schema else f"<h3>{escape(heading)}</h3>"


def _error(status: str, text: str) -> str:
    return f"<div><b>{status}</b> {escape(text)}</div>"


def _example(method: str, path: str, *, has_body: bool) -> str:
    words = ["curl"]
    if method != "GET":
        words += ["-X", method]
    words += ["-H", '"Authorization: Bearer $BACKTEST_TOKEN"']
    if has_body:
        words += ["-H", '"Content-Type: application/json"', "-d", "@body.json"]
    return " ".join([*words, f'"$BACKTEST_API_URL{path}"'])


def _table(heading: str, rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(meaning)}</td></tr>"
        for name, kind, meaning in rows
    )
    return f"<h3>{escape(heading)}</h3><table>{cells}</table>"


def _fields(description: Json, schema: Json, name: str = "", depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Yield path, kind and meaning of each field within a schema: `a.b` within an object, `a[]` within a list."""
    schema = _plain(description, schema)
    if depth > _DEEPEST:
        return
    if "properties" in schema:
        required = schema.get("required", ())
        for key, inner in schema["properties"].items():
            path = f"{name}.{key}" if name else key
            yield path, _kind(description, inner), _meaning(_plain(description, inner), is_required=key in required)
            yield from _fields(description, inner, path, depth + 1)
    elif isinstance(schema.get("additionalProperties"), dict):
        yield from _fields(description, schema["additionalProperties"], f"{name}.*", depth + 1)
    elif "items" in schema:
        yield from _fields(description, schema["items"], f"{name}[]", depth + 1)


def _plain(description: Json, schema: Json) -> Json:
    """Return a schema itself: not a reference to it, and not the choice between it and null."""
    choices = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        return {**schema, **_plain(description, choices[0]), **_said(schema)}
    if "$ref" in schema:
        found: Json = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return {**found, **_said(schema)}
    return schema


def _said(schema: Json) -> Json:
    return {"description": schema["description"]} if "description" in schema else {}


def _kind(description: Json, schema: Json) -> str:
    """Return what a value is, in a few words."""
    if "anyOf" in schema:
        return " or ".join(_kind(description, each) for each in schema["anyOf"])
    plain = _plain(description, schema)
    if "enum" in plain:
        return ", ".join(json.dumps(each) for each in plain["enum"])
    if "const" in plain:
        return json.dumps(plain["const"])
    if "prefixItems" in plain:
        return f"[{', '.join(_kind(description, each) for each in plain['prefixItems'])}]"
    if "items" in plain:
        return f"list of {_kind(description, plain['items'])}"
    bounds = [f"{word} {plain[name]}" for name, word in _BOUNDS.items() if name in plain]
    return ", ".join([str(plain.get("type", "anything")), *bounds])


def _meaning(schema: Json, is_required: bool) -> str:
    """Return what a value means, and which default it has."""
    parts = [schema["description"]] if "description" in schema else []
    if not is_required and "default" in schema:
        parts.append(f"default: {json.dumps(schema['default'])}")
    return "; ".join(parts)
