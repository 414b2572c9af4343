"""The gateway's OpenAPI documents: one for the whole of it, one for each version of a product with all its filters."""

from __future__ import annotations

from typing import Any

from datacanal.gateway.negotiation import MEDIA_TYPES, MOST_ROWS, Format
from datacanal.gateway.typing_rules import example_of, json_schema, operators_of
from datacanal.gateway.view import Product, Release
from datacanal.products.manifest import Column, Manifest
from datacanal.products.query import DEFAULT_LIMIT, OWN_NAMES
from datacanal.protocol.problem import Problem

_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_NAME = {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}$"}
_HEADERS = (
    "ETag",
    "Link",
    "Datacanal-Snapshot",
    "Datacanal-As-Of",
    "Datacanal-Version",
    "Datacanal-Usage",
    "Datacanal-Receipt",
    "Datacanal-Reserved",
    "Datacanal-Warning",
    "Idempotency-Replayed",
    "RateLimit-Policy",
    "RateLimit",
)
_CODES = {
    "400": "a parameter is not valid; `invalid_parameters` in `data` names each",
    "401": "no token or API key, or one that does not hold",
    "403": "no subscription, or the key is not for this",
    "404": "there is no such product, version or snapshot for the caller",
    "405": "the address knows other methods",
    "406": "the Accept headers allow none of what there is",
    "408": "the request did not arrive in time",
    "409": "the Idempotency-Key was used for another request, or its call is being answered",
    "410": "the product was retired, or the snapshot is not kept any more",
    "413": "the body is too large",
    "414": "the address is too long",
    "415": "the body is no JSON",
    "422": "the query takes longer than is allowed",
    "429": "a quota is used up, or too many calls came: `violated-policies` in `data`, Retry-After",
    "431": "the head is too long",
    "503": "too much is asked at once",
}
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
    "description": "the same key and query again: the same answer, paid once",
}
_DESCRIPTION = """Every answer of `/data` belongs to one immutable snapshot, named by `Datacanal-Snapshot`.
Its `ETag` is known before anything is read: `If-None-Match` costs no scan. The next page is the whole link of
`page.next` (or of the `Link` header); it stays on the snapshot. Numbers that a double cannot hold are strings.

A long answer is streamed: in NDJSON its last line is `{"end": {…}}` or `{"error": {…}}`, in Arrow its last batch is
empty and carries `datacanal.end` as metadata. An answer that lacks its end is not whole.

Every answer of `/data` is charged once, before its first byte; `Datacanal-Receipt` names what stands in the ledger.
A long one is reserved (`Datacanal-Reserved`) and settled with what was sent. The same `Idempotency-Key` and query
give the same answer again for nothing. `304`, HEAD, samples and failures cost nothing. What is left stands in
`RateLimit`."""


def general_document() -> dict[str, Any]:
    """What holds for every product."""
    name = _path_parameter()
    product = "/v1/products/{product}"
    free = [_query("column", _OBJECT, "`column=v1,v2` or `column.op=v`: filters on the product's columns", free=True)]
    return {
        **_head("Data products of this gateway", "1"),
        "paths": {
            "/v1/products": _get("catalogue", "Products that hold the words of `q`", _catalogue_parameters()),
            product: _get("product", "A product with its documentation and contract", [name]),
            f"{product}/data": _data("data", [name, *free, *_own_parameters(None)], _OBJECT),
            f"{product}/schema": _get("schema", "The columns", [name, *_choice_parameters()]),
            f"{product}/openapi.json": _get("document", "This document for one product", [name, *_choice_parameters()]),
            f"{product}/sample": _data("sample", [name], _OBJECT, summary="Its first rows"),
            f"{product}/versions": _get("versions", "Versions that were served", [name]),
            f"{product}/condition": _get(
                "condition", "The condition of each session", [name, *_condition_parameters()]
            ),
            f"{product}/estimate": _estimate([name]),
            f"{product}/entitlements": _get("entitlement", "What the caller may have of it, and what is left", [name]),
            "/v1/entitlements": _get("entitlements", "The same for all that the caller has subscribed to", []),
            "/openapi.json": _get("openapi", "This document", [], open_=True),
            "/health": _get("health", "Whether the gateway answers, and reads the newest state", [], open_=True),
        },
    }


def product_document(product: Product, release: Release) -> dict[str, Any]:
    """What holds for this version of this product."""
    manifest = release.manifest
    path = f"/v1/products/{product.name}"
    row = _row(manifest)
    return {
        **_head(product.title, release.version, product.description),
        "paths": {
            f"{path}/data": _data("data", [*_filters(manifest), *_own_parameters(manifest)], row),
            f"{path}/sample": _data("sample", [], row, summary="Its first rows"),
            path: _get("product", "The product with its documentation and contract", []),
            f"{path}/schema": _get("schema", "The columns", _choice_parameters()),
            f"{path}/versions": _get("versions", "Versions that were served", []),
            f"{path}/condition": _get("condition", "The condition of each session", _condition_parameters()),
            f"{path}/estimate": _estimate([]),
            f"{path}/entitlements": _get("entitlement", "What the caller may have of it, and what is left", []),
        },
    }


def _head(title: str, version: str, more: str = "") -> dict[str, Any]:
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = problem.pop("$defs", {})
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, "description": f"{more}\n\n{_DESCRIPTION}".strip()},
        "security": [{"token": []}],
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "an API key (dck_…) or a token (dct_…)"}
            },
            "schemas": {"Problem": problem, **definitions},
        },
    }


