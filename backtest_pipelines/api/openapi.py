"""The description of the API in OpenAPI: what FastAPI finds in the routes, and what holds for all of them."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from backtest_pipelines.api.login.scopes import needed
from backtest_pipelines.api.problems import MEDIA_TYPE

TAGS: Final = {
    "execute": "Ask a question and have it answered, at once or in the background.",
    "jobs": "Questions that are answered in the background.",
    "executions": "What was asked through any door, and what became of it.",
    "results": "Answers as they are kept.",
    "strategies": "The variants, and what they can be asked.",
    "metrics": "How often, how long, and what failed.",
    "cache": "What is kept, and invalidating it.",
    "health": "Whether the service is there, and what it works with.",
}
"""Of the routes, in the order in which they are told of."""

_TOKEN: Final = "token"  # noqa: S105 - the name of a way to log in
ANYWHERE: Final = {
    "400": "The request is written as no honest caller writes it",
    "401": "No token, or one that is not known",
    "403": "The caller may not do this",
    "429": "Requests are too many; Retry-After says when to try again",
    "500": "A bug",
    "503": "The database or the web server does not answer; Retry-After says when to try again",
}
"""Errors of any request, by status."""
_WITH_NAME: Final = {"404": "There is no such thing, or not any more"}
_WITH_INPUT: Final = {"422": "A field is wrong"}
_WITH_BODY: Final = {"413": "The body is too large", "415": "The body is not sent as application/json"}


class Problem(BaseModel):
    """An error, after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str = Field(description="what is wrong and what to do, for people")
    field: str | None = Field(None, description="what is wrong, where that is one thing")
    value: Any = Field(None, description="what it was")
    limit: str | None = Field(None, description="what is allowed")


def operation_id(route: APIRoute) -> str:
    """Return the name of a route: unique, and without its path."""
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def describe(app: FastAPI) -> None:
    """Have an app tell the whole: errors, who may ask, and what each route is for."""
    find = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(find())
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI says it is done


def _complete(description: dict[str, Any]) -> None:
    parts = description.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for of_fastapi in ("HTTPValidationError", "ValidationError"):
        schemas.pop(of_fastapi, None)
    schemas["Problem"] = Problem.model_json_schema()
    parts["securitySchemes"] = {_TOKEN: {"type": "http", "scheme": "bearer"}}
    operations = [
        (method, path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    for method, path, operation in operations:
        _complete_operation(method.upper(), path, operation)
    used = {tag for *_, operation in operations for tag in operation["tags"]}
    description["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]


def _complete_operation(method: str, path: str, operation: dict[str, Any]) -> None:
    summary, _, rest = operation.pop("description", "").replace("\n", " ").partition(". ")
    operation["summary"] = summary.rstrip(".")
    if rest:
        operation["description"] = rest
    scope = needed(method, path)
    operation["security"] = [] if scope is None else [{_TOKEN: [scope.word]}]
    errors = {
        **ANYWHERE,
        **(_WITH_NAME if "{" in path else {}),
        **(_WITH_INPUT if "parameters" in operation or "requestBody" in operation else {}),
        **(_WITH_BODY if "requestBody" in operation else {}),
    }
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)  # FastAPI's own form, which is not used
    if scope is None:
        del errors["401"]
    for status, text in errors.items():
        responses.setdefault(status, {"description": text})
    for status, response in responses.items():
        if int(status) >= 400 and "content" not in response:
            response["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    operation["responses"] = dict(sorted(responses.items()))
