"""Documents as responses."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.responses import Response


def answer(document: BaseModel, status: int = 200, **headers: str) -> Response:
    """The document as JSON, serialised once and not validated again."""
    return Response(
        document.model_dump_json(by_alias=True), status, headers=headers or None, media_type="application/json"
    )


def nothing() -> Response:
    """Done; there is nothing to say."""
    return Response(status_code=204)


def unkept(response: Response) -> Response:
    """The response, which nobody on its way may keep: it has a secret."""
    response.headers["Cache-Control"] = "no-store"
    return response