def _get(name: str, summary: str, parameters: list[dict[str, Any]], *, open_: bool = False) -> dict[str, Any]:
    said = {"description": summary, "content": {"application/json": {"schema": _OBJECT}}}
    operation = {"operationId": name, "summary": summary, "parameters": parameters, "responses": _answers(said)}
    return {"get": {**operation, "security": []} if open_ else operation}


def _data(
    name: str, parameters: list[dict[str, Any]], row: dict[str, Any], summary: str = "Rows of the product"
) -> dict[str, Any]:
    content = {media: {"schema": _TEXT} for media in MEDIA_TYPES.values()}
    content[MEDIA_TYPES[Format.JSON]] = {"schema": _envelope(row)}
    headers = {each: {"schema": _TEXT} for each in _HEADERS}
    said = {"description": summary, "headers": headers, "content": content}
    given = [*parameters, _IDEMPOTENCY_KEY] if name == "data" else parameters
    return {"get": {"operationId": name, "summary": summary, "parameters": given, "responses": _answers(said)}}


def _estimate(parameters: list[dict[str, Any]]) -> dict[str, Any]:
    body = {
        "anyOf": [
            {"type": "object", "properties": {"query": _TEXT}, "required": ["query"], "additionalProperties": False},
            {"type": "object", "additionalProperties": {"anyOf": [_TEXT, {"type": "integer"}, {"type": "boolean"}]}},
        ]
    }
    said = {"description": "rows, bytes and units of that query", "content": {"application/json": {"schema": _OBJECT}}}
    return {
        "post": {
            "operationId": "estimate",
            "summary": "What a query would come to",
            "parameters": parameters,
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": _answers(said),
        }
    }


def _answers(said: dict[str, Any]) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    problem = {"application/problem+json": {"schema": schema}}
    failures = {code: {"description": text, "content": problem} for code, text in _CODES.items()}
    unchanged = {"description": "what the caller has (If-None-Match) is what it would get"}
    return {"200": said, "304": unchanged, **failures}


def _filters(manifest: Manifest) -> list[dict[str, Any]]:
    return [each for column in manifest.columns for each in _column_filters(column)]


def _column_filters(column: Column) -> list[dict[str, Any]]:
    operators = operators_of(column.type)
    example = example_of(column.type)
    found = [
        _query(f"{column.name}.{each}", _TEXT, f"{column.type}: {each}", "true" if each == "isnull" else example)
        for each in operators
    ]
    if operators and column.name not in OWN_NAMES:
        found.insert(0, _query(column.name, _TEXT, f"{column.type}: one of these values, by commas", example))
    return found


def _own_parameters(manifest: Manifest | None) -> list[dict[str, Any]]:
    names = ",".join(column.name for column in manifest.columns[:2]) if manifest else None
    order = f"-{manifest.key[0]}" if manifest else None
    most = max(MOST_ROWS.values())
    limit = {"type": "integer", "minimum": 1, "maximum": most, "default": DEFAULT_LIMIT}
    says = f"rows of a page; at most {MOST_ROWS[Format.JSON]} in JSON, {most} in the other formats"
    return [
        _query("select", _TEXT, "columns, by commas; all where absent", names),
        _query("order", _TEXT, "columns of the key, by commas; - is descending", order),
        _query("limit", limit, says, DEFAULT_LIMIT),
        *_choice_parameters(),
        _query("cursor", _TEXT, "from `page.next`; with none of as_of, snapshot, channel"),
    ]


def _choice_parameters() -> list[dict[str, Any]]:
    return [
        _query("as_of", {"type": "string", "format": "date-time"}, "what was stable then", "2026-03-31T08:00:00Z"),
        _query("snapshot", _TEXT, "this very snapshot"),
        _query("channel", {"type": "string", "enum": ["stable", "canary"]}, "where this channel points now"),
    ]


def _condition_parameters() -> list[dict[str, Any]]:
    day = {"type": "string", "format": "date"}
    return [
        *_choice_parameters(),
        _query("from", day, "the first session; 90 days before `to` where absent", "2026-01-01"),
        _query("to", day, "the last session; today where absent", "2026-03-31"),
    ]


def _catalogue_parameters() -> list[dict[str, Any]]:
    return [
        _query("q", {"type": "string", "maxLength": 200}, "words that name, title or description hold"),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "products of a page"),
        _query("cursor", _TEXT, "from `page.next`"),
    ]


def _path_parameter() -> dict[str, Any]:
    return {"name": "product", "in": "path", "required": True, "schema": _NAME, "example": "demo.bars"}


def _query(
    name: str, schema: dict[str, Any], description: str, example: object = None, *, free: bool = False
) -> dict[str, Any]:
    """`free`: an object whose members are parameters of their own."""
    shown = {} if example is None else {"example": example}
    style = {"style": "form", "explode": True} if free else {}
    return (
        {"name": name, "in": "query", "required": False, "schema": schema, "description": description} | shown | style
    )


def _row(manifest: Manifest) -> dict[str, Any]:
    columns = {each.name: json_schema(each.type, nullable=each.nullable) for each in manifest.columns}
    return {"type": "object", "properties": columns, "additionalProperties": False}


def _envelope(row: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "meta": _OBJECT,
        "data": {"type": "array", "items": row},
        "page": {"type": "object", "properties": {"next": {"type": ["string", "null"]}}, "required": ["next"]},
        "usage": _OBJECT,
    }
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
