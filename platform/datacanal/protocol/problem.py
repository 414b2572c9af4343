"""Failures on the wire: RFC 9457 problem documents made from the error tree, and back."""

from typing import Any

from pydantic import Field

from datacanal.domain.errors import DatacanalError, Kind, RemoteError
from datacanal.protocol.base import Document


class Problem(Document):
    """`code` and `kind` are stable; `detail` says what was wrong and where, `remedy` what to do."""

    type: str
    title: str
    status: int = Field(default=0, description="HTTP status where the document answered a request, else 0")
    detail: str
    code: str
    kind: Kind
    remedy: str
    retriable: bool = False
    data: dict[str, Any] = Field(default_factory=dict)


def problem_of(error: DatacanalError, status: int = 0) -> Problem:
    """The document for an error."""
    return Problem(
        type=f"urn:datacanal:problem:{error.code}",
        title=error.code.replace("_", " "),
        status=status,
        detail=error.detail,
        code=error.code,
        kind=error.kind,
        remedy=error.remedy,
        retriable=error.retriable,
        data=dict(error.data),
    )


def error_of(problem: Problem) -> RemoteError:
    """The error for a document that another process sent."""
    return RemoteError(
        code=problem.code,
        kind=problem.kind,
        detail=problem.detail,
        remedy=problem.remedy,
        retriable=problem.retriable,
        data=problem.data,
    )
