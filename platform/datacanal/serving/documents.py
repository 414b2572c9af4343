"""The OpenAPI document, complete: bodies that we parse ourselves, problems, and nothing that is never answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from datacanal.protocol.problem import Problem
from datacanal.serving.problems import PROBLEM_TYPE

_REFERENCE = "#/components/schemas/{model}"
_REASONS = {
    400: "the request itself is wrong",
    401: "no valid token",
    403: "not permitted",
    404: "there is no such thing, or it belongs to somebody else",
    406: "the Accept header does not allow the format",
    408: "the body did not arrive in time",
    409: "in conflict with what is",
    410: "it is gone",
    413: "the body is too large",
    415: "the body is not JSON",
    416: "the range does not fit",
    422: "understood, but refused",
    429: "too much at once",
    503: "not now",
}
_ALWAYS = (400, 401, 403)
_WITH_BODY = (408, 413, 415)


def problems(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """The failures of a route, for its documentation."""
    schema = {"schema": {"$ref": _REFERENCE.format(model="Problem")}}
    every = sorted({*_ALWAYS, *statuses, *(_WITH_BODY if body else ())})
    return {status: {"description": _REASONS[status], "content": {PROBLEM_TYPE: schema}} for status in every}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """The documentation of a body that the route reads by `read_document`."""
    schema = {"$ref": _REFERENCE.format(model=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def document(app: FastAPI, bodies: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """The OpenAPI document of the application, whose routes read bodies of these models."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas: dict[str, Any] = made.setdefault("components", {}).setdefault("schemas", {})
    models: list[type[BaseModel]] = [Problem, *bodies]
    _, ours = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    for name, schema in ours["$defs"].items():
        schemas.setdefault(name, schema)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for schema in list(schemas.values()):
        _require_tags(schema, schemas)
    for operation in (operation for path in made["paths"].values() for operation in path.values()):
        _drop_default_422(operation)
    return made


def _drop_default_422(operation: dict[str, Any]) -> None:
    """The framework adds its own validation answer, which is never given here."""
    given = operation["responses"].get("422", {}).get("content", {})
    if "application/json" in given:
        del operation["responses"]["422"]


def _require_tags(schema: Any, schemas: dict[str, Any]) -> None:
    """A union is told apart by a field that must be there, although it has only one value and so a default."""
    if isinstance(schema, list):
        for item in schema:
            _require_tags(item, schemas)
    elif isinstance(schema, dict):
        # The document's discriminators know only texts, and ours is a truth value too; the constants say the same.
        tag = schema.pop("discriminator", {}) if isinstance(schema.get("discriminator"), dict) else {}
        for reference in tag.get("mapping", {}).values() if "propertyName" in tag else ():
            required = schemas[reference.rpartition("/")[2]].setdefault("required", [])
            if tag["propertyName"] not in required:
                required.append(tag["propertyName"])
        for item in list(schema.values()):
            _require_tags(item, schemas)
